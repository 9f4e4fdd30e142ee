"""What a room tells those who are not in it, and who they are: for the directory, spaces, and previews.

(Client-Server API, § Published room directory, § Spaces, GET /room_summary)
"""

from collections.abc import Mapping
from typing import Any, Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import StateTuple
from tabstead.rooms.restricted_joins import RESTRICTED, allowed_room_ids, meets_condition
from tabstead.rooms.state import find_current_events
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent
from tabstead.storage.memberships import count_members, find_membership
from tabstead.storage.rooms import Room

_CREATE: Final[StateTuple] = ("m.room.create", "")
_NAME: Final[StateTuple] = ("m.room.name", "")
_TOPIC: Final[StateTuple] = ("m.room.topic", "")
_CANONICAL_ALIAS: Final[StateTuple] = ("m.room.canonical_alias", "")
_AVATAR: Final[StateTuple] = ("m.room.avatar", "")
_JOIN_RULES: Final[StateTuple] = ("m.room.join_rules", "")
_HISTORY_VISIBILITY: Final[StateTuple] = ("m.room.history_visibility", "")
_GUEST_ACCESS: Final[StateTuple] = ("m.room.guest_access", "")
_ENCRYPTION: Final[StateTuple] = ("m.room.encryption", "")

_LISTED: Final = (
    _CREATE,
    _NAME,
    _TOPIC,
    _CANONICAL_ALIAS,
    _AVATAR,
    _JOIN_RULES,
    _HISTORY_VISIBILITY,
    _GUEST_ACCESS,
)
_OPEN_TO_ALL: Final = frozenset({"public", "knock", "knock_restricted"})
"""Join rules under which anybody may join, or ask to."""

State = Mapping[StateTuple, PersistedEvent]


def summarise_for_directory(db: Db, room: Room) -> JsonDict:
    """What the room directory says of a room: a `PublicRoomsChunk`."""
    return _summarise(db, room, find_current_events(db, room, _LISTED))


def summarise_room(db: Db, room: Room) -> JsonDict:
    """What previews say of a room: a `RoomSummary`."""
    state = find_current_events(db, room, (*_LISTED, _ENCRYPTION))
    summary = {**_summarise(db, room, state), "room_version": room.version.name}
    encryption = _text(state, _ENCRYPTION, "algorithm")
    if encryption is not None:
        summary["encryption"] = encryption
    if allowed := allowed_room_ids(_content(state, _JOIN_RULES)):
        summary["allowed_room_ids"] = allowed
    return summary


def may_preview(db: Db, room: Room, user_id: str | None) -> bool:
    """Whether a user may know what the room's summary says; None: somebody who didn't say who they are.

    Who is in the room, or may join it or ask to, and everybody where the room is readable by everybody.
    """
    state = find_current_events(db, room, (_JOIN_RULES, _HISTORY_VISIBILITY))
    if _text(state, _HISTORY_VISIBILITY, "history_visibility") == "world_readable":
        return True
    membership = None if user_id is None else find_membership(db, user_id, room.room_nid)
    if membership is not None and membership.membership in {"join", "invite"}:
        return True
    if membership is not None and membership.membership == "ban":
        return False
    join_rules = _content(state, _JOIN_RULES)
    join_rule = _text(state, _JOIN_RULES, "join_rule")
    if join_rule in _OPEN_TO_ALL:
        return True
    return user_id is not None and join_rule in RESTRICTED and meets_condition(db, user_id, join_rules)


def is_open_to_all(db: Db, room: Room) -> bool:
    """Whether anybody may join the room, or read it."""
    state = find_current_events(db, room, (_JOIN_RULES, _HISTORY_VISIBILITY))
    if _text(state, _JOIN_RULES, "join_rule") == "public":
        return True
    return _text(state, _HISTORY_VISIBILITY, "history_visibility") == "world_readable"


def _summarise(db: Db, room: Room, state: State) -> JsonDict:
    summary = {
        "name": _text(state, _NAME, "name"),
        "topic": next(iter(plain_topics(_content(state, _TOPIC))), None),
        "canonical_alias": _text(state, _CANONICAL_ALIAS, "alias"),
        "avatar_url": _text(state, _AVATAR, "url"),
        "join_rule": _text(state, _JOIN_RULES, "join_rule"),
        "room_type": _text(state, _CREATE, "type"),
    }
    return {
        "room_id": room.room_id,
        "num_joined_members": count_members(db, room.room_nid),
        "world_readable": _text(state, _HISTORY_VISIBILITY, "history_visibility") == "world_readable",
        "guest_can_join": _text(state, _GUEST_ACCESS, "guest_access") == "can_join",
        **{key: value for key, value in summary.items() if value is not None},
    }


def plain_topics(content: Mapping[str, Any]) -> list[str]:
    """What an `m.room.topic` says in plain text: each such representation in `m.topic`, then `topic`."""
    rich = content.get("m.topic")
    texts = rich.get("m.text") if isinstance(rich, dict) else None
    plain = [
        text.get("body")
        for text in (texts if isinstance(texts, list) else ())
        if isinstance(text, dict) and text.get("mimetype", "text/plain") == "text/plain"
    ]
    said = (text for text in (*plain, content.get("topic")) if isinstance(text, str) and text)
    return list(dict.fromkeys(said))


def _content(state: State, state_tuple: StateTuple) -> Mapping[str, Any]:
    found = state.get(state_tuple)
    return {} if found is None else found.event.content


def _text(state: State, state_tuple: StateTuple, key: str) -> str | None:
    """A text of a state event; an empty one counts as none."""
    value = _content(state, state_tuple).get(key)
    return value if isinstance(value, str) and value else None
