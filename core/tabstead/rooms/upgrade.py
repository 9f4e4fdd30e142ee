"""Upgrading a room: another room of a newer version takes its place.

In one transaction: the replacement is created, with a `predecessor` in its create event; the state that says what the
room is like is copied, but neither memberships nor what depends on who sent it; the aliases of this server and the
place in the room directory move over; the old room gets a tombstone, and power levels by which hardly anyone can write.

A replacement whose ID is free to choose is named by the tombstone before it exists, so that its `predecessor` can name
the tombstone. Since version 12 the ID is a hash of the create event, and the predecessor names the room alone.
(Client-Server API, § Room Upgrades)
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from tabstead.errors import Forbidden
from tabstead.protocol.auth_rules import PowerLevels
from tabstead.protocol.auth_rules.power_levels import CREATOR_LEVEL_WITHOUT_EVENT, parse_power_level
from tabstead.protocol.auth_rules.room_state import creators_of
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import EventID, RoomID, StateTuple
from tabstead.protocol.room_versions import RoomVersion
from tabstead.rooms.aliases import CANONICAL_ALIAS
from tabstead.rooms.create import TOMBSTONE_LEVEL_OVER_CREATORS
from tabstead.rooms.draft import Draft
from tabstead.rooms.local_checks import listed_aliases
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.membership import member_content, send_membership
from tabstead.rooms.send import new_room_id, send_create_event, send_event
from tabstead.rooms.state import find_current_event, find_current_events, read_power_levels, select_current_events
from tabstead.rooms.succession import CREATE, TOMBSTONE, carry_settings_over
from tabstead.storage.database import Db
from tabstead.storage.events import PersistedEvent
from tabstead.storage.memberships import is_joined
from tabstead.storage.room_aliases import move_aliases
from tabstead.storage.room_directory import update_directory_listing
from tabstead.storage.rooms import Room, get_room

POWER_LEVELS: Final = "m.room.power_levels"
JOIN_RULES: Final = "m.room.join_rules"
_SPACE_CHILD: Final = "m.space.child"

_COPIED: Final = (
    "m.room.server_acl",
    "m.room.encryption",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.guest_access",
    "m.room.history_visibility",
    JOIN_RULES,
)
"""What the specification recommends to transfer, beside the power levels."""

_LEVEL_NAMES: Final = ("users_default", "events_default", "state_default", "ban", "redact", "kick", "invite")
_LEVEL_TABLES: Final = ("users", "events", "notifications")


def upgrade_room(
    db: Db,
    server: LocalServer,
    room: Room,
    user_id: str,
    *,
    version: RoomVersion,
    additional_creators: Iterable[str] = (),
) -> Room:
    """Replace a room and return the replacement. Raises Forbidden for who may not send its tombstone.

    `additional_creators` count where the version knows such.
    """
    _check_may_upgrade(db, room, user_id)
    state = find_current_events(db, room, [(event_type, "") for event_type in (CREATE, *_COPIED)])
    room_id, tombstone_id = None, None
    if not version.room_id_is_create_hash:
        room_id = new_room_id(server)
        tombstone_id = _send_tombstone(db, server, room, user_id, room_id)
    content = _create_content(room, user_id, version, state[CREATE, ""], additional_creators)
    if tombstone_id is not None:
        content["predecessor"]["event_id"] = tombstone_id
    replacement, create = send_create_event(db, server, version, user_id, content, room_id=room_id)
    if tombstone_id is None:
        _send_tombstone(db, server, room, user_id, replacement.room_id)
    creators = creators_of(create.event, version)
    levels = _levels_for(read_power_levels(db, room), version, user_id, creators)
    _fill(db, server, replacement, user_id, levels=levels, copies=list(_copies(db, room, state, version)))
    _move_addresses(db, server, room, replacement, user_id)
    with suppress(Forbidden):
        _restrict(db, server, room, user_id)
    carry_settings_over(db, replacement, user_id)
    return get_room(db, replacement.room_nid)


def _check_may_upgrade(db: Db, room: Room, user_id: str) -> None:
    levels = read_power_levels(db, room)
    required = levels.event_power_level_required(TOMBSTONE, is_state=True)
    if not is_joined(db, user_id, room.room_nid) or levels.user_power_level(user_id) < required:
        raise Forbidden("You may not upgrade this room.")


def _send_tombstone(db: Db, server: LocalServer, room: Room, user_id: str, replacement_id: RoomID) -> EventID:
    content = {"body": "This room has been replaced.", "replacement_room": replacement_id}
    return send_event(db, server, room, user_id, Draft(type=TOMBSTONE, state_key="", content=content)).event_id


def _create_content(
    room: Room,
    user_id: str,
    version: RoomVersion,
    create: PersistedEvent,
    additional_creators: Iterable[str],
) -> JsonDict:
    content: JsonDict = {"room_version": version.name, "predecessor": {"room_id": room.room_id}}
    if version.creator_in_content:  # v1-v10
        content["creator"] = user_id
    if isinstance(create.event.content.get("type"), str):
        content["type"] = create.event.content["type"]
    if create.event.content.get("m.federate") is False:
        content["m.federate"] = False
    creators = list(dict.fromkeys(additional_creators))
    if version.privileged_creators and creators:  # v12-
        content["additional_creators"] = creators
    return content


def _fill(db: Db, server: LocalServer, room: Room, user_id: str, *, levels: JsonDict, copies: list[Draft]) -> None:
    """The upgrading user joins, and sends the power levels and the copied state.

    Where the user is not mighty enough to send all of it, the power levels come twice: the last ones last.
    """
    send_membership(db, server, room, member_content(db, user_id, "join"), sender=user_id, target=user_id)
    final = Draft(type=POWER_LEVELS, state_key="", content=levels)
    if room.version.privileged_creators:  # v12-
        send_event(db, server, room, user_id, final)
    else:
        users = {**levels["users"], user_id: max(CREATOR_LEVEL_WITHOUT_EVENT, _highest(levels))}
        send_event(
            db, server, room, user_id, Draft(type=POWER_LEVELS, state_key="", content={**levels, "users": users})
        )
    for draft in copies:
        send_event(db, server, room, user_id, draft)
    # The same content once more is no new event.
    send_event(db, server, room, user_id, final)


def _copies(db: Db, room: Room, state: Mapping[StateTuple, PersistedEvent], version: RoomVersion) -> Iterator[Draft]:
    """The copied state, and the children of a space: without them it would be none."""
    for event_type in _COPIED:
        found = state.get((event_type, ""))
        content = {} if found is None else found.event.content
        if content:
            fitting = _fitting_join_rules(content, version) if event_type == JOIN_RULES else content
            yield Draft(type=event_type, state_key="", content=dict(fitting))
    if state[CREATE, ""].event.content.get("type") != "m.space":
        return
    for child in select_current_events(db, room, _SPACE_CHILD):
        if isinstance(child.event.content.get("via"), list):
            yield Draft(type=_SPACE_CHILD, state_key=child.event.state_key, content=dict(child.event.content))


def _fitting_join_rules(content: JsonDict, version: RoomVersion) -> JsonDict:
    """The join rules, or the nearest stricter ones that the version knows."""
    known = {
        "knock": version.knocking,
        "restricted": version.restricted_joins,
        "knock_restricted": version.knock_restricted_joins,
    }
    return content if known.get(str(content.get("join_rule")), True) else {"join_rule": "invite"}


def _levels_for(old: PowerLevels, version: RoomVersion, user_id: str, creators: frozenset[str]) -> JsonDict:
    """The power levels of the old room as the version of the new one wants them."""
    levels = _readable_levels(old)
    if version.privileged_creators:  # v12-: creators must not be listed
        levels["users"] = {user: level for user, level in levels["users"].items() if user not in creators}
        named = levels["events"].get(TOMBSTONE, levels.get("state_default", 0))
        levels["events"][TOMBSTONE] = max(named, TOMBSTONE_LEVEL_OVER_CREATORS, levels.get("state_default", 0) + 1)
    elif old.content is None or old.room_version.privileged_creators:
        highest = max(CREATOR_LEVEL_WITHOUT_EVENT, _highest(levels))
        levels["users"] = {**levels["users"], **dict.fromkeys((*sorted(old.creators), user_id), highest)}
    return levels


def _readable_levels(old: PowerLevels) -> JsonDict:
    """The content with every level an integer: older versions also took strings and floats for one."""
    content: JsonDict = dict(old.content or {})
    for name in _LEVEL_NAMES:
        level = parse_power_level(content.pop(name, None), old.room_version)
        if level is not None:
            content[name] = level
    for table in _LEVEL_TABLES:
        content[table] = _readable_table(content.get(table), old.room_version)
    return content


def _readable_table(table: Any, version: RoomVersion) -> dict[str, int]:
    entries = table if isinstance(table, dict) else {}
    parsed = {key: parse_power_level(value, version) for key, value in entries.items()}
    return {key: level for key, level in parsed.items() if level is not None}


def _highest(levels: JsonDict) -> int:
    named = [levels[name] for name in _LEVEL_NAMES if name in levels]
    return max([*named, *(level for table in _LEVEL_TABLES for level in levels[table].values())], default=0)


def _move_addresses(
    db: Db,
    server: LocalServer,
    room: Room,
    replacement: Room,
    user_id: str,
) -> None:
    """Local aliases lead to the replacement, which is listed where the room was."""
    moved = move_aliases(db, room.room_id, replacement.room_id)
    canonical = find_current_event(db, room, CANONICAL_ALIAS)
    if canonical is not None and moved:
        content = canonical.event.content
        kept = _only_aliases(content, [alias for alias in listed_aliases(content) if alias in moved])
        left = _only_aliases(content, [alias for alias in listed_aliases(content) if alias not in moved])
        if kept:
            send_event(db, server, replacement, user_id, Draft(type=CANONICAL_ALIAS, state_key="", content=kept))
            with suppress(Forbidden):
                send_event(db, server, room, user_id, Draft(type=CANONICAL_ALIAS, state_key="", content=left))
    if room.is_public:
        update_directory_listing(db, replacement.room_nid, True)
        update_directory_listing(db, room.room_nid, False)


def _only_aliases(content: JsonDict, wanted: list[Any]) -> JsonDict:
    """What an `m.room.canonical_alias` says of these aliases."""
    alternatives = [alias for alias in listed_aliases({**content, "alias": None}) if alias in wanted]
    canonical = {"alias": content["alias"]} if content.get("alias") in wanted else {}
    return {**canonical, **({"alt_aliases": alternatives} if alternatives else {})}


def _restrict(db: Db, server: LocalServer, room: Room, user_id: str) -> None:
    """Leave writing and inviting in the old room to its moderators. Raises Forbidden."""
    current = find_current_event(db, room, POWER_LEVELS)
    if current is None:
        return
    old = read_power_levels(db, room)
    content = dict(current.event.content)
    users_default = parse_power_level(content.get("users_default"), room.version) or 0
    # "For example, setting events_default and invite to the greater of 50 and users_default + 1."
    least = max(50, users_default + 1)
    content["events_default"] = max(old.event_power_level_required("", is_state=False), least)
    content["invite"] = max(old.invite, least)
    send_event(db, server, room, user_id, Draft(type=POWER_LEVELS, state_key="", content=content))
