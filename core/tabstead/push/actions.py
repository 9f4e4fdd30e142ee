"""Follows the stream of events, in the transactions that persist them: whom does an event notify, and how loudly?

Most members have changed none of the default rules, which say the same to all of them unless the event names somebody.
So the defaults are put to the event once, and again only for those who are named; a member with rules of their own is
asked alone. Only what notifies is stored.
"""

from functools import cache
from typing import Any, Final, Protocol

from tabstead.protocol.auth_rules import PowerLevels
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event
from tabstead.protocol.identifiers import UserID, find_server_name_of
from tabstead.protocol.push_rules import (
    PushContext,
    default_push_rules,
    evaluate_push_rules,
    highlights,
    notifies,
)
from tabstead.rooms.state import find_current_event, read_power_levels
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, find_event
from tabstead.storage.push_actions import (
    MAIN,
    delete_push_actions_of_event,
    delete_push_actions_of_user,
    insert_push_action,
    update_spoken,
)
from tabstead.storage.push_audience import Listener, find_invited_listener, select_listeners
from tabstead.storage.pushers import queue_pushes, queue_unread_count
from tabstead.storage.rooms import Room, get_room
from tabstead.storage.thread_subscriptions import select_subscribed
from tabstead.streams.push_rules import complete_ruleset
from tabstead.streams.threads import thread_of

_SOMEBODY: Final = UserID("@:")
"""Whom no event names."""

_GONE: Final = frozenset({"leave", "ban"})


def record_push_actions(db: Db, persisted: PersistedEvent, *, server_name: str) -> None:
    """Store whom a new event of a timeline notifies, among this server's users: those joined, and one it invites."""
    event = persisted.event
    if event.redacts is not None:
        _forget_redacted(db, persisted, event.redacts)
    if event.type == "m.room.member" and event.membership in _GONE and event.state_key is not None:
        delete_push_actions_of_user(db, event.state_key, persisted.room_nid)
    thread_id = thread_of(db, event)
    if find_server_name_of(event.sender) == server_name:
        update_spoken(db, event.sender, persisted.room_nid, thread_id)
        queue_unread_count(db, event.sender)
    notified = _select_notified(db, persisted, server_name, thread_id)
    if notified:
        queue_pushes(db, notified, persisted.room_nid, persisted.position)
    for user_id, actions in notified.items():
        insert_push_action(
            db,
            user_id,
            room_nid=persisted.room_nid,
            event_position=persisted.position,
            thread_id=thread_id,
            highlights=highlights(actions),
            actions=actions,
        )


def _forget_redacted(db: Db, redaction: PersistedEvent, event_id: str) -> None:
    redacted = find_event(db, event_id)
    if redacted is not None and redacted.redacted_by == redaction.event_nid:
        delete_push_actions_of_event(db, redacted.room_nid, redacted.position)


def _select_notified(db: Db, persisted: PersistedEvent, server_name: str, thread_id: str) -> dict[str, list[Any]]:
    """The actions for each user who is notified."""
    event = persisted.event
    room = get_room(db, persisted.room_nid)
    members = select_listeners(db, room.room_nid)
    listeners = [
        listener
        for listener in (*members, *_invited(db, persisted))
        if listener.user_id != event.sender
        and event.sender not in listener.ignored_users
        and find_server_name_of(listener.user_id) == server_name
    ]
    if not listeners:
        return {}
    named = _named_users(event)
    subscribed = _select_subscribed(db, listeners, room.room_nid, thread_id)
    evaluate = _evaluator(db, room, event, len(members), _needs_power_levels(event, listeners))
    by_default = cache(lambda: evaluate(_SOMEBODY, default_push_rules(_SOMEBODY)))
    actions: dict[str, list[Any]] = {}
    for listener in listeners:
        user_id = UserID(listener.user_id)
        if user_id in subscribed:
            rules = complete_ruleset(user_id, listener.push_rules or {"global": {}}, with_threads=True)
            actions[user_id] = evaluate(user_id, rules, subscribed[user_id])
        elif listener.push_rules is not None:
            actions[user_id] = evaluate(user_id, complete_ruleset(user_id, listener.push_rules))
        elif user_id in named:
            actions[user_id] = evaluate(user_id, default_push_rules(user_id))
        else:
            actions[user_id] = by_default()
    return {user_id: found for user_id, found in actions.items() if notifies(found)}


def _select_subscribed(db: Db, listeners: list[Listener], room_nid: int, thread_id: str) -> dict[str, bool]:
    """Whether listeners are subscribed to the event's thread, for those who have ever subscribed to one."""
    if thread_id == MAIN:
        return {}
    return select_subscribed(db, [listener.user_id for listener in listeners], room_nid, thread_id)


def _invited(db: Db, persisted: PersistedEvent) -> list[Listener]:
    event = persisted.event
    if event.type != "m.room.member" or event.membership != "invite" or event.state_key is None:
        return []
    listener = find_invited_listener(db, persisted.room_nid, event.state_key)
    return [] if listener is None else [listener]


def _named_users(event: Event) -> set[str]:
    """Whom conditions of the default rules may single out."""
    named = set() if event.state_key is None else {event.state_key}
    mentions = event.content.get("m.mentions")
    user_ids = mentions.get("user_ids") if isinstance(mentions, dict) else None
    if isinstance(user_ids, list):
        named.update(user_id for user_id in user_ids if isinstance(user_id, str))
    return named


def _needs_power_levels(event: Event, listeners: list[Listener]) -> bool:
    """Whether some rule asks for the sender's power: a mention of the room, or a rule of a user's own."""
    return "m.mentions" in event.content or any(listener.push_rules is not None for listener in listeners)


class _Evaluate(Protocol):
    def __call__(self, user_id: UserID, ruleset: JsonDict, is_subscribed: bool | None = None) -> list[Any]: ...


def _evaluator(db: Db, room: Room, event: Event, member_count: int, needs_power_levels: bool) -> _Evaluate:
    power_levels = (
        read_power_levels(db, room)
        if needs_power_levels
        else PowerLevels(content=None, creators=frozenset(), room_version=room.version)
    )

    def evaluate(user_id: UserID, ruleset: JsonDict, is_subscribed: bool | None = None) -> list[Any]:
        context = PushContext(
            user_id=user_id,
            display_name=_find_display_name(db, room, user_id) if _asks_for_display_name(ruleset) else None,
            member_count=member_count,
            power_levels=power_levels,
            is_subscribed=is_subscribed,
        )
        return evaluate_push_rules(ruleset, event, context)

    return evaluate


def _asks_for_display_name(ruleset: JsonDict) -> bool:
    return any(
        condition.get("kind") == "contains_display_name"
        for kind in ("override", "underride")
        for rule in ruleset[kind]
        for condition in rule["conditions"]
    )


def _find_display_name(db: Db, room: Room, user_id: str) -> str | None:
    member = find_current_event(db, room, "m.room.member", user_id)
    display_name = None if member is None else member.event.content.get("displayname")
    return display_name if isinstance(display_name, str) else None
