"""Events as clients see them: the client event format, and the stripped state of invites and knocks.

(client-server API, "Room event format" and "Stripped state")
"""

from collections.abc import Mapping
from typing import Any, Final

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events.event import Event

_ALSO_SHOWN: Final = ("msc4354_sticky",)
"""Keys beyond the specification that clients see where an event has them."""


def to_client_event(event: Event, *, with_room_id: bool = True, unsigned: Mapping[str, Any] | None = None) -> JsonDict:
    """The event in the client format. `unsigned` is this server's, not the event's own; an empty one is left out.

    `with_room_id=False` is for places that name the room already, like a sync's timeline. Old clients look for
    `redacts` at the top level, new ones in the content: a redaction of any room version has both.
    """
    client_event: JsonDict = {
        "type": event.type,
        "event_id": event.event_id,
        "sender": event.sender,
        "origin_server_ts": event.origin_server_ts,
        "content": event.content,
    }
    if with_room_id:
        client_event["room_id"] = event.room_id
    if event.state_key is not None:
        client_event["state_key"] = event.state_key
    if event.redacts is not None:
        client_event["redacts"] = event.redacts
        client_event["content"] = {**event.content, "redacts": event.redacts}
    client_event.update((key, event.pdu[key]) for key in _ALSO_SHOWN if key in event.pdu)
    if unsigned:
        client_event["unsigned"] = dict(unsigned)
    return client_event


def to_stripped_state(event: Event) -> JsonDict:
    """What an invited or knocking user learns of a state event."""
    return {
        "type": event.type,
        "state_key": event.state_key,
        "sender": event.sender,
        "content": event.content,
    }
