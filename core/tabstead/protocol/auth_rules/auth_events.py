"""The authorisation rule about an event's own `auth_events`: whether they are the ones that it may name."""

from collections.abc import Collection, Container, Sequence

from tabstead.protocol.auth_rules.room_state import CREATE
from tabstead.protocol.auth_rules.selection import select_auth_event_types
from tabstead.protocol.auth_rules.verdict import ALLOWED, Rejected, Verdict
from tabstead.protocol.events.event import Event
from tabstead.protocol.identifiers import EventID, StateTuple
from tabstead.protocol.room_versions import RoomVersion


def check_auth_events(
    event: Event,
    auth_events: Sequence[Event],
    room_version: RoomVersion,
    rejected: Container[EventID] = frozenset(),
) -> Verdict:
    """The verdict on an event by its auth events, all of which are given in `auth_events`.

    `rejected` holds the IDs of those among them that were rejected themselves.
    """
    if event.type == "m.room.create":
        return ALLOWED
    selected = select_auth_event_types(event.type, event.state_key, event.sender, event.content, room_version)
    keys: set[StateTuple] = set()
    for auth_event in auth_events:
        verdict = _check_auth_event(auth_event, event, selected, keys, rejected)
        if verdict is not ALLOWED:
            return verdict
        keys.add(auth_event.state_tuple)
    # v1-v11: "If there is no m.room.create event among the entries, reject."
    if CREATE not in keys and not room_version.room_id_is_create_hash:
        return Rejected("there is no create event among the auth events")
    return ALLOWED


def _check_auth_event(
    auth_event: Event,
    event: Event,
    selected: Collection[StateTuple],
    seen: Collection[StateTuple],
    rejected: Container[EventID],
) -> Verdict:
    if not auth_event.is_state:
        return Rejected("an auth event is no state event")
    key = auth_event.state_tuple
    # All: "If there are duplicate entries for a given type and state_key pair, reject."
    if key in seen:
        return Rejected(f"two auth events are {_shown(key)}")
    # All: "If there are entries whose type and state_key don't match those specified by the auth events selection
    # algorithm, reject." v12-: m.room.create is not among those.
    if key not in selected:
        return Rejected(f"the auth event {_shown(key)} says nothing about this event")
    # All: "If there are entries which were themselves rejected, reject."
    if auth_event.event_id in rejected:
        return Rejected(f"the auth event {_shown(key)} was rejected")
    # All: "If any event in auth_events has a room_id which does not match that of the event being authorised, reject."
    if auth_event.room_id != event.room_id:
        return Rejected(f"the auth event {_shown(key)} is of another room")
    return ALLOWED


def _shown(key: StateTuple) -> str:
    return " ".join(part for part in key if part)
