"""Creating a room: all of its first events in one transaction, in the order that the specification gives.

(Client-Server API, § Creation, POST /createRoom)
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from tabstead.errors import Forbidden, InvalidRoomState, UserSuspended
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.room_versions import RoomVersion
from tabstead.rooms.aliases import CANONICAL_ALIAS, build_local_alias
from tabstead.rooms.draft import Draft
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.membership import invite_user, member_content, send_membership
from tabstead.rooms.send import send_create_event, send_event
from tabstead.storage.database import Db
from tabstead.storage.room_aliases import insert_alias
from tabstead.storage.room_directory import update_directory_listing
from tabstead.storage.rooms import Room


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What a preset says of a room."""

    join_rule: str
    guest_access: str
    invite_level: int
    trusts_invitees: bool = False
    """The invited users get the creator's power level."""


PRESETS: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        "private_chat": Preset(join_rule="invite", guest_access="can_join", invite_level=0),
        "trusted_private_chat": Preset(
            join_rule="invite", guest_access="can_join", invite_level=0, trusts_invitees=True
        ),
        "public_chat": Preset(join_rule="public", guest_access="forbidden", invite_level=50),
    }
)

CREATOR_LEVEL: Final = 100
TOMBSTONE_LEVEL_OVER_CREATORS: Final = 150
"""v12-: "MUST explicitly be higher than state_default", so that admins can't do what creators alone should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomCreation:
    """What a client asks for; its shape was checked."""

    version: RoomVersion
    preset: Preset
    is_public: bool = False
    alias_localpart: str | None = None
    name: str | None = None
    topic: str | None = None
    invite: tuple[str, ...] = ()
    invited_later: frozenset[str] = frozenset()
    """Those of them whose servers must be asked first; `create_room` does not invite them."""
    is_direct: bool = False
    creation_content: JsonDict = field(default_factory=dict)
    power_levels: JsonDict = field(default_factory=dict)
    """Laid over the default power levels."""
    initial_state: tuple[Draft, ...] = ()


def create_room(db: Db, server: LocalServer, creator: str, creation: RoomCreation) -> Room:
    """Create the room.

    Raises UserSuspended, RoomInUse for an alias that is taken, and InvalidRoomState when the rules of the room do not
    allow the state that is asked for.
    """
    try:
        return _create(db, server, creator, creation)
    except UserSuspended:
        raise
    except Forbidden as error:
        raise InvalidRoomState(error.sentence) from error


def _create(db: Db, server: LocalServer, creator: str, creation: RoomCreation) -> Room:
    room, _ = send_create_event(db, server, creation.version, creator, _create_content(creator, creation))
    send_membership(db, server, room, member_content(db, creator, "join"), sender=creator, target=creator)
    levels = Draft(type="m.room.power_levels", state_key="", content=_power_levels(creator, creation))
    send_event(db, server, room, creator, levels)
    if creation.alias_localpart is not None:
        room_alias = build_local_alias(db, server, creation.alias_localpart)
        insert_alias(db, room_alias, room.room_id, creator)
        alias = Draft(type=CANONICAL_ALIAS, state_key="", content={"alias": room_alias})
        send_event(db, server, room, creator, alias)
    for draft in (*_preset_state(creation), *creation.initial_state, *_named_state(creation)):
        send_event(db, server, room, creator, draft)
    for user_id in dict.fromkeys(user_id for user_id in creation.invite if user_id not in creation.invited_later):
        invite_user(db, server, room, creator, user_id, is_direct=creation.is_direct)
    if creation.is_public:
        update_directory_listing(db, room.room_nid, True)
    return room


def _create_content(creator: str, creation: RoomCreation) -> JsonDict:
    content = {**creation.creation_content, "room_version": creation.version.name}
    content.pop("creator", None)
    if creation.version.creator_in_content:  # v1-v10
        content["creator"] = creator
    if creation.version.privileged_creators and creation.preset.trusts_invitees:  # v12-
        named = content.get("additional_creators", [])
        if isinstance(named, list):
            content["additional_creators"] = [*named, *(user for user in creation.invite if user not in named)]
    return content


def _power_levels(creator: str, creation: RoomCreation) -> JsonDict:
    content: JsonDict = {
        "users": {},
        "users_default": 0,
        "events": {
            "m.room.name": 50,
            "m.room.power_levels": 100,
            "m.room.history_visibility": 100,
            "m.room.canonical_alias": 50,
            "m.room.avatar": 50,
            "m.room.tombstone": 100,
            "m.room.server_acl": 100,
            "m.room.encryption": 100,
        },
        "events_default": 0,
        "state_default": 50,
        "ban": 50,
        "kick": 50,
        "redact": 50,
        "invite": creation.preset.invite_level,
    }
    if not creation.version.privileged_creators:
        trusted = creation.invite if creation.preset.trusts_invitees else ()
        content["users"] = dict.fromkeys((creator, *trusted), CREATOR_LEVEL)
        return {**content, **creation.power_levels}
    # v12-: creators are above all levels and must not be listed
    del content["events"]["m.room.tombstone"]
    content |= creation.power_levels
    if isinstance(content["events"], dict):
        content["events"] = {"m.room.tombstone": TOMBSTONE_LEVEL_OVER_CREATORS, **content["events"]}
    return content


def _preset_state(creation: RoomCreation) -> Iterator[Draft]:
    """The preset's events, but those that the initial state has."""
    given = {(draft.type, draft.state_key) for draft in creation.initial_state}
    for event_type, content in (
        ("m.room.join_rules", {"join_rule": creation.preset.join_rule}),
        ("m.room.history_visibility", {"history_visibility": "shared"}),
        ("m.room.guest_access", {"guest_access": creation.preset.guest_access}),
    ):
        if (event_type, "") not in given:
            yield Draft(type=event_type, state_key="", content=content)


def _named_state(creation: RoomCreation) -> Iterator[Draft]:
    """What `name` and `topic` stand for."""
    if creation.name is not None:
        yield Draft(type="m.room.name", state_key="", content={"name": creation.name})
    if creation.topic is not None:
        text = [{"body": creation.topic, "mimetype": "text/plain"}]
        content = {"topic": creation.topic, "m.topic": {"m.text": text}}
        yield Draft(type="m.room.topic", state_key="", content=content)
