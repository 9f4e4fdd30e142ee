"""Who is typing where: in memory alone, since a typing notice outlives nothing.

Changes are ordered by serials: milliseconds of the clock, made unique, so that they go on rising over a restart. A
serial that was given to a client (`issue_serial`) is below every change that comes after it, even in one millisecond.
"""

from collections.abc import Callable


class TypingUsers:
    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._until: dict[str, dict[str, int]] = {}
        self._changed: dict[str, int] = {}
        self.born = now_ms()
        """The serial at which this life began: what a token from before knows of typing is forgotten here."""
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

    def active_rooms(self) -> list[str]:
        """The rooms in which somebody types now."""
        return [room_id for room_id, typing in self._until.items() if typing]

    def rooms_changed_since(self, serial: int) -> list[str]:
        """The rooms whose list changed after the serial, as far as this life knows."""
        return [room_id for room_id, changed in self._changed.items() if changed > serial]

    def issue_serial(self) -> int:
        """The serial of now, for a client that knows every change up to now."""
        self.serial = max(self.serial, self._now_ms())
        return self.serial

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
