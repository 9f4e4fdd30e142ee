"""The user's own account. Client-Server API, § Account management, § Current account information."""

from tabstead.accounts.deactivation import deactivate
from tabstead.accounts.devices import delete_other_devices
from tabstead.accounts.passwords import hash_password
from tabstead.client_api.call import Access, Call
from tabstead.client_api.interactive_auth import carry_out_confirmed
from tabstead.client_api.routes import Routes
from tabstead.http import JsonObject, Response, json_response
from tabstead.storage.database import Db
from tabstead.storage.users import update_password_hash

routes = Routes()


@routes.read("GET", "/_matrix/client/v3/account/whoami")
def whoami(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/account/whoami. § Current account information."""
    requester = call.requester
    return json_response(
        {"user_id": requester.user_id, "device_id": requester.device_id, "is_guest": requester.is_guest}
    )


@routes.read("GET", "/_matrix/client/v3/account/3pid", access=Access.USER)
def get_third_party_identifiers(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/account/3pid. § Adding Account Administrative Contact Information.

    This server keeps no third-party identifiers.
    """
    return json_response({"threepids": []})


@routes.waiting("POST", "/_matrix/client/v3/account/password", access=Access.NONE)
async def change_password(call: Call) -> Response:
    """POST /_matrix/client/v3/account/password. § Password management.

    The new password isn't kept in the session, so it is in each of the requests.
    """
    new_password = call.body().string("new_password")
    new_hash = hash_password(new_password) if call.body().find_object("auth") is not None else ""

    def work(confirmed: Call, db: Db, body: JsonObject) -> Response:
        update_password_hash(db, confirmed.user_id, new_hash)
        if body.boolean("logout_devices", True):
            delete_other_devices(db, confirmed.user_id, confirmed.requester.device_id)
        return json_response({})

    return await carry_out_confirmed(call, work)


@routes.waiting("POST", "/_matrix/client/v3/account/deactivate", access=Access.NONE)
async def deactivate_account(call: Call) -> Response:
    """POST /_matrix/client/v3/account/deactivate. § Account deactivation."""

    def work(confirmed: Call, db: Db, body: JsonObject) -> Response:
        deactivate(db, confirmed.context.local_server, confirmed.user_id, erase=body.boolean("erase", False))
        return json_response({"id_server_unbind_result": "success"})

    return await carry_out_confirmed(call, work)
