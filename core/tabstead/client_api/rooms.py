"""Rooms: creating them, and which of them a user is in. Client-Server API, § Creation."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

from tabstead.client_api import remote_membership
from tabstead.client_api.call import Access, Call
from tabstead.client_api.other_servers import elsewhere, may_ask
from tabstead.client_api.rate_limits import CREATING_ROOMS
from tabstead.client_api.routes import Elsewhere, Routes
from tabstead.errors import BadJson, Forbidden, InvalidParam, NotFound
from tabstead.http import JsonObject, Response, json_response
from tabstead.protocol.identifiers import parse_user_id
from tabstead.protocol.room_versions import DEFAULT_ROOM_VERSION, get_room_version
from tabstead.rooms.create import PRESETS, Preset, RoomCreation, create_room
from tabstead.rooms.draft import Draft
from tabstead.rooms.upgrade import upgrade_room
from tabstead.storage.database import Db
from tabstead.storage.memberships import select_memberships
from tabstead.storage.rooms import Room, find_room, get_room

routes = Routes()


@routes.write("POST", "/_matrix/client/v3/createRoom", access=Access.USER, limit=CREATING_ROOMS)
def post_create_room(call: Call, db: Db) -> Response | Elsewhere:
    """POST /_matrix/client/v3/createRoom. § Creation."""
    creation = _parse_creation(call.body())
    others = [user_id for user_id in dict.fromkeys(creation.invite) if may_ask(call, user_id)]
    if not others:
        return _create(call, creation, db)
    creation = replace(creation, invited_later=frozenset(others))
    return elsewhere(call, lambda _: _create_and_invite(call, creation, others))


def _create(call: Call, creation: RoomCreation, db: Db) -> Response:
    room = create_room(db, call.context.local_server, call.user_id, creation)
    return json_response({"room_id": room.room_id})


async def _create_and_invite(call: Call, creation: RoomCreation, others: list[str]) -> Response:
    """The room is there whether the others' servers can be reached or not."""
    response = await call.context.write_once(call.request, partial(_create, call, creation))
    room_id = json.loads(response.body)["room_id"]
    room = await call.context.database.read(lambda db: get_known_room(db, room_id))
    await remote_membership.invite_all(call, room, others, is_direct=creation.is_direct)
    return response


@routes.read("GET", "/_matrix/client/v3/joined_rooms")
def get_joined_rooms(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/joined_rooms. § Room membership."""
    joined = select_memberships(db, call.user_id, ("join",))
    return json_response({"joined_rooms": [get_room(db, row.room_nid).room_id for row in joined]})


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/upgrade", access=Access.USER, limit=CREATING_ROOMS)
def post_upgrade(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/rooms/{roomId}/upgrade. § Room Upgrades."""
    body = call.body()
    version = get_room_version(body.string("new_version"))
    creators = tuple(parse_user_id(user_id) for user_id in body.strings("additional_creators", []))
    room = get_own_room(db, call.parameter("roomId"))
    server = call.context.local_server
    replacement = upgrade_room(db, server, room, call.user_id, version=version, additional_creators=creators)
    return json_response({"replacement_room": replacement.room_id})


def get_known_room(db: Db, room_id: str) -> Room:
    """A room that is asked for by those who may not know yet whether it is here. Raises NotFound."""
    room = find_room(db, room_id)
    if room is None:
        raise NotFound("This room is not known here.")
    return room


def get_own_room(db: Db, room_id: str) -> Room:
    """A room that only its members act on; of any other one nothing is told. Raises Forbidden."""
    room = find_room(db, room_id)
    if room is None:
        raise Forbidden("You are not in this room.")
    return room


def _parse_creation(body: JsonObject) -> RoomCreation:
    visibility = _choice(body, "visibility", ("public", "private"), "private")
    default_preset = "public_chat" if visibility == "public" else "private_chat"
    if body.array("invite_3pid", []):
        raise Forbidden("This server does not invite third-party identifiers.", errcode="M_THREEPID_DENIED")
    return RoomCreation(
        version=get_room_version(body.string("room_version", DEFAULT_ROOM_VERSION)),
        preset=_parse_preset(body, default_preset),
        is_public=visibility == "public",
        alias_localpart=body.find_string("room_alias_name"),
        name=body.find_string("name"),
        topic=body.find_string("topic"),
        invite=tuple(parse_user_id(user_id) for user_id in body.strings("invite", [])),
        is_direct=body.boolean("is_direct", False),
        creation_content=body.object("creation_content", {}).values_dict,
        power_levels=body.object("power_level_content_override", {}).values_dict,
        initial_state=tuple(_parse_state(item) for item in body.array("initial_state", [])),
    )


def _parse_preset(body: JsonObject, default: str) -> Preset:
    return PRESETS[_choice(body, "preset", tuple(PRESETS), default)]


def _parse_state(item: Any) -> Draft:
    if not isinstance(item, dict):
        raise BadJson("'initial_state' must be an array of objects.")
    fields = JsonObject(item)
    return Draft(
        type=fields.string("type"),
        state_key=fields.string("state_key", ""),
        content=fields.object("content").values_dict,
    )


def _choice(body: JsonObject, key: str, choices: tuple[str, ...], default: str) -> str:
    value = body.string(key, default)
    if value not in choices:
        raise InvalidParam(f"'{key}' must be one of {', '.join(choices)}.")
    return value
