"""Invite another server's user: the invite is signed by both servers before it is part of the room.

It is built as the room's next event and shown to the invited user's server, which keeps it as theirs and signs it; then
it takes its place like an event that came from there. Between the two the room may have gone on.
(server-server API, "Inviting to a room")
"""

from functools import partial
from typing import Final

from tabstead.errors import Forbidden, OutboundFailed, PeerMisbehaved, PeerRefused
from tabstead.federation.client import Question, federation_path
from tabstead.federation.federation import Federation
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event, event_id_of
from tabstead.protocol.identifiers import EventID, ServerName, server_name_of
from tabstead.protocol.room_versions import RoomVersion
from tabstead.protocol.signatures import BadSignature, MissingKeys, check_signatures_of
from tabstead.rooms.handshakes import build_invite
from tabstead.rooms.receive import receive_pdu
from tabstead.rooms.verdicts import Accepted, Dropped, Rejected, SoftFailed
from tabstead.storage.database import Db
from tabstead.storage.rooms import Room

_TIMEOUT_MS: Final = 60_000
_FIRST_API_VERSIONS: Final = frozenset({"1", "2"})
"""The room versions that the first version of the API knows."""


async def invite_remotely(federation: Federation, room: Room, sender: str, target: str, content: JsonDict) -> EventID:
    """Invite a user of another server; the invite's id. Raises OutboundFailed, and what a local invite raises."""
    build = partial(build_invite, server=federation.server, room=room, sender=sender, target=target, content=content)
    event, shown = await federation.read(build)
    destination = server_name_of(target)
    signed = await _ask_to_sign(federation, destination, room.version, event, shown)
    pdu = await _with_signature(federation, destination, room.version, event, signed)
    await federation.write(partial(_receive_invite, federation, room, pdu))
    return event.event_id


async def _ask_to_sign(
    federation: Federation, destination: ServerName, version: RoomVersion, event: Event, shown: list[JsonDict]
) -> object:
    """The event as the invited user's server gives it back."""
    question = Question(
        method="PUT",
        path=federation_path("v2", "invite", event.room_id, event.event_id),
        content={"room_version": version.name, "event": event.pdu, "invite_room_state": shown},
        timeout_ms=_TIMEOUT_MS,
    )
    try:
        return (await federation.client.ask(destination, question)).get("event")
    except PeerRefused as refusal:
        if refusal.status not in {400, 404} or version.name not in _FIRST_API_VERSIONS:
            raise
        return await _ask_old_server_to_sign(federation, destination, event, shown, refusal)


async def _ask_old_server_to_sign(
    federation: Federation, destination: ServerName, event: Event, shown: list[JsonDict], refusal: PeerRefused
) -> object:
    question = Question(
        method="PUT",
        path=federation_path("v1", "invite", event.room_id, event.event_id),
        content={**event.pdu, "unsigned": {"invite_room_state": shown}},
        timeout_ms=_TIMEOUT_MS,
    )
    try:
        answer = await federation.client.ask_any(destination, question)
    except OutboundFailed:
        raise refusal from None
    is_pair = isinstance(answer, list) and len(answer) == 2 and isinstance(answer[1], dict)
    return answer[1].get("event") if is_pair else None


async def _with_signature(
    federation: Federation, destination: ServerName, version: RoomVersion, event: Event, signed: object
) -> JsonDict:
    """The invite with the other server's signature beside ours. Raises PeerMisbehaved."""
    signatures = signed.get("signatures") if isinstance(signed, dict) else None
    added = signatures.get(destination) if isinstance(signatures, dict) else None
    if not isinstance(added, dict) or not all(isinstance(signature, str) for signature in added.values()):
        raise PeerMisbehaved(f"{destination} did not sign the invite.")
    pdu = {**event.pdu, "signatures": {**event.pdu["signatures"], destination: added}}
    assert event_id_of(pdu, version) == event.event_id, "signatures are no part of what is hashed"
    problem = await federation.read(partial(_check_signature, federation, destination, version, pdu))
    if isinstance(problem, MissingKeys):
        await federation.key_ring.fetch_keys(destination)
        problem = await federation.read(partial(_check_signature, federation, destination, version, pdu))
    if problem is not None:
        raise PeerMisbehaved(f"{destination} did not sign the invite that it was shown.")
    return pdu


def _check_signature(
    federation: Federation, destination: ServerName, version: RoomVersion, pdu: JsonDict, db: Db
) -> BadSignature | MissingKeys | None:
    return check_signatures_of(destination, pdu, version, federation.key_ring.known_keys(db))


def _receive_invite(federation: Federation, room: Room, pdu: JsonDict, db: Db) -> None:
    verdict = receive_pdu(db, federation.server, room, pdu, federation.key_ring.known_keys(db))
    if not isinstance(verdict, Accepted):
        why = verdict.reason if isinstance(verdict, (Dropped, Rejected, SoftFailed)) else "the room has changed"
        raise Forbidden(f"The room does not allow this: {why}.")
