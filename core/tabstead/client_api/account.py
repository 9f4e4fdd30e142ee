"""The user's own account. Client-Server API, § Account management, § Current account information."""

from tabstead.accounts import third_party_ids
from tabstead.accounts.deactivation import deactivate
from tabstead.accounts.devices import delete_all_devices, delete_other_devices
from tabstead.accounts.interactive_auth import EMAIL, Challenge, Demand, confirm
from tabstead.accounts.passwords import hash_password
from tabstead.accounts.third_party_ids import Purpose
from tabstead.client_api.call import Access, Call
from tabstead.client_api.interactive_auth import (
    StageAttempt,
    build_prove,
    carry_out_confirmed,
    challenge_response,
    find_auth,
    parse_attempt,
)
from tabstead.client_api.routes import Routes
from tabstead.errors import Forbidden
from tabstead.http import JsonObject, Response, json_response
from tabstead.storage.database import Db
from tabstead.storage.interactive_auth import delete_session
from tabstead.storage.third_party_ids import delete_validation, find_user_of_third_party_id
from tabstead.storage.users import update_password_hash

routes = Routes()


@routes.read("GET", "/_matrix/client/v3/account/whoami")
def whoami(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/account/whoami. § Current account information."""
    requester = call.requester
    return json_response(
        {"user_id": requester.user_id, "device_id": requester.device_id, "is_guest": requester.is_guest}
    )


@routes.waiting("POST", "/_matrix/client/v3/account/password", access=Access.NONE)
async def change_password(call: Call) -> Response:
    """POST /_matrix/client/v3/account/password. § Password management.

    Without an access token it is a reset: an email to an address of the account confirms it. The new password isn't
    kept in the session, so it is in each of the requests.
    """
    new_password = call.body().string("new_password")
    new_hash = hash_password(new_password) if call.body().find_object("auth") is not None else ""
    if call.request.access_token() is None and call.context.mailer is not None:
        return await call.context.write_once(call.request, lambda db: _reset_password(call, db, new_hash))

    def work(confirmed: Call, db: Db, body: JsonObject) -> Response:
        update_password_hash(db, confirmed.user_id, new_hash)
        if body.boolean("logout_devices", True):
            delete_other_devices(db, confirmed.user_id, confirmed.requester.device_id)
        return json_response({})

    return await carry_out_confirmed(call, work)


def _reset_password(call: Call, db: Db, new_hash: str) -> Response:
    auth = find_auth(call.request)
    tried = StageAttempt(call=call, db=db, auth=auth, purpose=Purpose.RESET_PASSWORD)
    attempt = parse_attempt(call.request, f"{call.request.method} {call.request.path}")
    answer = confirm(db, attempt, Demand(flows=((EMAIL,),)), build_prove(tried), call.now_ms)
    if isinstance(answer, Challenge):
        return challenge_response(answer)
    proof = answer.session.completed[EMAIL]
    user_id = find_user_of_third_party_id(db, third_party_ids.EMAIL, proof["address"])
    if user_id is None:
        raise Forbidden("No account has this email address.")
    delete_session(db, answer.session.session_id)
    delete_validation(db, proof["sid"])
    update_password_hash(db, user_id, new_hash)
    if JsonObject(answer.session.body).boolean("logout_devices", True):
        delete_all_devices(db, user_id)
    return json_response({})


@routes.waiting("POST", "/_matrix/client/v3/account/deactivate", access=Access.NONE)
async def deactivate_account(call: Call) -> Response:
    """POST /_matrix/client/v3/account/deactivate. § Account deactivation."""

    def work(confirmed: Call, db: Db, body: JsonObject) -> Response:
        deactivate(db, confirmed.context.local_server, confirmed.user_id, erase=body.boolean("erase", False))
        return json_response({"id_server_unbind_result": "success"})

    return await carry_out_confirmed(call, work)
