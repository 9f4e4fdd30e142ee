"""Build an event of this server: the PDU before it is hashed and signed (`signatures.sign_event`)."""

from collections.abc import Mapping, Sequence
from typing import Any

from unpaddedbase64 import encode_base64

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import EventID, RoomID, UserID
from tabstead.protocol.room_versions import EventIDFormat, RoomVersion


def build_event(
    *,
    room_version: RoomVersion,
    room_id: RoomID | None,
    event_type: str,
    sender: UserID,
    content: JsonDict,
    state_key: str | None = None,
    prev_events: Sequence[EventID],
    auth_events: Sequence[EventID],
    depth: int,
    origin_server_ts: int,
    redacts: EventID | None = None,
    event_id: EventID | None = None,
    reference_hashes: Mapping[EventID, bytes] | None = None,
) -> JsonDict:
    """The PDU in this room version's event format, neither hashed nor signed.

    `room_id` is None for the create event of a version whose room IDs are that event's hash. `depth` is cut to the
    version's limit. `redacts` goes where the version has it. Versions 1 and 2 also want an `event_id` of the
    caller's making and the reference hashes of all prev and auth events.
    """
    pdu: dict[str, Any] = {
        "type": event_type,
        "sender": sender,
        "content": content,
        "prev_events": _references(prev_events, room_version, reference_hashes),
        "auth_events": _references(auth_events, room_version, reference_hashes),
        "depth": min(depth, room_version.max_depth),
        "origin_server_ts": origin_server_ts,
    }
    if not (room_version.room_id_is_create_hash and event_type == "m.room.create"):
        assert room_id is not None, "only a create event may have no room_id"
        pdu["room_id"] = room_id
    if state_key is not None:
        pdu["state_key"] = state_key
    if redacts is not None and room_version.redacts_in_content:  # v11-
        pdu["content"] = {**content, "redacts": redacts}
    elif redacts is not None:  # v1-v10
        pdu["redacts"] = redacts
    if room_version.event_id_format is EventIDFormat.IN_EVENT:  # v1-v2
        assert event_id is not None, "this room version has the event ID in the event"
        pdu["event_id"] = event_id
    return pdu


def _references(
    event_ids: Sequence[EventID],
    room_version: RoomVersion,
    reference_hashes: Mapping[EventID, bytes] | None,
) -> list[Any]:
    if not room_version.references_have_hashes:  # v3-
        return list(event_ids)
    assert reference_hashes is not None, "this room version has hashes beside event IDs"
    return [[event_id, {"sha256": encode_base64(reference_hashes[event_id])}] for event_id in event_ids]
