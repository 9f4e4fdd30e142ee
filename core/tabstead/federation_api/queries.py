"""What others ask about this server's users. Server-server API, § Querying for information."""

from tabstead.errors import NotFound, Unrecognized
from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.protocol.identifiers import parse_room_alias, parse_user_id
from tabstead.rooms.aliases import resolve_alias, select_alias_servers
from tabstead.storage.database import Db
from tabstead.storage.profiles import select_profile_fields
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
    user_id, name = parse_user_id(call.query.string("user_id")), call.query.get("field")
    user = find_user(db, user_id) if call.local_server.owns(user_id) else None
    if user is None or user.is_deactivated:
        raise NotFound(f"{user_id} is not a user of this server.")
    fields = select_profile_fields(db, user_id)
    return json_response(fields if name is None else {name: fields[name]} if name in fields else {})


@routes.read("GET", "/_matrix/federation/v1/query/{queryType}")
def get_other(call: FederationCall, db: Db) -> Response:
    """GET /_matrix/federation/v1/query/{queryType}. § Querying for information."""
    raise Unrecognized("This type of query is not known.")
