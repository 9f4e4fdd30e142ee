"""The rooms that two users share. Client-Server API, § Mutual Rooms."""

import re
from typing import Final

from tabstead.client_api.call import Access, Call
from tabstead.client_api.rate_limits import LOOKING_UP
from tabstead.client_api.routes import Routes
from tabstead.errors import InvalidParam
from tabstead.http import Response, json_response
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import parse_user_id
from tabstead.storage.database import Db
from tabstead.storage.memberships import count_shared_rooms, select_shared_rooms

routes = Routes()

PAGE: Final = 500

_token: Final = re.compile(r"m([0-9]{1,16})").fullmatch


@routes.read("GET", "/_matrix/client/v1/mutual_rooms", access=Access.USER, limit=LOOKING_UP)
def get_mutual_rooms(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v1/mutual_rooms. § Mutual Rooms."""
    other = parse_user_id(call.query.string("user_id"))
    if other == call.user_id:
        raise InvalidParam("You share all of your rooms with yourself.")
    rooms = select_shared_rooms(db, call.user_id, other, after=_parse_token(call), limit=PAGE + 1)
    answer: JsonDict = {
        "joined": [room_id for _, room_id in rooms[:PAGE]],
        "count": count_shared_rooms(db, call.user_id, other),
    }
    if len(rooms) > PAGE:
        answer["next_batch"] = f"m{rooms[PAGE - 1][0]}"
    return json_response(answer)


def _parse_token(call: Call) -> int:
    """The room_nid after which the page begins. Raises InvalidParam."""
    token = call.query.get("from")
    if token is None:
        return 0
    match = _token(token)
    if match is None:
        raise InvalidParam("This is not a token of this server.")
    return int(match[1])
