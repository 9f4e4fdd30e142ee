"""Rooms that two servers know, without one asking the other: every event is carried over by hand, and received."""

from collections.abc import Iterable, Mapping

from helpers.federation import Link
from helpers.homeserver import Client, Json, TestServer
from tabstead.protocol.identifiers import RoomID, ServerName
from tabstead.protocol.room_versions import RoomVersion
from tabstead.protocol.signatures import VerifyKey
from tabstead.rooms.membership import join_room
from tabstead.rooms.receive import receive_pdu
from tabstead.rooms.verdicts import Accepted, Verdict
from tabstead.storage.database import Db
from tabstead.storage.events import select_events
from tabstead.storage.rooms import find_room, get_room, insert_room


async def join_by_hand(user: Client, room_id: str, resident: TestServer) -> None:
    """Join a user to a room of another server, which lets them in."""
    server = user.server.homeserver.context.local_server

    def join(db: Db) -> None:
        room = find_room(db, room_id)
        assert room is not None
        join_room(db, server, room, user.user_id)

    await carry(resident, user.server, room_id)
    await user.server.write(join)
    await carry(user.server, resident, room_id)


async def carry(origin: TestServer, destination: TestServer, room_id: str) -> list[Verdict]:
    """Let a server have all of a room that another one knows, in that one's order."""
    version, pdus = await origin.read(lambda db: _read_room(db, room_id))
    server = destination.homeserver.context.local_server
    link = origin.transport
    assert isinstance(link, Link)
    known = link.network.servers.values()
    keys = {side.name: side.homeserver.context.local_server.signing_key.verify_key for side in known}

    def known_keys(server_name: ServerName, key_ids: Iterable[str]) -> Mapping[str, VerifyKey]:
        return {keys[server_name].key_id: keys[server_name]}

    def receive(db: Db) -> list[Verdict]:
        room = find_room(db, room_id) or insert_room(db, RoomID(room_id), version)
        return [receive_pdu(db, server, get_room(db, room.room_nid), pdu, known_keys) for pdu in pdus]

    verdicts = await destination.write(receive)
    assert all(isinstance(verdict, Accepted) for verdict in verdicts), verdicts
    return verdicts


def _read_room(db: Db, room_id: str) -> tuple[RoomVersion, list[Json]]:
    room = find_room(db, room_id)
    assert room is not None
    rows = db.execute(
        "SELECT event_nid FROM events WHERE room_nid = ? AND stream_position IS NOT NULL ORDER BY stream_position",
        (room.room_nid,),
    ).fetchall()
    return room.version, [stored.event.pdu for stored in select_events(db, [nid for (nid,) in rows]).values()]
