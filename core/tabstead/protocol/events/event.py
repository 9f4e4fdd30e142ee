"""The Event value, and the checks of its format: step 1 of the checks on receipt of a PDU.

`parse_event` takes JSON from anyone and either gives an Event, all of whose fields have the types they promise and fit
their limits, or raises an error that names the field. `load_event` takes what `parse_event` once accepted and storage
kept, and believes it: no hashing, no checks.
(page of each room version, "Event format"; client-server API, "Size limits")
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tabstead.errors import BadJson, TooLarge
from tabstead.protocol.canonical_json import JsonDict, check_canonical, check_depth, encode_canonical_json
from tabstead.protocol.events.hashes import event_id_of, room_id_of
from tabstead.protocol.identifiers import (
    EventID,
    RoomID,
    StateTuple,
    UserID,
    find_server_name_of,
    is_event_id,
    is_room_id,
    is_user_id,
)
from tabstead.protocol.room_versions import RoomVersion

MAX_PDU_BYTES: Final = 65_536
MAX_FIELD_BYTES: Final = 255
MAX_PREV_EVENTS: Final = 20
MAX_AUTH_EVENTS: Final = 10
MAX_TIMESTAMP: Final = 2**63 - 1
"""v1-v5 name no limit; this is what all implementations keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event whose format was checked. Its JSON values are shared: never change them."""

    event_id: EventID
    room_id: RoomID
    """Also on a create event that has no `room_id` of its own (v12-)."""
    type: str
    sender: UserID
    state_key: str | None
    content: JsonDict
    prev_events: tuple[EventID, ...]
    auth_events: tuple[EventID, ...]
    depth: int
    origin_server_ts: int
    """Milliseconds since the epoch, as the origin claims."""
    redacts: EventID | None
    """What a redaction redacts, wherever its room version puts it."""
    pdu: JsonDict
    """The exact JSON that was hashed and signed, signatures included, without `unsigned`."""
    unsigned: Mapping[str, Any]
    """What came in `unsigned`: not signed by anyone, not to be trusted from another server."""

    @property
    def is_state(self) -> bool:
        return self.state_key is not None

    @property
    def state_tuple(self) -> StateTuple:
        """The key of this state event in room state."""
        assert self.state_key is not None, "a message event has no place in room state"
        return self.type, self.state_key

    @property
    def membership(self) -> str | None:
        """`content.membership`, if it is a string."""
        membership = self.content.get("membership")
        return membership if isinstance(membership, str) else None


def parse_event(pdu: JsonDict, room_version: RoomVersion) -> Event:
    """The Event of a PDU in this room version's event format.

    Raises BadJson naming the field that is wrong, or TooLarge. Hashes and signatures are not checked here.
    """
    _check_json(pdu, room_version)
    for field, (kind, description) in _FIELD_TYPES.items():
        if field in pdu and not _is_instance(pdu[field], kind):
            raise BadJson(f"{field}: not {description}.")
        if field not in pdu and field not in _OPTIONAL_FIELDS:
            raise BadJson(f"{field}: missing.")
    _check_sizes(pdu)
    if not is_user_id(pdu["sender"]):
        raise BadJson("sender: not a user ID.")
    if not 0 <= pdu["depth"] <= room_version.max_depth:
        raise BadJson(f"depth: not within 0 and {room_version.max_depth}.")
    if not -MAX_TIMESTAMP <= pdu["origin_server_ts"] <= MAX_TIMESTAMP:
        raise BadJson("origin_server_ts: not within 64 bits.")
    _check_signatures_format(pdu["signatures"])
    for field, limit in (("prev_events", MAX_PREV_EVENTS), ("auth_events", MAX_AUTH_EVENTS)):
        _check_references(field, pdu[field], limit, room_version)
    event_id = event_id_of(pdu, room_version)
    _check_room_id(pdu, room_version)
    return load_event(pdu, event_id=event_id, room_version=room_version)


def load_event(
    pdu: JsonDict,
    *,
    event_id: EventID,
    room_version: RoomVersion,
    unsigned: Mapping[str, Any] | None = None,
) -> Event:
    """The Event of a PDU that `parse_event` accepted before, under the ID that it found, without checking again."""
    if "unsigned" in pdu:
        unsigned = {**pdu["unsigned"], **(unsigned or {})}
        pdu = {key: value for key, value in pdu.items() if key != "unsigned"}
    content = pdu["content"]
    return Event(
        event_id=event_id,
        room_id=pdu["room_id"] if "room_id" in pdu else room_id_of(event_id),
        type=pdu["type"],
        sender=pdu["sender"],
        state_key=pdu.get("state_key"),
        content=content,
        prev_events=parse_references(pdu["prev_events"], room_version),
        auth_events=parse_references(pdu["auth_events"], room_version),
        depth=pdu["depth"],
        origin_server_ts=pdu["origin_server_ts"],
        redacts=_redacts(pdu, room_version),
        pdu=pdu,
        unsigned=unsigned or {},
    )


_FIELD_TYPES: Final[Mapping[str, tuple[type, str]]] = {
    "type": (str, "a string"),
    "sender": (str, "a string"),
    "room_id": (str, "a string"),
    "state_key": (str, "a string"),
    "content": (dict, "an object"),
    "depth": (int, "an integer"),
    "origin_server_ts": (int, "an integer"),
    "prev_events": (list, "an array"),
    "auth_events": (list, "an array"),
    "hashes": (dict, "an object"),
    "signatures": (dict, "an object"),
    "unsigned": (dict, "an object"),
}
_OPTIONAL_FIELDS: Final = frozenset({"room_id", "state_key", "unsigned"})


def _is_instance(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _check_json(pdu: JsonDict, room_version: RoomVersion) -> None:
    if room_version.strict_canonical_json:  # v6-
        check_canonical(pdu)
    else:
        check_depth(pdu)
    if len(encode_canonical_json(pdu)) > MAX_PDU_BYTES:
        raise TooLarge(f"The event is larger than {MAX_PDU_BYTES} bytes.")


def _check_sizes(pdu: JsonDict) -> None:
    for field in ("sender", "room_id", "state_key", "type", "event_id"):
        text = pdu.get(field, "")
        if isinstance(text, str) and len(text) * 4 > MAX_FIELD_BYTES and len(text.encode()) > MAX_FIELD_BYTES:
            raise TooLarge(f"{field}: longer than {MAX_FIELD_BYTES} bytes.")


def _check_signatures_format(signatures: JsonDict) -> None:
    for server_name, by_key in signatures.items():
        if not isinstance(by_key, dict) or not all(isinstance(signature, str) for signature in by_key.values()):
            raise BadJson(f"signatures: not an object of strings for {server_name[:80]!r}.")


def _check_references(field: str, references: list[Any], limit: int, room_version: RoomVersion) -> None:
    if len(references) > limit:
        raise BadJson(f"{field}: more than {limit}.")
    for reference in references:
        if room_version.references_have_hashes:  # v1-v2: [event ID, {"sha256": …}]
            if not (isinstance(reference, list) and len(reference) == 2 and isinstance(reference[1], dict)):
                raise BadJson(f"{field}: not all are pairs of an event ID and hashes.")
            event_id = reference[0]
        else:  # v3-
            event_id = reference
        if not isinstance(event_id, str) or not is_event_id(event_id):
            raise BadJson(f"{field}: not all are event IDs.")


def _check_room_id(pdu: JsonDict, room_version: RoomVersion) -> None:
    room_id = pdu.get("room_id")
    if room_id is None:
        # v12-: a create event is the beginning of its room, and has no room_id.
        if not (room_version.room_id_is_create_hash and pdu["type"] == "m.room.create"):
            raise BadJson("room_id: missing.")
        return
    if not is_room_id(room_id):
        raise BadJson("room_id: not a room ID.")
    has_domain = find_server_name_of(room_id) is not None
    if has_domain is room_version.room_id_is_create_hash:
        raise BadJson("room_id: not of this room version's form.")


def parse_references(references: list[Any], room_version: RoomVersion) -> tuple[EventID, ...]:
    """The ids of the events that `prev_events` or `auth_events` name, in a PDU whose format was checked."""
    if room_version.references_have_hashes:  # v1-v2
        return tuple(event_id for event_id, _ in references)
    return tuple(references)


def _redacts(pdu: JsonDict, room_version: RoomVersion) -> EventID | None:
    if pdu["type"] != "m.room.redaction":
        return None
    # v1-v10: at the top level. v11-: in the content.
    redacts = (pdu["content"] if room_version.redacts_in_content else pdu).get("redacts")
    return EventID(redacts) if isinstance(redacts, str) else None
