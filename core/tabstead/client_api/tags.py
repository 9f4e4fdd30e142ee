"""A user's tags on rooms, kept as the room's account data `m.tag`. Client-Server API, § Room Tagging."""

from typing import Any

from tabstead.client_api.call import Call
from tabstead.client_api.own_data import check_own, room_id_parameter
from tabstead.client_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.storage.account_data import find_account_data, update_account_data
from tabstead.storage.database import Db

routes = Routes()

_TAG = "m.tag"
_TAGS_PATH = "/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags"


@routes.read("GET", _TAGS_PATH)
def get_tags(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags. § Room Tagging."""
    check_own(call)
    return json_response({"tags": _select_tags(call, db)})


@routes.write("PUT", _TAGS_PATH + "/{tag}")
def set_tag(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}. § Room Tagging."""
    check_own(call)
    body = call.request.optional_json_object().values_dict
    return _update_tags(call, db, {**_select_tags(call, db), call.parameter("tag"): body})


@routes.write("DELETE", _TAGS_PATH + "/{tag}")
def delete_tag(call: Call, db: Db) -> Response:
    """DELETE /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}. § Room Tagging."""
    check_own(call)
    tags = _select_tags(call, db)
    if call.parameter("tag") not in tags:
        return json_response({})
    return _update_tags(call, db, {tag: value for tag, value in tags.items() if tag != call.parameter("tag")})


def _select_tags(call: Call, db: Db) -> dict[str, Any]:
    content = find_account_data(db, call.user_id, _TAG, room_id_parameter(call)) or {}
    tags = content.get("tags")
    return tags if isinstance(tags, dict) else {}


def _update_tags(call: Call, db: Db, tags: dict[str, Any]) -> Response:
    update_account_data(db, call.user_id, _TAG, {"tags": tags}, room_id_parameter(call))
    return json_response({})
