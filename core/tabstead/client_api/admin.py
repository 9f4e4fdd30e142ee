"""What administrators see of accounts and do to them. Client-Server API, § Server Administration."""

from typing import Final

from tabstead.accounts.moderation import get_moderated_user, lock_user, suspend_user
from tabstead.client_api.call import Access, Call
from tabstead.client_api.routes import Routes
from tabstead.errors import Forbidden, NotFound
from tabstead.http import JsonDict, Response, json_response
from tabstead.storage.database import Db
from tabstead.storage.devices import Device, select_devices
from tabstead.storage.users import User, find_user

routes = Routes()

_LOCK: Final = "/_matrix/client/v1/admin/lock/{userId}"
_SUSPEND: Final = "/_matrix/client/v1/admin/suspend/{userId}"


@routes.read("GET", "/_matrix/client/v3/admin/whois/{userId}")
def get_whois(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/admin/whois/{userId}. § Server Administration: of oneself, or for an administrator."""
    user_id = call.parameter("userId")
    if user_id != call.user_id and not call.requester.is_admin:
        raise Forbidden("Only an administrator may look at other users.")
    if find_user(db, user_id) is None:
        raise NotFound("There is no such account.")
    devices = {device.device_id: _sessions(device) for device in select_devices(db, user_id)}
    return json_response({"user_id": user_id, "devices": devices})


@routes.read("GET", _LOCK, access=Access.ADMINISTRATOR)
def get_lock(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v1/admin/lock/{userId}. § Server Administration. Added in v1.18."""
    return json_response({"locked": _moderated(call, db).is_locked})


@routes.write("PUT", _LOCK, access=Access.ADMINISTRATOR)
def put_lock(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v1/admin/lock/{userId}. § Server Administration. Added in v1.18."""
    locked = call.body().boolean("locked")
    lock_user(db, _moderated(call, db), is_locked=locked)
    return json_response({"locked": locked})


@routes.read("GET", _SUSPEND, access=Access.ADMINISTRATOR)
def get_suspension(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v1/admin/suspend/{userId}. § Server Administration. Added in v1.18."""
    return json_response({"suspended": _moderated(call, db).is_suspended})


@routes.write("PUT", _SUSPEND, access=Access.ADMINISTRATOR)
def put_suspension(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v1/admin/suspend/{userId}. § Server Administration. Added in v1.18."""
    suspended = call.body().boolean("suspended")
    suspend_user(db, _moderated(call, db), is_suspended=suspended)
    return json_response({"suspended": suspended})


def _moderated(call: Call, db: Db) -> User:
    return get_moderated_user(db, call.context.local_server.name, call.parameter("userId"))


def _sessions(device: Device) -> JsonDict:
    """One session per device, of which the last connection is known."""
    return {"sessions": [{"connections": [{"ip": device.last_seen_ip, "last_seen": device.last_seen_ts}]}]}
