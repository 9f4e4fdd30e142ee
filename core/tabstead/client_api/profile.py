"""Profiles. Client-Server API, § Profiles."""

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from tabstead.accounts.moderation import check_not_suspended
from tabstead.accounts.profiles import (
    ROOM_FIELDS,
    check_field_name,
    find_profile,
    remove_profile_field,
    set_profile_field,
)
from tabstead.accounts.remote_users import find_shared_profile
from tabstead.client_api.call import Access, Call
from tabstead.client_api.other_servers import elsewhere, may_ask
from tabstead.client_api.own_data import check_own
from tabstead.client_api.routes import Elsewhere, Routes
from tabstead.errors import Forbidden, MissingParam, NotFound, OutboundFailed, Unauthenticated
from tabstead.http import JsonDict, Response, json_response
from tabstead.protocol.identifiers import is_user_id, parse_user_id
from tabstead.rooms.membership import update_member_profiles
from tabstead.storage.database import Db
from tabstead.storage.profiles import select_profile_field, select_profile_fields
from tabstead.storage.users import find_user

if TYPE_CHECKING:
    from tabstead.federation.federation import Federation

routes = Routes()

_PROFILE = "/_matrix/client/v3/profile/{userId}"
_FIELD = "/_matrix/client/v3/profile/{userId}/{keyName}"


@routes.read("GET", _PROFILE, access=Access.NONE)
def get_profile(call: Call, db: Db) -> Response | Elsewhere:
    """GET /_matrix/client/v3/profile/{userId}. § Profiles."""
    if _is_remote(call):
        return elsewhere(call, partial(_show_remotely, call))
    return json_response(select_profile_fields(db, _profile_owner(call, db)))


@routes.read("GET", _FIELD, access=Access.NONE)
def get_profile_field(call: Call, db: Db) -> Response | Elsewhere:
    """GET /_matrix/client/v3/profile/{userId}/{keyName}. § Profiles."""
    name = call.parameter("keyName")
    check_field_name(name)
    if _is_remote(call):
        return elsewhere(call, partial(_show_field_remotely, call, name))
    found = select_profile_field(db, _profile_owner(call, db), name)
    if not found:
        raise NotFound("The profile has no such field.")
    return json_response({name: found[0]})


def _is_remote(call: Call) -> bool:
    return is_user_id(call.parameter("userId")) and may_ask(call, call.parameter("userId"))


async def _show_remotely(call: Call, federation: "Federation") -> Response:
    return json_response(await _fetch_profile(call, federation))


async def _show_field_remotely(call: Call, name: str, federation: "Federation") -> Response:
    fields = await _fetch_profile(call, federation)
    if name not in fields:
        raise NotFound("The profile has no such field.")
    return json_response({name: fields[name]})


async def _fetch_profile(call: Call, federation: "Federation") -> JsonDict:
    """What the user's server tells; while it is away, what a room tells that the caller shares with them."""
    user_id = parse_user_id(call.parameter("userId"))
    try:
        return await federation.profiles.fetch_profile(user_id)
    except OutboundFailed:
        shown = await call.context.database.read(lambda db: _find_shown(call, db, user_id))
        if shown is None:
            raise
        return shown


def _find_shown(call: Call, db: Db, user_id: str) -> JsonDict | None:
    with suppress(Unauthenticated):
        known = Call.authenticated(call.context, call.request, db, Access.OPTIONAL)
        if known.optional_requester is not None:
            profile = find_shared_profile(db, known.user_id, user_id)
            return None if profile is None else profile.fields
    return None


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
