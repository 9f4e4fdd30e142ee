"""Every error that Tabstead raises on purpose.

    TabsteadError
    ├── MatrixError                  they erred, or must wait: becomes a Matrix error response
    │   ├── BadRequest                   400
    │   │   ├── NotJson                      M_NOT_JSON
    │   │   ├── BadJson                      M_BAD_JSON
    │   │   ├── MissingParam                 M_MISSING_PARAM
    │   │   ├── InvalidParam                 M_INVALID_PARAM
    │   │   ├── InvalidUsername              M_INVALID_USERNAME
    │   │   ├── UserInUse                    M_USER_IN_USE
    │   │   ├── RoomInUse                    M_ROOM_IN_USE
    │   │   ├── WeakPassword                 M_WEAK_PASSWORD
    │   │   ├── Exclusive                    M_EXCLUSIVE
    │   │   ├── InvalidRoomState             M_INVALID_ROOM_STATE
    │   │   ├── UnsupportedRoomVersion       M_UNSUPPORTED_ROOM_VERSION
    │   │   ├── IncompatibleRoomVersion      M_INCOMPATIBLE_ROOM_VERSION
    │   │   ├── BadState                     M_BAD_STATE
    │   │   ├── BadAlias                     M_BAD_ALIAS
    │   │   ├── InvalidSignature             M_INVALID_SIGNATURE
    │   │   ├── UnableToAuthoriseJoin        M_UNABLE_TO_AUTHORISE_JOIN: a restricted room's, another server may know
    │   │   ├── UnableToGrantJoin            M_UNABLE_TO_GRANT_JOIN: a restricted room's, another server may be able to
    │   │   └── UnknownPos                   M_UNKNOWN_POS: sliding sync begins anew
    │   ├── Unauthenticated              401
    │   │   ├── MissingToken                 M_MISSING_TOKEN
    │   │   ├── UnknownToken                 M_UNKNOWN_TOKEN
    │   │   ├── UserLocked                   M_USER_LOCKED, as a soft logout
    │   │   ├── Unsigned                     M_UNAUTHORIZED: another server's request, without a signature that holds
    │   │   └── InteractiveAuthRequired      the body of user-interactive authentication
    │   ├── Forbidden                    403 M_FORBIDDEN
    │   │   ├── UserDeactivated              M_USER_DEACTIVATED
    │   │   ├── UserSuspended                M_USER_SUSPENDED
    │   │   ├── WrongRoomKeysVersion         M_WRONG_ROOM_KEYS_VERSION
    │   │   └── CannotLeaveServerNoticeRoom  M_CANNOT_LEAVE_SERVER_NOTICE_ROOM
    │   ├── NotFound                     404 M_NOT_FOUND
    │   ├── Unrecognized                 404 or 405 M_UNRECOGNIZED
    │   ├── Conflict                     409 M_CANNOT_OVERWRITE_MEDIA and its like
    │   ├── TooLarge                     413 M_TOO_LARGE
    │   ├── LimitExceeded                429 M_LIMIT_EXCEEDED, with Retry-After
    │   ├── NotYetUploaded               504 M_NOT_YET_UPLOADED
    │   ├── OAuthError                   400 or 401, in the shape of RFC 6749
    │   ├── StorageFull                  507 M_RESOURCE_LIMIT_EXCEEDED: nothing was written
    │   └── StorageUnavailable           503 M_UNKNOWN: nothing was written, try again
    ├── OutboundFailed               another server can't be asked, or not in time: what that means, its asker knows
    │   ├── OutboundRefused              its address is not one to connect to
    │   ├── OutboundTooLarge             its answer is bigger than the asker wants
    │   ├── PeerRefused                  another homeserver answers with an error
    │   └── PeerMisbehaved               another homeserver answers with nonsense
    ├── InvalidConfiguration         the operator's file says something impossible: refuse to start
    ├── ServerNameMismatch           the database is another server's: refuse to open it
    ├── DatabaseTooNew               the database was written by a newer Tabstead: refuse to open it
    └── ImportRefused                another server's data can't be taken over, or not into this database

Anything else that escapes is a bug: logged with its traceback, answered with 500 M_UNKNOWN.
`MatrixError` is caught at one border, `tabstead.homeserver`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class TabsteadError(Exception):
    """The root of the tree."""


class InvalidConfiguration(TabsteadError):
    """The configuration can't be used; `problems` says why, a sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


class OutboundFailed(TabsteadError):
    """A request to another server got no answer; the sentence says why, without the URL's secrets."""


class OutboundRefused(OutboundFailed):
    """The address is not public, and only public ones were to be connected to."""


class OutboundTooLarge(OutboundFailed):
    """The answer is bigger than its asker wants."""


class PeerRefused(OutboundFailed):
    """Another homeserver answered with an error: a status, and what its body says if it is a Matrix error."""

    def __init__(self, message: str, *, status: int, errcode: str, sentence: str, body: Mapping[str, Any]) -> None:
        super().__init__(f"{message} {errcode}: {sentence}" if sentence else message)
        self.status = status
        self.errcode = errcode
        self.sentence = sentence
        self.body = body


class PeerMisbehaved(OutboundFailed):
    """Another homeserver's answer is not what was asked for."""


class ServerNameMismatch(TabsteadError):
    """The configuration names another server than the one that the database was made for."""

    def __init__(self, *, configured: str, stored: str) -> None:
        super().__init__(f"server_name is {configured}, but the database is that of {stored}.")


class DatabaseTooNew(TabsteadError):
    """The database's schema version is newer than this code knows."""


class ImportRefused(TabsteadError):
    """Another server's data can't be taken over, or not into this database; the sentence says why."""


class MatrixError(TabsteadError):
    """An error response of the specification: a status, an `errcode` and a sentence."""

    status: int = 400
    errcode: ClassVar[str] = "M_UNKNOWN"

    def __init__(self, sentence: str, *, errcode: str | None = None, status: int | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self._errcode = errcode
        if status is not None:
            self.status = status

    def to_json(self) -> dict[str, Any]:
        """The standard error response's body."""
        return {"errcode": self._errcode or self.errcode, "error": self.sentence}

    def headers(self) -> Mapping[str, str]:
        """Headers that the response carries beside its body."""
        return {}


class BadRequest(MatrixError):
    status = 400


class NotJson(BadRequest):
    errcode = "M_NOT_JSON"


class BadJson(BadRequest):
    errcode = "M_BAD_JSON"


class MissingParam(BadRequest):
    errcode = "M_MISSING_PARAM"


class InvalidParam(BadRequest):
    errcode = "M_INVALID_PARAM"


class InvalidUsername(BadRequest):
    errcode = "M_INVALID_USERNAME"


class UserInUse(BadRequest):
    errcode = "M_USER_IN_USE"


class RoomInUse(BadRequest):
    errcode = "M_ROOM_IN_USE"


class WeakPassword(BadRequest):
    errcode = "M_WEAK_PASSWORD"


class Exclusive(BadRequest):
    errcode = "M_EXCLUSIVE"


class InvalidRoomState(BadRequest):
    errcode = "M_INVALID_ROOM_STATE"


class UnsupportedRoomVersion(BadRequest):
    errcode = "M_UNSUPPORTED_ROOM_VERSION"


class IncompatibleRoomVersion(BadRequest):
    """The room's version is not one that the caller says it supports."""

    errcode = "M_INCOMPATIBLE_ROOM_VERSION"

    def __init__(self, sentence: str, *, room_version: str) -> None:
        super().__init__(sentence)
        self.room_version = room_version

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "room_version": self.room_version}


class BadState(BadRequest):
    errcode = "M_BAD_STATE"


class BadAlias(BadRequest):
    errcode = "M_BAD_ALIAS"


class InvalidSignature(BadRequest):
    errcode = "M_INVALID_SIGNATURE"


class UnableToAuthoriseJoin(BadRequest):
    """Whether the user may join the restricted room is not known here."""

    errcode = "M_UNABLE_TO_AUTHORISE_JOIN"


class UnableToGrantJoin(BadRequest):
    """The user may join the restricted room, but nobody here may let them in."""

    errcode = "M_UNABLE_TO_GRANT_JOIN"


class UnknownPos(BadRequest):
    errcode = "M_UNKNOWN_POS"


class Unauthenticated(MatrixError):
    status = 401


class MissingToken(Unauthenticated):
    errcode = "M_MISSING_TOKEN"


class UnknownToken(Unauthenticated):
    errcode = "M_UNKNOWN_TOKEN"

    def __init__(self, sentence: str = "This access token is not known here.", *, soft_logout: bool = False) -> None:
        super().__init__(sentence)
        self.soft_logout = soft_logout

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "soft_logout": self.soft_logout}


class UserLocked(Unauthenticated):
    """An administrator has locked the account; its tokens hold again once it is unlocked."""

    errcode = "M_USER_LOCKED"

    def __init__(self) -> None:
        super().__init__("This account has been locked.")

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "soft_logout": True}


class Unsigned(Unauthenticated):
    """A request of another server carries no signature that holds."""

    errcode = "M_UNAUTHORIZED"


class InteractiveAuthRequired(Unauthenticated):
    """401 with the flows, parameters and session of user-interactive authentication.

    Raised inside a transaction it rolls back; a session must be created before it is raised.
    """

    def __init__(self, body: Mapping[str, Any], failure: MatrixError | None = None) -> None:
        super().__init__("User-interactive authentication is required.")
        self.body = body
        self.failure = failure

    def to_json(self) -> dict[str, Any]:
        return {**self.body, **(self.failure.to_json() if self.failure else {})}


class Forbidden(MatrixError):
    status = 403
    errcode = "M_FORBIDDEN"


class UserDeactivated(Forbidden):
    errcode = "M_USER_DEACTIVATED"


class UserSuspended(Forbidden):
    errcode = "M_USER_SUSPENDED"

    def __init__(self) -> None:
        super().__init__("A suspended account can't do this.")


class WrongRoomKeysVersion(Forbidden):
    errcode = "M_WRONG_ROOM_KEYS_VERSION"

    def __init__(self, sentence: str, *, current_version: str) -> None:
        super().__init__(sentence)
        self.current_version = current_version

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "current_version": self.current_version}


class CannotLeaveServerNoticeRoom(Forbidden):
    errcode = "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM"


class NotFound(MatrixError):
    status = 404
    errcode = "M_NOT_FOUND"


class Unrecognized(MatrixError):
    """The path is not known (404), or not with this method (405)."""

    status = 404
    errcode = "M_UNRECOGNIZED"


class Conflict(MatrixError):
    status = 409


class TooLarge(MatrixError):
    status = 413
    errcode = "M_TOO_LARGE"


class LimitExceeded(MatrixError):
    status = 429
    errcode = "M_LIMIT_EXCEEDED"

    def __init__(self, sentence: str, *, retry_after_ms: int) -> None:
        super().__init__(sentence)
        self.retry_after_ms = retry_after_ms

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "retry_after_ms": self.retry_after_ms}

    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(-(-self.retry_after_ms // 1000))}


class NotYetUploaded(MatrixError):
    status = 504
    errcode = "M_NOT_YET_UPLOADED"


class OAuthError(MatrixError):
    """An error of the OAuth 2.0 API: `error` is one of its codes, the sentence its description."""

    def __init__(self, error: str, sentence: str, *, status: int = 400) -> None:
        super().__init__(sentence, status=status)
        self.error = error

    def to_json(self) -> dict[str, Any]:
        return {"error": self.error, "error_description": self.sentence}

    def headers(self) -> Mapping[str, str]:
        return {"Cache-Control": "no-store"}


class StorageFull(MatrixError):
    """The disk or the browser's quota is full; the transaction left nothing behind."""

    status = 507
    errcode = "M_RESOURCE_LIMIT_EXCEEDED"


class StorageUnavailable(MatrixError):
    """The storage failed or another instance took it over; the transaction left nothing behind."""

    status = 503
    errcode = "M_UNKNOWN"
