"""What this server demands of its own users' events beyond the authorisation rules, by event type.

Of a suspended user it takes two things only: to leave a room, and to redact what they sent.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tabstead.accounts.moderation import check_not_suspended
from tabstead.errors import BadAlias, BadRequest, Forbidden, InvalidParam
from tabstead.protocol.identifiers import find_server_name_of, is_room_alias, parse_user_id
from tabstead.rooms.alias_targets import leads_to
from tabstead.rooms.draft import Draft
from tabstead.rooms.invite_permission import check_takes_invites
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.redactions import check_may_redact
from tabstead.rooms.state import find_current_event
from tabstead.rooms.state_checks import check_encryption, check_policy, check_server_acl
from tabstead.storage.database import Db
from tabstead.storage.events import find_event
from tabstead.storage.relations import has_annotation
from tabstead.storage.rooms import Room


def check_draft(db: Db, server: LocalServer, room: Room, sender: str, draft: Draft) -> None:
    """Raises what the check of the event's type raises."""
    check = _CHECKS.get(draft.type)
    if check is not None:
        check(db, server, room, sender, draft)


def check_sender(db: Db, sender: str, draft: Draft) -> None:
    """Raises UserSuspended."""
    if not _may_be_sent_suspended(db, sender, draft):
        check_not_suspended(db, sender)


def _may_be_sent_suspended(db: Db, sender: str, draft: Draft) -> bool:
    if draft.type == "m.room.member":
        return draft.state_key == sender and draft.content.get("membership") == "leave"
    if draft.type == "m.room.redaction" and draft.redacts is not None:
        redacted = find_event(db, draft.redacts)
        return redacted is not None and redacted.event.sender == sender
    return False


def listed_aliases(content: Mapping[str, Any]) -> list[Any]:
    """What an `m.room.canonical_alias` lists: the canonical alias, then the alternatives, whatever they are."""
    canonical, alternatives = content.get("alias") or None, content.get("alt_aliases")
    listed = alternatives if isinstance(alternatives, list) else []
    return listed if canonical is None else [canonical, *listed]


def _check_redaction(db: Db, server: LocalServer, room: Room, sender: str, draft: Draft) -> None:
    check_may_redact(db, room, sender, draft.redacts)


def _check_canonical_alias(db: Db, server: LocalServer, room: Room, sender: str, draft: Draft) -> None:
    """PUT /rooms/{roomId}/state: aliases that are new in the event must be valid and point to the room.

    Raises InvalidParam, BadAlias, UntoldAlias.
    """
    if draft.state_key != "":
        return
    if not isinstance(draft.content.get("alt_aliases", []), list):
        raise InvalidParam("'alt_aliases' must be an array.")
    current = find_current_event(db, room, draft.type)
    known = listed_aliases(current.event.content) if current is not None else []
    for room_alias in listed_aliases(draft.content):
        if not isinstance(room_alias, str) or not is_room_alias(room_alias):
            raise InvalidParam(f"{str(room_alias)[:80]!r} is not a room alias.")
        if room_alias in known:
            continue
        if not leads_to(db, server, room_alias, room.room_id):
            raise BadAlias(f"The alias {room_alias} does not point to this room.")


def _check_annotation(db: Db, server: LocalServer, room: Room, sender: str, draft: Draft) -> None:
    """§ Avoiding duplicate annotations: a user says a thing about an event once. Raises BadRequest."""
    relation = draft.content.get("m.relates_to")
    if not isinstance(relation, dict) or relation.get("rel_type") != "m.annotation":
        return
    relates_to, key = relation.get("event_id"), relation.get("key")
    if isinstance(relates_to, str) and isinstance(key, str) and has_annotation(db, relates_to, draft.type, key, sender):
        raise BadRequest("You have said this about the event already.", errcode="M_DUPLICATE_ANNOTATION")


def _check_invite(db: Db, server: LocalServer, room: Room, sender: str, draft: Draft) -> None:
    """Invites reach their users: they live here, and have not blocked invites. Raises Forbidden."""
    if draft.content.get("membership") != "invite" or draft.state_key is None:
        return
    target = parse_user_id(draft.state_key)
    if not server.owns(target):
        raise Forbidden(f"The server {find_server_name_of(target)} cannot be reached from here.")
    check_takes_invites(db, target)


_CHECKS: Final[Mapping[str, Callable[[Db, LocalServer, Room, str, Draft], None]]] = {
    "m.room.redaction": _check_redaction,
    "m.room.canonical_alias": _check_canonical_alias,
    "m.room.member": _check_invite,
    "m.room.encryption": check_encryption,
    "m.room.server_acl": check_server_acl,
    "m.room.policy": check_policy,
    "m.reaction": _check_annotation,
}
