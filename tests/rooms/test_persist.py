"""Persisting events in a room's graph: extremities, forks, and what is kept out of the current state."""

import pytest
from room_forks import ALICE, BOB, ForkedRoom

from tabstead.rooms.persist import persist_event
from tabstead.storage.current_state import select_changes
from tabstead.storage.events import Standing, find_event, select_timeline
from tabstead.storage.memberships import find_membership


@pytest.fixture
def room() -> ForkedRoom:
    return ForkedRoom.open()


def name(room: ForkedRoom) -> str | None:
    content = room.current("m.room.name")
    return None if content is None else content["name"]


def set_name(text: str) -> dict[str, object]:
    return {"event_type": "m.room.name", "state_key": "", "content": {"name": text}}


def test_a_line_of_events_has_one_extremity(room: ForkedRoom) -> None:
    first = room.send(ALICE, "m.room.message", {"body": "one"})
    second = room.send(BOB, "m.room.message", {"body": "two"})

    assert room.tips() == {second.event_id}
    assert second.event.prev_events == (first.event_id,)
    assert second.event.depth == first.event.depth + 1


def test_a_message_writes_no_state(room: ForkedRoom) -> None:
    snapshots = room.db.execute("SELECT SUM(LENGTH(hashes)) FROM state_segments").fetchone()
    before = room.room.state_snapshot
    message = room.send(ALICE, "m.room.message", {"body": "hello"})

    assert message.state_before == before == room.room.state_snapshot
    assert room.db.execute("SELECT SUM(LENGTH(hashes)) FROM state_segments").fetchone() == snapshots


def test_two_branches_are_both_extremities_until_an_event_joins_them(room: ForkedRoom) -> None:
    base = room.tip()
    left, right = room.add(base), room.add(base, sender=BOB)
    assert room.tips() == {left.event_id, right.event_id}

    joined = room.send(ALICE, "m.room.message", {"body": "both"})
    assert set(joined.event.prev_events) == {left.event_id, right.event_id}
    assert room.tips() == {joined.event_id}


@pytest.mark.parametrize("version", ["6", "10", "11", "12"])
def test_what_only_one_branch_says_is_the_rooms_state(version: str) -> None:
    room = ForkedRoom.open(version)
    base = room.tip()
    room.add(base, **set_name("left"))
    room.add(base, event_type="m.room.topic", state_key="", content={"topic": "right"})

    assert name(room) == "left"
    assert room.current("m.room.topic") == {"topic": "right"}


def test_a_quarrel_is_resolved_the_same_whoever_comes_first() -> None:
    """The later of two names wins by its timestamp, when the other branch is persisted after it too."""
    room = ForkedRoom.open()
    base = room.tip()
    earlier = room.add(base, **set_name("earlier"))
    room.add(base, **set_name("later"))
    assert name(room) == "later"

    room.add(earlier, sender=BOB)
    assert name(room) == "later"


def test_a_ban_beats_what_the_banned_says_on_another_branch() -> None:
    room = ForkedRoom.open("11", users={ALICE: 100, BOB: 50})
    base = room.tip()
    room.add(base, event_type="m.room.member", state_key=BOB, content={"membership": "ban"})
    room.add(base, sender=BOB, **set_name("bob was here"))

    assert name(room) is None
    membership = find_membership(room.db, BOB, room.room_nid)
    assert membership is not None
    assert membership.membership == "ban"


def test_a_lost_state_is_recorded_as_a_change() -> None:
    """What loses its place when another branch arrives is told to clients like any other change."""
    room = ForkedRoom.open("11", users={ALICE: 100, BOB: 50})
    base = room.tip()
    named = room.add(base, sender=BOB, **set_name("bob's"))
    assert name(room) == "bob's"
    ban = room.add(base, event_type="m.room.member", state_key=BOB, content={"membership": "ban"})

    assert name(room) is None
    changes = select_changes(room.db, room.room_nid, after=named.position, up_to=ban.position)
    changed = {change.state_tuple: (change.previous_nid, change.event_nid) for change in changes}
    assert changed[("m.room.name", "")] == (named.event_nid, None)
    assert changed[("m.room.member", BOB)][1] == ban.event_nid


@pytest.mark.parametrize("standing", [Standing.SOFT_FAILED, Standing.REJECTED])
def test_what_was_not_accepted_is_stored_and_nothing_else(room: ForkedRoom, standing: Standing) -> None:
    base, told = room.tip(), len(room.told)
    refused = room.add(base, **set_name("refused"), standing=standing)

    assert name(room) is None
    assert room.tips() == {base.event_id}
    assert len(room.told) == told
    stored = find_event(room.db, refused.event_id)
    assert stored is not None
    assert stored.standing is standing
    timeline = select_timeline(room.db, room.room_nid, after=0, up_to=refused.position, limit=100)
    assert refused.event_id not in {event.event_id for event in timeline}


def test_an_event_after_a_soft_failed_one_stands_for_what_is_behind_it(room: ForkedRoom) -> None:
    base = room.tip()
    refused = room.add(base, standing=Standing.SOFT_FAILED)
    again = room.add(refused, standing=Standing.SOFT_FAILED)
    after = room.add(again)

    assert room.tips() == {after.event_id}


def test_a_rejected_event_changes_no_state_after_it_and_a_soft_failed_one_does(room: ForkedRoom) -> None:
    base = room.tip()
    rejected = room.add(base, **set_name("rejected"), standing=Standing.REJECTED)
    room.add(rejected)
    assert name(room) is None

    soft_failed = room.add(room.tip(), **set_name("soft-failed"), standing=Standing.SOFT_FAILED)
    room.add(soft_failed)
    assert name(room) == "soft-failed"


def test_an_event_names_at_most_twenty_of_many_extremities(room: ForkedRoom) -> None:
    base = room.tip()
    tips = [room.add(base) for _ in range(25)]
    sent = room.send(BOB, "m.room.message", {"body": "at last"})

    assert set(sent.event.prev_events) == {tip.event_id for tip in tips[5:]}
    assert room.tips() == {sent.event_id, *(tip.event_id for tip in tips[:5])}


def test_followers_are_told_of_each_accepted_event(room: ForkedRoom) -> None:
    told = len(room.told)
    sent = room.send(ALICE, "m.room.message", {"body": "hello"})

    assert [event.event_id for event in room.told[told:]] == [sent.event_id]


def test_a_state_that_is_so_already_stays_as_it_is(room: ForkedRoom) -> None:
    first = room.send(ALICE, "m.room.name", {"name": "Same", "n": 1}, "")

    assert room.send(ALICE, "m.room.name", {"n": 1, "name": "Same"}, "").event_id == first.event_id
    assert room.send(ALICE, "m.room.name", {"name": "Same", "n": True}, "").event_id != first.event_id


def test_a_redaction_may_come_before_what_it_redacts(room: ForkedRoom) -> None:
    base = room.tip()
    secret = room.add(base, content={"body": "secret"}, sender=BOB)
    room.db.execute("DELETE FROM events WHERE event_nid = ?", (secret.event_nid,))
    room.db.execute("DELETE FROM forward_extremities WHERE event_nid = ?", (secret.event_nid,))
    room.add(base, event_type="m.room.redaction", content={}, redacts=secret.event_id)
    assert find_event(room.db, secret.event_id) is None

    persist_event(room.db, room.server, room.room, secret.event, state_before=secret.state_before)
    found = find_event(room.db, secret.event_id)
    assert found is not None
    assert found.event.content == {}


def test_a_redaction_by_who_may_not_is_an_event_without_effect() -> None:
    room = ForkedRoom.open("11")
    room.server = type(room.server)(name="other.test", signing_key=room.server.signing_key, now_ms=room.server.now_ms)
    words = room.add(room.tip(), content={"body": "words"})
    eve = "@eve:other.test"
    room.add(room.tip(), sender=eve, event_type="m.room.member", state_key=eve, content={"membership": "join"})
    room.add(room.tip(), sender=eve, event_type="m.room.redaction", content={}, redacts=words.event_id)

    found = find_event(room.db, words.event_id)
    assert found is not None
    assert found.event.content == {"body": "words"}
    assert found.redacted_by is None
