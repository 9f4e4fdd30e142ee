"""What it means for a client's request that another server could not be asked, or said no."""

from typing import Final

from tabstead.errors import LimitExceeded, MatrixError, OutboundFailed, PeerRefused

_BAD_GATEWAY: Final = 502
_GATEWAY_TIMEOUT: Final = 504

_PASSED_ON: Final = frozenset({400, 403, 404, 409, 413})
"""What a user can do something about. 401 is between the servers."""

_OUR_FAULT: Final = frozenset({"M_BAD_JSON", "M_INVALID_PARAM", "M_MISSING_PARAM", "M_NOT_JSON", "M_UNRECOGNIZED"})
"""What a server says of a request that no user wrote."""

_DEFAULT_RETRY_MS: Final = 2000


class PassedOn(MatrixError):
    """Another server's refusal in its own words, with all that it says beside."""

    def __init__(self, refusal: PeerRefused) -> None:
        super().__init__(
            refusal.sentence or "The other server refuses.", errcode=refusal.errcode, status=refusal.status
        )
        self._room_version = refusal.body.get("room_version")

    def to_json(self) -> dict[str, object]:
        known = isinstance(self._room_version, str)  # § M_INCOMPATIBLE_ROOM_VERSION
        return {**super().to_json(), **({"room_version": self._room_version} if known else {})}


def explain(failure: OutboundFailed) -> MatrixError:
    """The error that answers the request of a client for which another server was asked in vain.

    A refusal of what the user wants is passed on; all else is a matter of the servers: 502, or 504 where no answer
    came at all.
    """
    if not isinstance(failure, PeerRefused):
        return MatrixError(str(failure), status=_GATEWAY_TIMEOUT if type(failure) is OutboundFailed else _BAD_GATEWAY)
    if failure.errcode == LimitExceeded.errcode:
        given = failure.body.get("retry_after_ms")
        retry_after_ms = given if isinstance(given, int) and 0 < given < 2**31 else _DEFAULT_RETRY_MS
        return LimitExceeded(failure.sentence or "The other server is busy.", retry_after_ms=retry_after_ms)
    if failure.status in _PASSED_ON and failure.errcode not in _OUR_FAULT:
        return PassedOn(failure)
    return MatrixError(str(failure), status=_BAD_GATEWAY)
