"""Who is typing, and which readers have to be told."""

from helpers.homeserver import Clock
from tabstead.streams.typing_users import TypingUsers


class StillClock(Clock):
    """A clock that stands still until it is moved."""

    def __call__(self) -> int:
        return self.now


def test_a_change_in_the_very_millisecond_of_a_token_is_after_it() -> None:
    typing = TypingUsers(StillClock())
    serial = typing.issue_serial()

    typing.start("!a", "@alice", 1000)

    assert typing.rooms_changed_since(serial) == ["!a"]
    assert typing.rooms_changed_since(typing.issue_serial()) == []


def test_going_on_is_no_change() -> None:
    clock = StillClock()
    typing = TypingUsers(clock)
    typing.start("!a", "@alice", 1000)
    serial = typing.issue_serial()

    typing.start("!a", "@alice", 5000)
    typing.stop("!a", "@bob")

    assert typing.rooms_changed_since(serial) == []
    clock.now += 4999
    assert typing.expire() == clock.now + 1
    assert typing.users("!a") == ["@alice"]


def test_time_that_is_up_is_a_change() -> None:
    clock = StillClock()
    typing = TypingUsers(clock)
    typing.start("!a", "@alice", 1000)
    typing.start("!a", "@bob", 2000)
    serial = typing.issue_serial()

    clock.now += 1000
    assert typing.expire() == clock.now + 1000
    assert typing.users("!a") == ["@bob"]
    assert typing.rooms_changed_since(serial) == ["!a"]

    clock.now += 1000
    assert typing.expire() is None
    assert typing.active_rooms() == []


def test_serials_rise_over_a_restart() -> None:
    clock = StillClock()
    before = TypingUsers(clock)
    for number in range(3):
        before.start("!a", f"@{number}", 1000)
    serial = before.issue_serial()
    clock.now += 10

    after = TypingUsers(clock)

    assert serial < after.born
