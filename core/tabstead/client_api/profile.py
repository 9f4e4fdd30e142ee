"""Profiles. Client-Server API, § Profiles."""

from tabstead.accounts.moderation import check_not_suspended
from tabstead.accounts.profiles import (
    ROOM_FIELDS,
    check_field_name,
    find_profile,
    remove_profile_field,
    set_profile_field,
)
from tabstead.client_api.call import Access, Call
from tabstead.client_api.own_data import check_own
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
