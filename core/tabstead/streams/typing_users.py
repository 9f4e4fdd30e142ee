"""Who is typing where: in memory alone, since a typing notice outlives nothing.

Serials are milliseconds of the clock, made unique, so that they go on rising over a restart. A token older than this
life gets every room's list once more, empty ones too.
"""

from collections.abc import Callable


class TypingUsers:
    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._until: dict[str, dict[str, int]] = {}
        self._changed: dict[str, int] = {}
        self.born = now_ms()
        """The serial at which this life began."""
        self.serial = self.born

    def start(self, room_id: str, user_id: str, timeout_ms: int) -> None:
        """The user types until the timeout, or until told otherwise."""
        typing = self._until.setdefault(room_id, {})
        if user_id not in typing:
            self._touch(room_id)
        typing[user_id] = self._now_ms() + timeout_ms

    def stop(self, room_id: str, user_id: str) -> None:
        """The user no longer types."""
        if self._until.get(room_id, {}).pop(user_id, None) is not None:
            self._touch(room_id)

    def users(self, room_id: str) -> list[str]:
        """Who types in the room now."""
        return sorted(self._until.get(room_id, {}))

    def changed_since(self, room_id: str, serial: int) -> bool:
        """Whether a reader of that serial should be told the room's list."""
        return serial < self.born or self._changed.get(room_id, 0) > serial

    def expire(self) -> int | None:
        """Drop those whose time is up; the time (ms) at which the next one will be, if any."""
        now = self._now_ms()
        for room_id, typing in self._until.items():
            late = [user_id for user_id, until in typing.items() if until <= now]
            for user_id in late:
                del typing[user_id]
            if late:
                self._touch(room_id)
        return min((until for typing in self._until.values() for until in typing.values()), default=None)

    def _touch(self, room_id: str) -> None:
        self.serial = max(self.serial + 1, self._now_ms())
        self._changed[room_id] = self.serial
