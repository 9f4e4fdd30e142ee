"""Whatever a room's graph looks like, all that is kept of its current state agrees."""

from hypothesis import given, settings
from hypothesis import strategies as st
from room_forks import ALICE, BOB, ForkedRoom

from tabstead.protocol.identifiers import StateTuple
from tabstead.rooms.resolution import resolve_snapshots
from tabstead.rooms.state import state_after
from tabstead.storage.current_state import select_changes, select_current
from tabstead.storage.events import PersistedEvent, Standing, get_event, select_events
from tabstead.storage.memberships import select_members
from tabstead.storage.positions import select_position
from tabstead.storage.rooms import select_forward_extremities

EVENTS = st.sampled_from(
    [
        ("m.room.message", None, {"body": "…"}),
        ("m.room.name", "", {"name": "one"}),
        ("m.room.name", "", {"name": "two"}),
        ("m.room.topic", "", {"topic": "three"}),
        ("m.room.member", BOB, {"membership": "ban"}),
        ("m.room.member", BOB, {"membership": "leave"}),
        ("m.room.member", BOB, {"membership": "join", "displayname": "B"}),
        ("m.room.power_levels", "", {"users": {ALICE: 100, BOB: 50}}),
        ("m.room.power_levels", "", {"users": {ALICE: 100}}),
        ("m.room.join_rules", "", {"join_rule": "invite"}),
    ]
)
STEPS = st.lists(
    st.tuples(
        st.sets(st.integers(0, 7), min_size=1, max_size=3),
        st.sampled_from([ALICE, BOB]),
        EVENTS,
        st.sampled_from([Standing.ACCEPTED] * 5 + [Standing.SOFT_FAILED, Standing.REJECTED]),
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None)
@given(STEPS, st.sampled_from(["6", "11", "12"]))
def test_all_that_is_kept_of_the_current_state_agrees(
    steps: list[tuple[set[int], str, tuple[str, str | None, dict[str, object]], Standing]], version: str
) -> None:
    room = ForkedRoom.open(version)
    added = [room.tip()]
    for behind, sender, (event_type, state_key, content), standing in steps:
        after = {added[-1 - number % len(added)].event_nid: added[-1 - number % len(added)] for number in behind}
        added.append(
            room.add(
                *after.values(),
                sender=sender,
                event_type=event_type,
                state_key=state_key,
                content=content,
                standing=standing,
            )
        )

    current = select_current(room.db, room.room_nid)
    room.current("m.room.create")
    assert replayed(room) == current
    members = {row.user_id: row.event_nid for row in select_members(room.db, room.room_nid, EVERY_MEMBERSHIP)}
    assert members == {key[1]: nid for key, nid in current.items() if key[0] == "m.room.member"}
    tips = list(select_events(room.db, select_forward_extremities(room.db, room.room_nid)).values())
    assert {tip.event_nid for tip in tips} == unreferred(added)
    snapshots = [state_after(room.db, tip) for tip in tips]
    assert resolve_snapshots(room.db, room.room, snapshots) == room.room.state_snapshot
    assert resolve_snapshots(room.db, room.room, snapshots[::-1]) == room.room.state_snapshot
    room.db.close()


EVERY_MEMBERSHIP = ("join", "invite", "leave", "ban", "knock")


def replayed(room: ForkedRoom) -> dict[StateTuple, int]:
    """The state that the recorded changes lead to; each must know what was there before it."""
    state: dict[StateTuple, int] = {}
    for change in select_changes(room.db, room.room_nid, after=0, up_to=select_position(room.db)):
        assert state.get(change.state_tuple) == change.previous_nid
        if change.event_nid is None:
            del state[change.state_tuple]
        else:
            state[change.state_tuple] = change.event_nid
            assert get_event(room.db, change.event_nid).event.state_tuple == change.state_tuple
    return state


def unreferred(added: list[PersistedEvent]) -> set[int]:
    """The accepted events behind no accepted event; one that was not accepted stands for what is behind it."""
    by_id = {event.event_id: event for event in added}

    def accepted_behind(event: PersistedEvent) -> set[int]:
        found: set[int] = set()
        for event_id in event.event.prev_events:
            previous = by_id.get(event_id)
            if previous is not None:
                is_accepted = previous.standing is Standing.ACCEPTED
                found |= {previous.event_nid} if is_accepted else accepted_behind(previous)
        return found

    accepted = [event for event in added if event.standing is Standing.ACCEPTED]
    referred = set().union(*(accepted_behind(event) for event in accepted))
    return {event.event_nid for event in accepted} - referred
