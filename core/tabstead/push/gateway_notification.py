"""What a push gateway is told: of an event that notifies a user, or of how much is unread. (Push Gateway API)

With the format `event_id_only` nothing but ids and counts leave the server.
"""

from typing import Any, Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.push_rules import highlights
from tabstead.rooms.state import find_current_event
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent, find_event_at
from tabstead.storage.push_actions import find_unread_actions
from tabstead.storage.pushers import Pusher
from tabstead.storage.rooms import Room, get_room

_EVENT_ID_ONLY: Final = "event_id_only"


def build_event_notification(
    db: Db, pusher: Pusher, room_nid: int, event_position: int, unread: int
) -> JsonDict | None:
    """The notification of an event; None when the user has read it, or it is gone, or they are."""
    actions = find_unread_actions(db, pusher.user_id, room_nid, event_position)
    event = find_event_at(db, room_nid, event_position)
    if actions is None or event is None:
        return None
    tweaks = _tweaks(actions)
    is_urgent = event.event.type == "m.room.encrypted" or "sound" in tweaks or highlights(actions)
    notification: JsonDict = {
        "event_id": event.event_id,
        "room_id": event.event.room_id,
        "prio": "high" if is_urgent else "low",
        "counts": _counts(unread),
    }
    device = _device(pusher)
    if _format(pusher) != _EVENT_ID_ONLY:
        notification |= _describe(db, pusher, get_room(db, room_nid), event)
        device["tweaks"] = tweaks
    return {"notification": {**notification, "devices": [device]}}


def build_unread_notification(pusher: Pusher, unread: int) -> JsonDict:
    """The notification that the number of unread messages is another."""
    return {"notification": {"counts": _counts(unread), "devices": [_device(pusher)]}}


def _describe(db: Db, pusher: Pusher, room: Room, event: PersistedEvent) -> JsonDict:
    sender = event.event.sender
    described = {
        "sender_display_name": _setting(db, room, ("m.room.member", sender), "displayname"),
        "room_name": _setting(db, room, ("m.room.name", ""), "name"),
        "room_alias": _setting(db, room, ("m.room.canonical_alias", ""), "alias"),
    }
    shown: JsonDict = {key: value for key, value in described.items() if value is not None}
    if event.event.type == "m.room.member":
        shown["user_is_target"] = event.event.state_key == pusher.user_id
    return {"type": event.event.type, "sender": sender, "content": event.event.content, **shown}


def _setting(db: Db, room: Room, state_tuple: tuple[str, str], key: str) -> str | None:
    found = find_current_event(db, room, *state_tuple)
    value = None if found is None else found.event.content.get(key)
    return value if isinstance(value, str) and value else None


def _device(pusher: Pusher) -> JsonDict:
    return {
        "app_id": pusher.app_id,
        "pushkey": pusher.pushkey,
        "pushkey_ts": pusher.pushkey_ts // 1000,
        "data": {key: value for key, value in pusher.description["data"].items() if key != "url"},
    }


def _format(pusher: Pusher) -> Any:
    return pusher.description["data"].get("format")


def _counts(unread: int) -> JsonDict:
    """ "Counts whose value is zero should be omitted." """
    return {"unread": unread} if unread else {}


def _tweaks(actions: list[Any]) -> JsonDict:
    tweaks = [action for action in actions if isinstance(action, dict) and isinstance(action.get("set_tweak"), str)]
    return {action["set_tweak"]: action.get("value", True) for action in tweaks}
