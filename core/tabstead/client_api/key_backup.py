"""Server-side key backups. Client-Server API, § Server-side key backups."""

from collections.abc import Iterable
from typing import Any

from tabstead.client_api.call import Access, Call
from tabstead.client_api.routes import Routes
from tabstead.encryption.key_backup import (
    get_backup,
    get_latest_backup,
    remove_backup,
    remove_keys,
    select_keys,
    store_keys,
    update_backup,
)
from tabstead.errors import BadJson, InvalidParam, NotFound
from tabstead.http import JsonObject, Response, json_response
from tabstead.storage.database import Db
from tabstead.storage.key_backup import BackedUpKey, KeyBackup, insert_backup

routes = Routes()

_VERSIONS = "/_matrix/client/v3/room_keys/version"
_VERSION = "/_matrix/client/v3/room_keys/version/{version}"
_KEYS = "/_matrix/client/v3/room_keys/keys"
_ROOM_KEYS = "/_matrix/client/v3/room_keys/keys/{roomId}"
_SESSION_KEY = "/_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}"


_ALGORITHMS = ("m.megolm_backup.v1.curve25519-aes-sha2",)


@routes.write("POST", _VERSIONS, access=Access.USER)
def post_version(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/room_keys/version. § Server-side key backups."""
    body = call.body()
    version = insert_backup(db, call.user_id, _algorithm(body), body.object("auth_data").values_dict)
    return json_response({"version": str(version)})


@routes.read("GET", _VERSIONS, access=Access.USER)
def get_latest_version(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/room_keys/version. § Server-side key backups."""
    return _version_response(get_latest_backup(db, call.user_id))


@routes.read("GET", _VERSION, access=Access.USER)
def get_version(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/room_keys/version/{version}. § Server-side key backups."""
    return _version_response(get_backup(db, call.user_id, call.parameter("version")))


@routes.write("PUT", _VERSION, access=Access.USER)
def put_version(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/room_keys/version/{version}. § Server-side key backups."""
    body, version = call.body(), call.parameter("version")
    if body.string("version", version) != version:
        raise InvalidParam("The version in the body is not the one in the path.")
    auth_data = body.object("auth_data").values_dict
    update_backup(db, call.user_id, version, algorithm=_algorithm(body), auth_data=auth_data)
    return json_response({})


@routes.write("DELETE", _VERSION, access=Access.USER)
def delete_version(call: Call, db: Db) -> Response:
    """DELETE /_matrix/client/v3/room_keys/version/{version}. § Server-side key backups."""
    remove_backup(db, call.user_id, call.parameter("version"))
    return json_response({})


@routes.write("PUT", _KEYS, access=Access.USER)
def put_keys(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/room_keys/keys. § Server-side key backups."""
    rooms = call.body().object("rooms")
    keys = [key for room_id in rooms for key in _parse_room(room_id, rooms.object(room_id))]
    return _store(call, db, keys)


@routes.write("PUT", _ROOM_KEYS, access=Access.USER)
def put_room_keys(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/room_keys/keys/{roomId}. § Server-side key backups."""
    return _store(call, db, _parse_room(call.parameter("roomId"), call.body()))


@routes.write("PUT", _SESSION_KEY, access=Access.USER)
def put_session_key(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}. § Server-side key backups."""
    return _store(call, db, [_parse_key(call.parameter("roomId"), call.parameter("sessionId"), call.body())])


@routes.read("GET", _KEYS, access=Access.USER)
def get_keys(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/room_keys/keys. § Server-side key backups."""
    rooms: dict[str, Any] = {}
    for key in select_keys(db, call.user_id, call.query.string("version")):
        rooms.setdefault(key.room_id, {"sessions": {}})["sessions"][key.session_id] = _key_json(key)
    return json_response({"rooms": rooms})


@routes.read("GET", _ROOM_KEYS, access=Access.USER)
def get_room_keys(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/room_keys/keys/{roomId}. § Server-side key backups."""
    keys = select_keys(db, call.user_id, call.query.string("version"), call.parameter("roomId"))
    return json_response({"sessions": {key.session_id: _key_json(key) for key in keys}})


@routes.read("GET", _SESSION_KEY, access=Access.USER)
def get_session_key(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}. § Server-side key backups."""
    room_id, session_id = call.parameter("roomId"), call.parameter("sessionId")
    keys = select_keys(db, call.user_id, call.query.string("version"), room_id, session_id)
    if not keys:
        raise NotFound("The backup has no key of this session.")
    return json_response(_key_json(keys[0]))


@routes.write("DELETE", _KEYS, access=Access.USER)
def delete_keys(call: Call, db: Db) -> Response:
    """DELETE /_matrix/client/v3/room_keys/keys. § Server-side key backups."""
    return _update_response(remove_keys(db, call.user_id, call.query.string("version")))


@routes.write("DELETE", _ROOM_KEYS, access=Access.USER)
def delete_room_keys(call: Call, db: Db) -> Response:
    """DELETE /_matrix/client/v3/room_keys/keys/{roomId}. § Server-side key backups."""
    version, room_id = call.query.string("version"), call.parameter("roomId")
    return _update_response(remove_keys(db, call.user_id, version, room_id))


@routes.write("DELETE", _SESSION_KEY, access=Access.USER)
def delete_session_key(call: Call, db: Db) -> Response:
    """DELETE /_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}. § Server-side key backups."""
    version, room_id, session_id = call.query.string("version"), call.parameter("roomId"), call.parameter("sessionId")
    return _update_response(remove_keys(db, call.user_id, version, room_id, session_id))


def _algorithm(body: JsonObject) -> str:
    """Raises MissingParam, or InvalidParam for an algorithm that the specification doesn't have."""
    algorithm = body.string("algorithm")
    if algorithm not in _ALGORITHMS:
        raise InvalidParam(f"'algorithm' must be {_ALGORITHMS[0]}.")
    return algorithm


def _store(call: Call, db: Db, keys: Iterable[BackedUpKey]) -> Response:
    return _update_response(store_keys(db, call.user_id, call.query.string("version"), list(keys)))


def _update_response(backup: KeyBackup) -> Response:
    return json_response({"etag": str(backup.etag), "count": backup.key_count})


def _version_response(backup: KeyBackup) -> Response:
    return json_response(
        {
            "version": str(backup.version),
            "algorithm": backup.algorithm,
            "auth_data": backup.auth_data,
            "etag": str(backup.etag),
            "count": backup.key_count,
        }
    )


def _parse_room(room_id: str, room: JsonObject) -> list[BackedUpKey]:
    sessions = room.object("sessions")
    return [_parse_key(room_id, session_id, sessions.object(session_id)) for session_id in sessions]


def _parse_key(room_id: str, session_id: str, key: JsonObject) -> BackedUpKey:
    first_message_index, forwarded_count = key.integer("first_message_index"), key.integer("forwarded_count")
    if not (0 <= first_message_index < 2**53 and 0 <= forwarded_count < 2**53):
        raise BadJson("'first_message_index' and 'forwarded_count' count from 0.")
    return BackedUpKey(
        room_id=room_id,
        session_id=session_id,
        first_message_index=first_message_index,
        forwarded_count=forwarded_count,
        is_verified=key.boolean("is_verified"),
        session_data=key.object("session_data").values_dict,
    )


def _key_json(key: BackedUpKey) -> dict[str, Any]:
    return {
        "first_message_index": key.first_message_index,
        "forwarded_count": key.forwarded_count,
        "is_verified": key.is_verified,
        "session_data": key.session_data,
    }
