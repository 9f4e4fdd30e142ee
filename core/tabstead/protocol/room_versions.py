"""Room versions: every rule that differs between them, as data.

A version is the one before it with its changes. Code asks a RoomVersion for a rule and never compares versions.
(specification, "Room Versions", and the page of each version)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from tabstead.errors import UnsupportedRoomVersion
from tabstead.protocol.canonical_json import MAX_INTEGER


class EventIDFormat(Enum):
    """Where an event's ID comes from."""

    IN_EVENT = auto()
    """The sender's choice, `$opaque:domain`, in the event itself."""
    HASH = auto()
    """The reference hash in unpadded base64."""
    URL_SAFE_HASH = auto()
    """The reference hash in URL-safe unpadded base64."""


class StateResolution(Enum):
    """The algorithm that makes one state of several."""

    V1 = auto()
    V2 = auto()
    V2_1 = auto()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RedactionRules:
    """What redaction keeps of an event; everything else goes."""

    top_level: frozenset[str]
    content: Mapping[str, frozenset[str]]
    """Keys kept in `content`, by event type."""
    whole_create_content: bool = False
    """`m.room.create` keeps all of its content."""
    signed_third_party_invite: bool = False
    """`m.room.member` keeps `third_party_invite`, with nothing but its `signed`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RoomVersion:
    """The rules of one room version."""

    name: str

    # Event format
    event_id_format: EventIDFormat
    references_have_hashes: bool
    """`prev_events` and `auth_events` are lists of `[event ID, hashes]` instead of event IDs."""
    strict_canonical_json: bool
    """Events that break canonical JSON's restrictions are dropped."""
    max_depth: int
    """The greatest `depth` of an event."""
    redacts_in_content: bool
    """`redacts` stands in a redaction's content instead of at its top level."""
    room_id_is_create_hash: bool
    """The room ID is the create event's ID with `!`. That event has no `room_id`, and no `auth_events` name it."""
    redaction: RedactionRules

    # Signatures
    event_id_server_signs: bool
    """The server that the event ID names must have signed too."""
    enforces_key_validity: bool
    """A key's `valid_until_ts` bounds the `origin_server_ts` of what it signs."""

    # Authorisation rules
    creator_in_content: bool
    """The creator is the create event's `content.creator`, which it must have; otherwise its sender."""
    privileged_creators: bool
    """Creators, `additional_creators` among them, stand above all power levels."""
    special_aliases_rule: bool
    """`m.room.aliases` has an authorisation rule of its own."""
    redaction_rule: bool
    """`m.room.redaction` has an authorisation rule of its own."""
    guards_notification_levels: bool
    """The power levels in `notifications` are guarded like those in `events`."""
    integer_power_levels: bool
    """Power levels are integers; otherwise strings and floats that denote one are taken as well."""
    knocking: bool
    """The membership and the join rule `knock`."""
    restricted_joins: bool
    """The join rule `restricted`."""
    knock_restricted_joins: bool
    """The join rule `knock_restricted`."""

    state_resolution: StateResolution


_POWER_LEVEL_KEYS: Final = frozenset(
    {"ban", "events", "events_default", "kick", "redact", "state_default", "users", "users_default"}
)

_V1_REDACTION: Final = RedactionRules(
    top_level=frozenset(
        {
            "event_id",
            "type",
            "room_id",
            "sender",
            "state_key",
            "content",
            "hashes",
            "signatures",
            "depth",
            "prev_events",
            "prev_state",
            "auth_events",
            "origin",
            "origin_server_ts",
            "membership",
        }
    ),
    content=MappingProxyType(
        {
            "m.room.member": frozenset({"membership"}),
            "m.room.create": frozenset({"creator"}),
            "m.room.join_rules": frozenset({"join_rule"}),
            "m.room.power_levels": _POWER_LEVEL_KEYS,
            "m.room.aliases": frozenset({"aliases"}),
            "m.room.history_visibility": frozenset({"history_visibility"}),
        }
    ),
)


def _keeping(rules: RedactionRules, **content: frozenset[str]) -> RedactionRules:
    """The rules with other keys kept in the content of some `m.room.` events."""
    changed = {f"m.room.{name}": keys for name, keys in content.items()}
    return replace(rules, content=MappingProxyType({**rules.content, **changed}))


# v6: aliases lose their meaning.
_V6_REDACTION: Final = _keeping(_V1_REDACTION, aliases=frozenset())
# v8: restricted rooms keep whom they let in…
_V8_REDACTION: Final = _keeping(_V6_REDACTION, join_rules=frozenset({"join_rule", "allow"}))
# v9: …and who vouched for a member.
_V9_REDACTION: Final = _keeping(_V8_REDACTION, member=frozenset({"membership", "join_authorised_via_users_server"}))
# v11: everything that authorisation looks at is kept, leftovers of old servers are not.
_V11_REDACTION: Final = replace(
    _keeping(_V9_REDACTION, power_levels=_POWER_LEVEL_KEYS | {"invite"}, redaction=frozenset({"redacts"})),
    top_level=_V9_REDACTION.top_level - {"prev_state", "origin", "membership"},
    whole_create_content=True,
    signed_third_party_invite=True,
)

_V1: Final = RoomVersion(
    name="1",
    event_id_format=EventIDFormat.IN_EVENT,
    references_have_hashes=True,
    strict_canonical_json=False,
    max_depth=2**63 - 1,
    redacts_in_content=False,
    room_id_is_create_hash=False,
    redaction=_V1_REDACTION,
    event_id_server_signs=True,
    enforces_key_validity=False,
    creator_in_content=True,
    privileged_creators=False,
    special_aliases_rule=True,
    redaction_rule=True,
    guards_notification_levels=False,
    integer_power_levels=False,
    knocking=False,
    restricted_joins=False,
    knock_restricted_joins=False,
    state_resolution=StateResolution.V1,
)
_V2: Final = replace(_V1, name="2", state_resolution=StateResolution.V2)
_V3: Final = replace(
    _V2,
    name="3",
    event_id_format=EventIDFormat.HASH,
    references_have_hashes=False,
    event_id_server_signs=False,
    redaction_rule=False,
)
_V4: Final = replace(_V3, name="4", event_id_format=EventIDFormat.URL_SAFE_HASH)
_V5: Final = replace(_V4, name="5", enforces_key_validity=True)
_V6: Final = replace(
    _V5,
    name="6",
    strict_canonical_json=True,
    max_depth=MAX_INTEGER,
    redaction=_V6_REDACTION,
    special_aliases_rule=False,
    guards_notification_levels=True,
)
_V7: Final = replace(_V6, name="7", knocking=True)
_V8: Final = replace(_V7, name="8", restricted_joins=True, redaction=_V8_REDACTION)
_V9: Final = replace(_V8, name="9", redaction=_V9_REDACTION)
_V10: Final = replace(_V9, name="10", integer_power_levels=True, knock_restricted_joins=True)
_V11: Final = replace(_V10, name="11", redaction=_V11_REDACTION, creator_in_content=False, redacts_in_content=True)
_V12: Final = replace(
    _V11,
    name="12",
    room_id_is_create_hash=True,
    privileged_creators=True,
    state_resolution=StateResolution.V2_1,
)

ROOM_VERSIONS: Final[Mapping[str, RoomVersion]] = MappingProxyType(
    {version.name: version for version in (_V1, _V2, _V3, _V4, _V5, _V6, _V7, _V8, _V9, _V10, _V11, _V12)}
)

DEFAULT_ROOM_VERSION: Final = "12"


def get_room_version(name: str) -> RoomVersion:
    """The rules of the version with this name. Raises UnsupportedRoomVersion."""
    version = ROOM_VERSIONS.get(name)
    if version is None:
        raise UnsupportedRoomVersion(f"Room version {name[:40]!r} is not supported.")
    return version
