"""Knock on a room that this server is not in, through a server that is. (server-server API, "Knocking upon a room")"""

from collections.abc import Iterable
from functools import partial

from tabstead.federation.client import Question, federation_path
from tabstead.federation.federation import Federation
from tabstead.federation.membership_events import ask_for_template, begin_room, complete, try_servers
from tabstead.federation.shown_state import read_shown_state
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event
from tabstead.protocol.identifiers import RoomID, ServerName
from tabstead.protocol.room_versions import RoomVersion
from tabstead.storage.database import Db
from tabstead.storage.out_of_band import insert_out_of_band


async def knock_remotely(
    federation: Federation, room_id: RoomID, user_id: str, servers: Iterable[str], content: JsonDict
) -> None:
    """Knock through one of these servers. Raises OutboundFailed, NotFound if no server is known."""
    await try_servers(federation, servers, partial(_knock_through, federation, room_id, user_id, content))


async def _knock_through(
    federation: Federation, room_id: RoomID, user_id: str, content: JsonDict, server_name: ServerName
) -> None:
    template = await ask_for_template(federation, server_name, room_id=room_id, user_id=user_id, membership="knock")
    event = complete(federation.server, template, content)
    path = federation_path("v1", "send_knock", room_id, event.event_id)
    answer = await federation.client.ask(server_name, Question(method="PUT", path=path, content=event.pdu))
    shown = await read_shown_state(federation, answer.get("knock_room_state"), room_id, template.version)
    await federation.write(partial(_follow, event, template.version, shown, server_name))


def _follow(event: Event, version: RoomVersion, shown: list[JsonDict], server_name: ServerName, db: Db) -> None:
    room = begin_room(db, event.room_id, version)
    insert_out_of_band(db, room.room_nid, event, shown_state=shown, servers=[server_name])
