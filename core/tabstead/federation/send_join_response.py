"""The answer to a `send_join`, read as it comes: in a big room it is many megabytes.

The state and the auth chains go to a `ToldState` event by event, so that no more of the answer is held than what is
kept of it. (server-server API, "PUT /_matrix/federation/v2/send_join/{roomId}/{eventId}")
"""

from collections.abc import Callable, Generator
from typing import Any, Final

from tabstead.errors import PeerMisbehaved
from tabstead.federation.told_state import ToldState
from tabstead.http import MAX_JSON_DEPTH
from tabstead.protocol.canonical_json import JsonDict

_SMALL_FIELDS: Final = frozenset({"event", "members_omitted"})
_OPENING: Final = frozenset({"start_map", "start_array"})
_CLOSING: Final = frozenset({"end_map", "end_array"})


class SendJoinResponse:
    """Takes the bytes of the answer."""

    def __init__(self, told: ToldState) -> None:
        import ijson  # no other request needs it

        self.event: JsonDict | None = None
        """The join as the resident server has it, with its signature."""
        self.members_omitted = False
        self._take_at: dict[str, Callable[[Any], None]] = {
            "state.item": told.add_state,
            "auth_chain.item": told.add_auth_event,
            "event": self._take_event,
            "members_omitted": self._take_members_omitted,
        }
        self._error: type[Exception] = ijson.JSONError
        self._parser = ijson.parse_coro(self._route(ijson.ObjectBuilder), use_float=True)

    def feed(self, piece: bytes) -> None:
        """The next bytes. Raises PeerMisbehaved."""
        try:
            self._parser.send(piece)
        except (self._error, ValueError, OverflowError) as error:
            raise PeerMisbehaved(f"The answer to the join is not JSON: {error}") from error

    def end(self) -> None:
        """There is nothing more. Raises PeerMisbehaved."""
        try:
            self._parser.close()
        except (self._error, ValueError) as error:
            raise PeerMisbehaved(f"The answer to the join is not whole: {error}") from error

    def _route(self, object_builder: Callable[[], Any]) -> Generator[None, tuple[str, str, Any], None]:
        """Put the values together that somebody takes, each when it is complete."""
        return _started(self._routing(object_builder))

    def _routing(self, object_builder: Callable[[], Any]) -> Generator[None, tuple[str, str, Any], None]:
        while True:
            prefix, event, value = yield
            take = self._take_at.get(prefix.removeprefix("item."))  # version 1 of the API: [200, {…}]
            if take is None or event in _CLOSING:
                continue
            builder, depth = object_builder(), 0
            while True:
                builder.event(event, value)
                depth += (event in _OPENING) - (event in _CLOSING)
                if depth > MAX_JSON_DEPTH:
                    raise PeerMisbehaved(f"The answer to the join is nested deeper than {MAX_JSON_DEPTH} levels.")
                if depth == 0:
                    break
                _, event, value = yield
            take(builder.value)

    def _take_event(self, event: object) -> None:
        self.event = event if isinstance(event, dict) else None

    def _take_members_omitted(self, omitted: object) -> None:
        self.members_omitted = omitted is True


def _started(
    generator: Generator[None, tuple[str, str, Any], None],
) -> Generator[None, tuple[str, str, Any], None]:
    next(generator)
    return generator
