"""Events as values: parse, build, hash, redact, and show them to clients.

A *PDU* is the exact JSON that is hashed and signed (without `unsigned`); an `Event` is that PDU, checked and typed.
Neither is ever changed in place.
"""

from tabstead.protocol.events.build import build_event
from tabstead.protocol.events.client_format import to_client_event, to_stripped_state
from tabstead.protocol.events.event import Event, load_event, parse_event, parse_references
from tabstead.protocol.events.hashes import content_hash, event_id_of, reference_hash, room_id_of_create
from tabstead.protocol.events.redaction import redact_event

__all__ = [
    "Event",
    "build_event",
    "content_hash",
    "event_id_of",
    "load_event",
    "parse_event",
    "parse_references",
    "redact_event",
    "reference_hash",
    "room_id_of_create",
    "to_client_event",
    "to_stripped_state",
]
