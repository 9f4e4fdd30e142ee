"""Persist an event whose fate is decided: the one door through which every event, ours or another server's, comes in.

What is written, in this order: the event at the next stream position; its place among auth chains; its relation; a
redaction's effect; the room's forward extremities; and, if the room's state changed, its new snapshot, the current
state with a record of the change, and the memberships that follow from it. Then the followers are told.

A soft-failed or rejected event is stored and takes part in nothing else of this: it is no forward extremity, and the
current state doesn't know it. When an accepted event refers to one, it stands for what that one refers to.

Events from before our time, or from before an outage, come in by a side of the same door (`persist_history_event`): at
a position in the gap where they belong, so that whoever reads on finds them and nobody is woken. They have relations
and redactions, and change neither forward extremities nor the current state, which know what came of them.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tabstead.protocol.events import Event
from tabstead.protocol.events.event import MAX_PREV_EVENTS
from tabstead.protocol.identifiers import EventID
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.redactions import apply_pending_redactions, apply_redaction
from tabstead.rooms.resolution import resolve_snapshots
from tabstead.rooms.search_index import index_history
from tabstead.rooms.state import state_after
from tabstead.storage.auth_chains import insert_auth_chain
from tabstead.storage.client_transactions import ClientTransaction
from tabstead.storage.compaction.state import note_snapshot
from tabstead.storage.current_state import update_current
from tabstead.storage.database import Db
from tabstead.storage.directory_words import insert_directory_news
from tabstead.storage.events import (
    PersistedEvent,
    Standing,
    insert_event,
    select_events,
    select_standings,
    update_placed,
)
from tabstead.storage.gaps import insert_gap, open_gap
from tabstead.storage.memberships import delete_membership, update_membership
from tabstead.storage.positions import next_position
from tabstead.storage.relations import insert_relation
from tabstead.storage.room_servers import is_server_in
from tabstead.storage.rooms import (
    Room,
    select_forward_extremities,
    update_forward_extremities,
    update_state_snapshot,
)
from tabstead.storage.state_history import EMPTY, diff


def persist_event(
    db: Db,
    server: LocalServer,
    room: Room,
    event: Event,
    *,
    state_before: int,
    standing: Standing = Standing.ACCEPTED,
    transaction: ClientTransaction | None = None,
    outlier: PersistedEvent | None = None,
    missing: frozenset[EventID] = frozenset(),
    is_awaited: bool = False,
) -> PersistedEvent:
    """Persist a new event of a room, the room being as the database has it. Returns it with its position.

    `state_before` is the snapshot of the state before the event; `transaction` that of the device which sent it;
    `outlier` the event itself, if it was stored without a place before; `missing` those of its prev events that have
    no place here, so that there is a gap before it. What `is_awaited` comes after others that refer to it.
    """
    if missing:
        open_gap(db)
    position = next_position(db)
    persisted = _insert(
        db,
        room,
        event,
        position=position,
        state_before=state_before,
        standing=standing,
        outlier=outlier,
        transaction=transaction,
    )
    if missing:
        insert_gap(db, room.room_nid, position, missing)
    if standing is not Standing.ACCEPTED:
        return persisted
    _follow_up(db, room, persisted)
    if missing and not is_server_in(db, room.room_nid, server.name):
        extremities = _replace_forward_extremities(db, room, persisted)
    else:
        extremities = _move_forward_extremities(db, room, persisted, is_awaited=is_awaited)
    _move_current_state(db, room, persisted, extremities)
    for follow in server.followers:
        follow(db, persisted)
    return persisted


def persist_history_event(
    db: Db,
    room: Room,
    event: Event,
    *,
    position: int,
    state_before: int,
    standing: Standing,
    outlier: PersistedEvent | None = None,
) -> PersistedEvent:
    """Persist an event of a room's history at a free position in a gap."""
    persisted = _insert(
        db, room, event, position=position, state_before=state_before, standing=standing, outlier=outlier
    )
    note_snapshot(db, state_before)
    if standing is Standing.ACCEPTED:
        index_history(db, persisted)
        _follow_up(db, room, persisted)
    return persisted


def persist_outlier(db: Db, room: Room, event: Event, *, standing: Standing) -> PersistedEvent:
    """Persist a new event without a place in the timeline: for the sake of those that name it as an auth event."""
    persisted = insert_event(db, room, event, stream_position=None, standing=standing, state_before=EMPTY)
    insert_auth_chain(db, persisted.event_nid, event)
    return persisted


def relation_of(event: Event) -> tuple[str, str, str | None] | None:
    """(event id, relation type, aggregation key) of an event's `m.relates_to`, if it relates to another event."""
    relation: Any = event.content.get("m.relates_to")
    if not isinstance(relation, dict):
        return None
    relates_to, relation_type, key = (relation.get(name) for name in ("event_id", "rel_type", "key"))
    if not isinstance(relates_to, str) or not isinstance(relation_type, str):
        return None
    return relates_to, relation_type, key if isinstance(key, str) else None


def _insert(
    db: Db,
    room: Room,
    event: Event,
    *,
    position: int,
    state_before: int,
    standing: Standing,
    outlier: PersistedEvent | None,
    transaction: ClientTransaction | None = None,
) -> PersistedEvent:
    """Store an event with its place."""
    if outlier is not None:
        return update_placed(db, outlier, stream_position=position, standing=standing, state_before=state_before)
    persisted = insert_event(
        db,
        room,
        event,
        stream_position=position,
        standing=standing,
        state_before=state_before,
        transaction=transaction,
    )
    insert_auth_chain(db, persisted.event_nid, event)
    return persisted


def _follow_up(db: Db, room: Room, persisted: PersistedEvent) -> None:
    """What an accepted event does to others: its relation, its redaction, and that of itself if it came before."""
    _insert_relation_of(db, persisted)
    if persisted.event.type == "m.room.redaction":
        apply_redaction(db, room, persisted)
    apply_pending_redactions(db, room, persisted)


def _insert_relation_of(db: Db, persisted: PersistedEvent) -> None:
    relation = relation_of(persisted.event)
    if relation is not None:
        insert_relation(db, persisted.event_nid, *relation)


def _move_forward_extremities(db: Db, room: Room, persisted: PersistedEvent, *, is_awaited: bool = False) -> list[int]:
    """The event becomes a forward extremity, what it refers to no longer is one. Returns all of them.

    An awaited one becomes none: what refers to it has been one since, or what came after that.
    """
    before = select_forward_extremities(db, room.room_nid)
    referred = _accepted_behind(db, persisted.event.prev_events) if before else set()
    removed = [event_nid for event_nid in before if event_nid in referred]
    kept = [event_nid for event_nid in before if event_nid not in referred]
    added = [] if is_awaited and kept else [persisted.event_nid]
    update_forward_extremities(db, room.room_nid, removed=removed, added=added)
    return [*kept, *added]


def _replace_forward_extremities(db: Db, room: Room, persisted: PersistedEvent) -> list[int]:
    """The event becomes the only forward extremity: nobody here has been in the room since the others came."""
    before = select_forward_extremities(db, room.room_nid)
    update_forward_extremities(db, room.room_nid, removed=before, added=[persisted.event_nid])
    return [persisted.event_nid]


def _accepted_behind(db: Db, prev_events: Collection[str]) -> set[int]:
    """The accepted events that these are, or that stand behind those of them that were not accepted."""
    accepted: set[int] = set()
    seen = set(prev_events)
    unvisited: Sequence[str] = [*prev_events]
    while unvisited:
        standings = select_standings(db, unvisited)
        accepted |= {nid for nid, (_, standing) in standings.items() if standing is Standing.ACCEPTED}
        others = select_events(db, (nid for nid in standings if nid not in accepted)).values()
        behind = (prev for event in others for prev in event.event.prev_events)
        unvisited = [event_id for event_id in dict.fromkeys(behind) if event_id not in seen]
        seen |= set(unvisited)
    return accepted


def _move_current_state(db: Db, room: Room, persisted: PersistedEvent, extremities: list[int]) -> None:
    """Bring the current state to the resolution of the states after all forward extremities.

    Where there are more of them than an event may name, the state so far stands for the older ones: or each of
    thousands of forks would cost as much as all before it.
    """
    if extremities == [persisted.event_nid]:
        snapshot = state_after(db, persisted)
    elif len(extremities) > MAX_PREV_EVENTS:
        snapshot = resolve_snapshots(db, room, [room.state_snapshot, state_after(db, persisted)])
    else:
        tips = select_events(db, extremities).values()
        snapshot = resolve_snapshots(db, room, [state_after(db, tip) for tip in tips])
    changes = diff(db, room.state_snapshot, snapshot)
    if not changes:
        return
    update_state_snapshot(db, room.room_nid, snapshot)
    update_current(db, room.room_nid, persisted.position, changes)
    if room.is_public:
        insert_directory_news(db, room.room_nid)
    members = {user_id: nid for (event_type, user_id), (_, nid) in changes.items() if event_type == "m.room.member"}
    _follow_memberships(db, room, members, persisted)


def _follow_memberships(db: Db, room: Room, members: Mapping[str, int | None], cause: PersistedEvent) -> None:
    others = [nid for nid in members.values() if nid is not None and nid != cause.event_nid]
    events = {cause.event_nid: cause, **(select_events(db, others) if others else {})}
    for user_id, event_nid in members.items():
        if event_nid is None:
            delete_membership(db, user_id, room.room_nid)
            continue
        update_membership(
            db,
            user_id,
            room.room_nid,
            membership=events[event_nid].event.membership or "leave",
            event_nid=event_nid,
            stream_position=cause.position,
        )
