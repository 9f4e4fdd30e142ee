"""Rooms that replace others, and what follows a user from the old one to the new: tags, push rules, direct chats.

"When a user joins the new room, the server should automatically transfer/replicate some of the user's personalized
settings such as notifications, tags, etc." Only where both rooms agree: the new one's create event names the old one as
its predecessor, and the old one's tombstone names the new one.
(Client-Server API, § Room Upgrades)
"""

from typing import Any, Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.push_rules import find_rule, with_rule
from tabstead.rooms.state import find_current_event
from tabstead.storage.account_data import find_account_data, update_account_data
from tabstead.storage.database import Db
from tabstead.storage.rooms import Room, find_room
from tabstead.streams.push_rules import update_ruleset

CREATE: Final = "m.room.create"
TOMBSTONE: Final = "m.room.tombstone"

_TAGS: Final = "m.tag"
_DIRECT: Final = "m.direct"
_RULES_OF_A_ROOM: Final = ("override", "room")
"""Kinds in which clients name a rule after the room that it mutes or makes louder."""


def find_predecessor(db: Db, room: Room) -> Room | None:
    """The room that this one replaced, if it is known here and agrees."""
    create = find_current_event(db, room, CREATE)
    named = None if create is None else create.event.content.get("predecessor")
    old_id = named.get("room_id") if isinstance(named, dict) else None
    old = find_room(db, old_id) if isinstance(old_id, str) else None
    tombstone = None if old is None else find_current_event(db, old, TOMBSTONE)
    agrees = tombstone is not None and tombstone.event.content.get("replacement_room") == room.room_id
    return old if agrees else None


def carry_settings_over(db: Db, room: Room, user_id: str) -> None:
    """Give a user who is now in a room the settings that they had for the room which it replaced."""
    old = find_predecessor(db, room)
    if old is None:
        return
    _copy_tags(db, user_id, old.room_id, room.room_id)
    _copy_direct(db, user_id, old.room_id, room.room_id)
    update_ruleset(db, user_id, lambda ruleset: _with_copied_rules(ruleset, old.room_id, room.room_id))


def _copy_tags(db: Db, user_id: str, old_id: str, new_id: str) -> None:
    tags = find_account_data(db, user_id, _TAGS, old_id)
    if tags and find_account_data(db, user_id, _TAGS, new_id) is None:
        update_account_data(db, user_id, _TAGS, tags, new_id)


def _copy_direct(db: Db, user_id: str, old_id: str, new_id: str) -> None:
    """The room is a direct chat with whom the old one was."""
    direct = find_account_data(db, user_id, _DIRECT)
    if direct is None:
        return
    changed = {partner: _with_successor(rooms, old_id, new_id) for partner, rooms in direct.items()}
    if changed != direct:
        update_account_data(db, user_id, _DIRECT, changed)


def _with_successor(rooms: Any, old_id: str, new_id: str) -> Any:
    return [*rooms, new_id] if isinstance(rooms, list) and old_id in rooms and new_id not in rooms else rooms


def _with_copied_rules(ruleset: JsonDict, old_id: str, new_id: str) -> JsonDict:
    for kind in _RULES_OF_A_ROOM:
        rule = find_rule(ruleset, kind, old_id)
        if rule is not None and find_rule(ruleset, kind, new_id) is None:
            ruleset = with_rule(ruleset, kind, _rule_for(rule, old_id, new_id))
    return ruleset


def _rule_for(rule: JsonDict, old_id: str, new_id: str) -> JsonDict:
    copied = {**rule, "rule_id": new_id}
    if isinstance(rule.get("conditions"), list):
        copied["conditions"] = [
            {**condition, "pattern": new_id} if condition.get("pattern") == old_id else condition
            for condition in rule["conditions"]
        ]
    return copied
