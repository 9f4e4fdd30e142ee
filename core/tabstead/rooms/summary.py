"""What a room tells those who are not in it, and who they are: for the directory, spaces, and previews.

(Client-Server API, § Published room directory, § Spaces, GET /room_summary)
"""

from collections.abc import Mapping
from typing import Any, Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import StateTuple, find_server_name_of
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.restricted_joins import RESTRICTED, allowed_room_ids, meets_condition
from tabstead.rooms.server_access import may_take_part
from tabstead.rooms.state import find_current_events
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent
from tabstead.storage.memberships import count_members, find_membership, select_members
from tabstead.storage.room_servers import is_server_in, select_servers
from tabstead.storage.rooms import Room, find_room
from tabstead.storage.state_history import EMPTY

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


def may_server_preview(db: Db, room: Room, server_name: str) -> bool:
    """Whether a server may know what the room's summary says: where one of its users could be somebody who may."""
    if not may_take_part(db, room, server_name):
        return False
    state = find_current_events(db, room, (_JOIN_RULES, _HISTORY_VISIBILITY))
    join_rule = _text(state, _JOIN_RULES, "join_rule")
    if join_rule in _OPEN_TO_ALL or _text(state, _HISTORY_VISIBILITY, "history_visibility") == "world_readable":
        return True
    if is_server_in(db, room.room_nid, server_name):
        return True
    invited = select_members(db, room.room_nid, ("invite",))
    if any(find_server_name_of(member.user_id) == server_name for member in invited):
        return True
    conditions = (find_room(db, room_id) for room_id in allowed_room_ids(_content(state, _JOIN_RULES)))
    return any(other is not None and is_server_in(db, other.room_nid, server_name) for other in conditions)


def may_preview_told(db: Db, summary: Mapping[str, Any], user_id: str) -> bool:
    """The same as `may_preview` for a room that this server is not in, by the summary that another one gives."""
    room = find_room(db, str(summary.get("room_id")))
    membership = None if room is None else find_membership(db, user_id, room.room_nid)
    if membership is not None and membership.membership in {"join", "invite"}:
        return True
    if membership is not None and membership.membership == "ban":
        return False
    if summary.get("world_readable") is True or summary.get("join_rule", "public") in _OPEN_TO_ALL:
        return True
    conditions = {"join_rule": summary.get("join_rule"), "allow": _conditions(summary.get("allowed_room_ids"))}
    return meets_condition(db, user_id, conditions)


def is_held(db: Db, server: LocalServer, room: Room) -> bool:
    """Whether what this server knows of the room is what there is to know: it is in it, or nobody is any more."""
    if is_server_in(db, room.room_nid, server.name):
        return True
    return room.state_snapshot != EMPTY and not select_servers(db, room.room_nid)


def _conditions(room_ids: object) -> list[JsonDict]:
    named = room_ids if isinstance(room_ids, list) else []
    return [{"type": "m.room_membership", "room_id": room_id} for room_id in named]


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
