"""What a local user wants to send, before it is an event."""

from dataclasses import dataclass

from tabstead.protocol.canonical_json import JsonDict


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    type: str
    content: JsonDict
    state_key: str | None = None
    redacts: str | None = None
    """The event that a redaction redacts, wherever the room version puts it."""
    sticky_ms: int | None = None
    """For how long clients are to learn of the event whatever a timeline leaves out; None: not at all."""


def build_redaction(redacts: str | None, content: JsonDict) -> Draft:
    """A redaction whose content may name what it redacts."""
    named = content.get("redacts")
    return Draft(
        type="m.room.redaction",
        content={key: value for key, value in content.items() if key != "redacts"},
        redacts=redacts if redacts is not None else named if isinstance(named, str) else None,
    )
