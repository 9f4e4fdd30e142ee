"""This server's published rooms. Server-server API, § Public Room Directory."""

from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.rooms.directory import parse_directory_body, parse_directory_parameters, read_directory

routes = Routes()

_PATH = "/_matrix/federation/v1/publicRooms"


@routes.waiting("GET", _PATH)
async def get_public_rooms(call: FederationCall) -> Response:
    """GET /_matrix/federation/v1/publicRooms. § Public Room Directory."""
    query = parse_directory_parameters(call.query)
    return json_response(await read_directory(call.federation.commits.database, query))


@routes.waiting("POST", _PATH)
async def post_public_rooms(call: FederationCall) -> Response:
    """POST /_matrix/federation/v1/publicRooms. § Public Room Directory."""
    query = parse_directory_body(call.request.optional_json_object())
    return json_response(await read_directory(call.federation.commits.database, query))
