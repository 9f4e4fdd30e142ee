"""What others ask about this server's users. Server-server API, § Querying for information."""

from tabstead.accounts.profiles import find_profile
from tabstead.errors import NotFound
from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.protocol.identifiers import parse_room_alias, parse_user_id
from tabstead.rooms.aliases import resolve_alias, select_alias_servers
from tabstead.storage.database import Db
from tabstead.storage.users import find_user

routes = Routes()


@routes.read("GET", "/_matrix/federation/v1/query/directory")
def get_directory(call: FederationCall, db: Db) -> Response:
    """GET /_matrix/federation/v1/query/directory. § Querying for information."""
    room_alias, server = parse_room_alias(call.query.string("room_alias")), call.local_server
    if not server.owns(room_alias):
        raise NotFound(f"Room alias {room_alias} is not one of this server.")
    room_id = resolve_alias(db, server, room_alias)
    return json_response({"room_id": room_id, "servers": select_alias_servers(db, server, room_id)})


@routes.read("GET", "/_matrix/federation/v1/query/profile")
def get_profile(call: FederationCall, db: Db) -> Response:
    """GET /_matrix/federation/v1/query/profile. § Querying for information."""
    user_id = parse_user_id(call.query.string("user_id"))
    if not call.local_server.owns(user_id) or find_user(db, user_id) is None:
        raise NotFound(f"{user_id} is not a user of this server.")
    profile = find_profile(db, user_id)
    shown = {"displayname": profile.displayname, "avatar_url": profile.avatar_url}
    field = call.query.get("field")
    return json_response({key: value for key, value in shown.items() if value is not None and field in (None, key)})
