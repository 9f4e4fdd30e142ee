"""Send an event of a local user: everything from what the client wants to the persisted event, in one transaction.

The event refers to the room's forward extremities and is checked by the authorisation rules against the state before
it, which is the room's current state unless the room has more extremities than an event may name. What comes twice is
sent once: a transaction id is answered from storage, and a state that is so already stays as it is.
"""

import secrets
from collections.abc import Iterable, Mapping

from tabstead.accounts.moderation import check_not_suspended
from tabstead.errors import Forbidden
from tabstead.protocol.auth_rules import Rejected, check_event_auth, select_auth_event_types
from tabstead.protocol.canonical_json import JsonDict, encode_canonical_json
from tabstead.protocol.events import Event, build_event, parse_event, reference_hash
from tabstead.protocol.events.event import MAX_PREV_EVENTS
from tabstead.protocol.identifiers import EventID, RoomID, StateTuple, UserID
from tabstead.protocol.room_versions import EventIDFormat, RoomVersion
from tabstead.protocol.signatures import sign_event
from tabstead.rooms.draft import Draft
from tabstead.rooms.guests import select_unwelcome_guests
from tabstead.rooms.local_checks import check_draft, check_sender
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.persist import persist_event
from tabstead.rooms.policy import check_to_be_sent, find_signed_event
from tabstead.rooms.resolution import resolve_snapshots
from tabstead.rooms.state import find_current_event, read_auth_state, state_after
from tabstead.rooms.sticky_events import STICKY
from tabstead.storage.client_transactions import ClientTransaction, find_transaction, insert_transaction
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, get_event, select_events, select_events_by_id
from tabstead.storage.memberships import is_joined
from tabstead.storage.rooms import Room, find_room, get_room, insert_room, select_newest_extremities
from tabstead.storage.state_history import EMPTY


def send_event(
    db: Db,
    server: LocalServer,
    room: Room,
    sender: str,
    draft: Draft,
    *,
    transaction: ClientTransaction | None = None,
) -> PersistedEvent:
    """Send an event to a room and return it, or the one that the transaction sent or that says the same already.

    Raises Forbidden with the reason of the authorisation rules, BadJson or TooLarge for what makes no event.
    """
    if transaction is not None:
        done = find_transaction(db, transaction)
        if done is not None and done.event_nid is not None:
            return get_event(db, done.event_nid)
    room = get_room(db, room.room_nid)
    persisted = _find_same_state(db, room, sender, draft)
    if persisted is None:
        persisted = _send_new(db, server, room, sender, draft, transaction=transaction)
        _see_guests_off(db, server, room, persisted)
    if transaction is not None:
        insert_transaction(db, transaction, persisted.event_nid, server.now_ms())
    return persisted


def new_room_id(server: LocalServer) -> RoomID:
    """v1-v11: the ID of a room to be created."""
    return RoomID(f"!{secrets.token_urlsafe(18)}:{server.name}")


def send_create_event(
    db: Db,
    server: LocalServer,
    version: RoomVersion,
    sender: str,
    content: JsonDict,
    *,
    room_id: RoomID | None = None,
) -> tuple[Room, PersistedEvent]:
    """Begin a room with its create event; v1-v11: under this ID, where it was told before. Raises UserSuspended."""
    check_not_suspended(db, sender)
    if room_id is None and not version.room_id_is_create_hash:
        room_id = new_room_id(server)
    draft = Draft(type="m.room.create", content=content, state_key="")
    now = server.now_ms()
    event = _build(server, version, room_id, sender, draft, now=now, prev_events=[], auth_events={})
    while find_room(db, event.room_id) is not None:
        # v12-: a second room of the same millisecond, creator and content would be the same room.
        now += 1
        event = _build(server, version, room_id, sender, draft, now=now, prev_events=[], auth_events={})
    _check_auth(event, {}, version)
    room = insert_room(db, event.room_id, version)
    return room, persist_event(db, server, room, event, state_before=EMPTY)


def _find_same_state(db: Db, room: Room, sender: str, draft: Draft) -> PersistedEvent | None:
    """The current state event of this sender, if still joined, that says exactly what the draft says."""
    if draft.state_key is None or draft.sticky_ms is not None or not is_joined(db, sender, room.room_nid):
        return None
    current = find_current_event(db, room, draft.type, draft.state_key)
    if current is None or current.event.sender != sender:
        return None
    # Encoded, because True and 1 are equal in Python.
    same = encode_canonical_json(current.event.content) == encode_canonical_json(draft.content)
    return current if same else None


def _send_new(
    db: Db,
    server: LocalServer,
    room: Room,
    sender: str,
    draft: Draft,
    *,
    transaction: ClientTransaction | None = None,
) -> PersistedEvent:
    check_sender(db, sender, draft)
    event, state_before = _find_signed(db, server, room, sender, draft) or build_next_event(
        db, server, room, sender, draft
    )
    check_draft(db, server, room, sender, draft)
    check_to_be_sent(db, room, draft, event)
    return persist_event(db, server, room, event, state_before=state_before, transaction=transaction)


def _find_signed(db: Db, server: LocalServer, room: Room, sender: str, draft: Draft) -> tuple[Event, int] | None:
    """The event that was built for the draft before, and that the room's policy server has signed since.

    Others may have come into the room meanwhile: it is sent if the rules still allow it. Raises Forbidden.
    """
    event = find_signed_event(db, server, room, sender, draft)
    if event is None:
        return None
    prev_events = select_events_by_id(db, event.prev_events).values()
    state_before = resolve_snapshots(db, room, [state_after(db, prev_event) for prev_event in prev_events])
    for snapshot in {state_before, room.state_snapshot}:
        auth_state = read_auth_state(
            db,
            room,
            snapshot,
            event_type=draft.type,
            state_key=draft.state_key,
            sender=sender,
            content=draft.content,
        )
        _check_auth(event, auth_state, room.version)
    return event, state_before


def build_next_event(db: Db, server: LocalServer, room: Room, sender: str, draft: Draft) -> tuple[Event, int]:
    """The event that would come next in the room, allowed by its rules, and the snapshot of the state before it.

    It is signed by this server, whoever's the sender is. Raises Forbidden, BadJson, TooLarge.
    """
    prev_events, state_before = _place(db, room)
    auth_state = read_auth_state(
        db,
        room,
        state_before,
        event_type=draft.type,
        state_key=draft.state_key,
        sender=sender,
        content=draft.content,
    )
    event = _build(
        server,
        room.version,
        room.room_id,
        sender,
        draft,
        now=server.now_ms(),
        prev_events=prev_events,
        auth_events=auth_state,
    )
    _check_auth(event, auth_state, room.version)
    return event, state_before


def _see_guests_off(db: Db, server: LocalServer, room: Room, cause: PersistedEvent) -> None:
    for guest in select_unwelcome_guests(db, room, cause):
        leave = Draft(type="m.room.member", state_key=guest, content={"membership": "leave"})
        _send_new(db, server, get_room(db, room.room_nid), guest, leave)


def _place(db: Db, room: Room) -> tuple[list[Event], int]:
    """What a new event refers to, and the snapshot of the state before it."""
    newest = select_newest_extremities(db, room.room_nid, MAX_PREV_EVENTS + 1)
    tips = list(select_events(db, newest[:MAX_PREV_EVENTS]).values())
    is_all = len(newest) == len(tips)
    snapshot = room.state_snapshot if is_all else resolve_snapshots(db, room, [state_after(db, tip) for tip in tips])
    return [tip.event for tip in tips], snapshot


def _build(
    server: LocalServer,
    version: RoomVersion,
    room_id: RoomID | None,
    sender: str,
    draft: Draft,
    *,
    now: int,
    prev_events: Iterable[Event],
    auth_events: Mapping[StateTuple, Event],
) -> Event:
    """The event, hashed, signed and checked for its format."""
    prev_events = list(prev_events)
    named = [
        auth_events[key]
        for key in select_auth_event_types(draft.type, draft.state_key, sender, draft.content, version)
        if key in auth_events
    ]
    pdu = build_event(
        room_version=version,
        room_id=room_id,
        event_type=draft.type,
        sender=UserID(sender),
        content=draft.content,
        state_key=draft.state_key,
        prev_events=[event.event_id for event in prev_events],
        auth_events=[event.event_id for event in named],
        depth=max((event.depth for event in prev_events), default=0) + 1,
        origin_server_ts=now,
        redacts=None if draft.redacts is None else EventID(draft.redacts),
        event_id=_new_event_id(server, version),
        reference_hashes=_reference_hashes([*prev_events, *named], version),
    )
    if draft.sticky_ms is not None:
        pdu[STICKY] = {"duration_ms": draft.sticky_ms}
    return parse_event(sign_event(pdu, version, server.name, server.signing_key), version)


def _check_auth(event: Event, auth_state: Mapping[StateTuple, Event], version: RoomVersion) -> None:
    verdict = check_event_auth(event, auth_state, version)
    if isinstance(verdict, Rejected):
        raise Forbidden(f"The room does not allow this: {verdict.reason}.")


def _new_event_id(server: LocalServer, version: RoomVersion) -> EventID | None:
    if version.event_id_format is not EventIDFormat.IN_EVENT:
        return None
    return EventID(f"${secrets.token_urlsafe(18)}:{server.name}")


def _reference_hashes(events: Iterable[Event], version: RoomVersion) -> Mapping[EventID, bytes] | None:
    if not version.references_have_hashes:
        return None
    return {event.event_id: reference_hash(event.pdu, version) for event in events}
