"""Profiles and the user directory. Client-Server API, § Profiles, § User Directory."""

from typing import Any

from tabstead.accounts.moderation import check_not_suspended
from tabstead.accounts.profiles import (
    ROOM_FIELDS,
    check_field_name,
    find_profile,
    remove_profile_field,
    set_profile_field,
)
from tabstead.accounts.user_directory import search_users
from tabstead.client_api.call import Access, Call
from tabstead.client_api.own_data import check_own
from tabstead.client_api.rate_limits import LOOKING_UP
from tabstead.client_api.routes import Routes
from tabstead.errors import Forbidden, MissingParam, NotFound
from tabstead.http import Response, json_response
from tabstead.rooms.membership import update_member_profiles
from tabstead.storage.database import Db
from tabstead.storage.profiles import select_profile_field, select_profile_fields
from tabstead.storage.users import find_user

routes = Routes()

_PROFILE = "/_matrix/client/v3/profile/{userId}"
_FIELD = "/_matrix/client/v3/profile/{userId}/{keyName}"
_MAX_RESULTS = 100


@routes.read("GET", _PROFILE, access=Access.NONE)
def get_profile(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/profile/{userId}. § Profiles."""
    return json_response(select_profile_fields(db, _profile_owner(call, db)))


@routes.read("GET", _FIELD, access=Access.NONE)
def get_profile_field(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/profile/{userId}/{keyName}. § Profiles."""
    name = call.parameter("keyName")
    check_field_name(name)
    found = select_profile_field(db, _profile_owner(call, db), name)
    if not found:
        raise NotFound("The profile has no such field.")
    return json_response({name: found[0]})


@routes.write("PUT", _FIELD)
def put_profile_field(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/profile/{userId}/{keyName}. § Profiles."""
    name, body = _own_field(call, db), call.body()
    if name not in body:
        raise MissingParam(f"The body must hold the value of '{name[:80]}'.")
    changed = set_profile_field(db, call.user_id, name, body[name])
    return _tell_rooms(call, db, name, changed)


@routes.write("DELETE", _FIELD)
def delete_profile_field(call: Call, db: Db) -> Response:
    """DELETE /_matrix/client/v3/profile/{userId}/{keyName}. § Profiles."""
    name = _own_field(call, db)
    return _tell_rooms(call, db, name, remove_profile_field(db, call.user_id, name))


@routes.read("POST", "/_matrix/client/v3/user_directory/search", access=Access.USER, limit=LOOKING_UP)
def search_user_directory(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/user_directory/search. § User Directory."""
    body = call.body()
    limit = max(0, min(body.integer("limit", 10), _MAX_RESULTS))
    found = search_users(db, call.user_id, body.string("search_term"), limit + 1)
    results: list[dict[str, Any]] = [
        {
            "user_id": user.user_id,
            **({"display_name": user.displayname} if user.displayname is not None else {}),
            **({"avatar_url": user.avatar_url} if user.avatar_url is not None else {}),
        }
        for user in found[:limit]
    ]
    return json_response({"results": results, "limited": len(found) > limit})


def _profile_owner(call: Call, db: Db) -> str:
    """The path's user, if there is one. Raises NotFound."""
    user = find_user(db, call.parameter("userId"))
    if user is None or user.is_deactivated:
        raise NotFound("There is no profile of this user.")
    return user.user_id


def _own_field(call: Call, db: Db) -> str:
    """The path's field, if the user may change it. Raises Forbidden, UserSuspended."""
    check_own(call)
    check_not_suspended(db, call.user_id)
    name = call.parameter("keyName")
    # "Guest users may only modify their display name."
    if call.requester.is_guest and name != "displayname":
        raise Forbidden("Guests may only change their display name.", errcode="M_GUEST_ACCESS_FORBIDDEN")
    return name


def _tell_rooms(call: Call, db: Db, name: str, changed: bool) -> Response:
    if changed and name in ROOM_FIELDS:
        profile = find_profile(db, call.user_id)
        update_member_profiles(db, call.context.local_server, call.user_id, profile)
    return json_response({})
