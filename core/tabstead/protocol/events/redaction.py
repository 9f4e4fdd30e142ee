"""The redaction algorithm: an event stripped to what keeps a room working.

It also makes the form that is signed and whose hash is the event's ID, so that both survive a redaction.
(page of each room version, "Redactions"; its data is `RoomVersion.redaction`)
"""

from typing import Any

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.room_versions import RedactionRules, RoomVersion


def redact_event(pdu: JsonDict, room_version: RoomVersion) -> JsonDict:
    """The redacted copy. `unsigned` goes too; whoever serves the event gives it a new one."""
    rules = room_version.redaction
    redacted = {key: value for key, value in pdu.items() if key in rules.top_level}
    redacted["content"] = _redact_content(pdu.get("type"), pdu.get("content"), rules)
    return redacted


def _redact_content(event_type: Any, content: Any, rules: RedactionRules) -> JsonDict:
    if not isinstance(content, dict) or not isinstance(event_type, str):
        return {}
    if event_type == "m.room.create" and rules.whole_create_content:  # v11-
        return content
    kept_keys = rules.content.get(event_type, frozenset())
    kept = {key: value for key, value in content.items() if key in kept_keys}
    if event_type == "m.room.member" and rules.signed_third_party_invite:  # v11-
        kept |= _redact_third_party_invite(content)
    return kept


def _redact_third_party_invite(content: JsonDict) -> JsonDict:
    """What is left of an invite is left even where nothing is: event IDs depend on it, and others keep it, too."""
    invite = content.get("third_party_invite")
    if not isinstance(invite, dict):
        return {}
    return {"third_party_invite": {key: value for key, value in invite.items() if key == "signed"}}
