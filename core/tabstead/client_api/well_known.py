"""What the server's name leads to: the address of its API, whom to turn to, a policy server's keys.

Client-Server API, § Well-known URIs, § Server contacts, § Policy Servers; server-server API, § Server discovery. Where
nothing is configured there is nothing.
"""

from tabstead.client_api.call import Access, Call
from tabstead.client_api.routes import Routes
from tabstead.configuration import Contact
from tabstead.errors import NotFound
from tabstead.http import JsonDict, Response, json_response
from tabstead.storage.database import Db

routes = Routes()


@routes.read("GET", "/.well-known/matrix/client", access=Access.NONE)
def get_client(call: Call, db: Db) -> Response:
    """GET /.well-known/matrix/client. § Well-known URIs."""
    configuration = call.context.configuration
    answer: JsonDict = {**configuration.well_known.extra, "m.homeserver": {"base_url": configuration.base_url}}
    if configuration.well_known.identity_server is not None:
        answer["m.identity_server"] = {"base_url": configuration.well_known.identity_server}
    return json_response(answer)


@routes.read("GET", "/.well-known/matrix/server", access=Access.NONE)
def get_server(call: Call, db: Db) -> Response:
    """GET /.well-known/matrix/server. Server-server API, § Server discovery."""
    address = call.context.configuration.federation.address
    if address is None:
        raise NotFound("This server's name leads to it.")
    return json_response({"m.server": address})


@routes.read("GET", "/.well-known/matrix/support", access=Access.NONE)
def get_support(call: Call, db: Db) -> Response:
    """GET /.well-known/matrix/support. § Server contacts. Added in v1.10."""
    support = call.context.configuration.support
    answer: JsonDict = {}
    if support.contacts:
        answer["contacts"] = [_shown(contact) for contact in support.contacts]
    if support.page is not None:
        answer["support_page"] = support.page
    if not answer:
        raise NotFound("This server names no contacts.")
    return json_response(answer)


@routes.read("GET", "/.well-known/matrix/policy_server", access=Access.NONE)
def get_policy_server(call: Call, db: Db) -> Response:
    """GET /.well-known/matrix/policy_server. § Policy Servers. Added in v1.18."""
    public_key = call.context.configuration.well_known.policy_server_key
    if public_key is None:
        raise NotFound("This server is no policy server.")
    return json_response({"public_keys": {"ed25519": public_key}})


def _shown(contact: Contact) -> JsonDict:
    known = {"role": contact.role, "matrix_id": contact.matrix_id, "email_address": contact.email_address}
    return {key: value for key, value in known.items() if value is not None}
