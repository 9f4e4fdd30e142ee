"""Spaces and their children, as other servers may see them. Server-server API, § Spaces."""

from typing import Final

from tabstead.errors import NotFound
from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.protocol.canonical_json import JsonDict
from tabstead.rooms.hierarchy import select_children
from tabstead.rooms.summary import may_server_preview, summarise_room
from tabstead.storage.database import Db
from tabstead.storage.room_servers import is_server_in
from tabstead.storage.rooms import Room, find_room

routes = Routes()

MAX_CHILDREN: Final = 500


@routes.read("GET", "/_matrix/federation/v1/hierarchy/{roomId}")
def get_hierarchy(call: FederationCall, db: Db) -> Response:
    """GET /_matrix/federation/v1/hierarchy/{roomId}. § Spaces."""
    room = find_room(db, call.parameter("roomId"))
    if room is None or not _is_in(call, db, room) or not may_server_preview(db, room, call.origin):
        raise NotFound("Room not found.")
    children = select_children(db, room, suggested_only=call.query.boolean("suggested_only"))[:MAX_CHILDREN]
    summaries: list[JsonDict] = []
    inaccessible: list[str] = []
    for room_id in dict.fromkeys(str(child["state_key"]) for child in children):
        child = find_room(db, room_id)
        if child is None or not _is_in(call, db, child):
            continue  # others may know it
        if may_server_preview(db, child, call.origin):
            summaries.append(summarise_room(db, child))
        else:
            inaccessible.append(room_id)
    return json_response(
        {
            "room": {**summarise_room(db, room), "children_state": children},
            "children": summaries,
            "inaccessible_children": inaccessible,
        }
    )


def _is_in(call: FederationCall, db: Db, room: Room) -> bool:
    return is_server_in(db, room.room_nid, call.local_server.name)
