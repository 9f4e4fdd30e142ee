"""The two hashes of an event, and the identifiers that are made of them.

The *content hash* covers everything, so that a server can tell a redacted copy from the original; it stands in the
event. The *reference hash* covers the redacted event, content hash included: it names the event whatever was stripped.
(specification, server-server API, "Signing Events")
"""

from hashlib import sha256

from unpaddedbase64 import encode_base64

from tabstead.errors import BadJson
from tabstead.protocol.canonical_json import JsonDict, encode_canonical_json
from tabstead.protocol.events.redaction import redact_event
from tabstead.protocol.identifiers import EventID, RoomID, is_event_id
from tabstead.protocol.room_versions import EventIDFormat, RoomVersion


def content_hash(pdu: JsonDict) -> str:
    """SHA-256 of the whole event but `unsigned`, `signatures` and `hashes`, in unpadded base64."""
    return encode_base64(_sha256_without(pdu, "unsigned", "signatures", "hashes"))


def reference_hash(pdu: JsonDict, room_version: RoomVersion) -> bytes:
    """SHA-256 of the redacted event but `signatures` and `unsigned`: 32 bytes."""
    return _sha256_without(redact_event(pdu, room_version), "signatures", "unsigned")


def event_id_of(pdu: JsonDict, room_version: RoomVersion) -> EventID:
    """The event's ID. Raises BadJson if the version wants it in the event and it isn't there."""
    if room_version.event_id_format is EventIDFormat.IN_EVENT:  # v1-v2
        event_id = pdu.get("event_id")
        if not isinstance(event_id, str) or not is_event_id(event_id):
            raise BadJson("event_id: not an event ID.")
        return EventID(event_id)
    url_safe = room_version.event_id_format is EventIDFormat.URL_SAFE_HASH  # v3: not; v4-: yes
    return EventID("$" + encode_base64(reference_hash(pdu, room_version), urlsafe=url_safe))


def room_id_of_create(pdu: JsonDict, room_version: RoomVersion) -> RoomID:
    """v12-: the ID of the room that this create event begins, its own ID with another sigil."""
    return room_id_of(event_id_of(pdu, room_version))


def room_id_of(create_event_id: EventID) -> RoomID:
    return RoomID("!" + create_event_id[1:])


def _sha256_without(pdu: JsonDict, *keys: str) -> bytes:
    covered = {key: value for key, value in pdu.items() if key not in keys}
    return sha256(encode_canonical_json(covered)).digest()
