"""What the server is and can do. Client-Server API, § Server Discovery, § Capabilities negotiation."""

from tabstead.client_api.call import Access, Call
from tabstead.client_api.routes import Routes
from tabstead.http import JsonDict, Response, json_response
from tabstead.protocol.room_versions import DEFAULT_ROOM_VERSION, ROOM_VERSIONS
from tabstead.rooms.delayed_events import MAX_DELAY_MS, MAX_SCHEDULED
from tabstead.storage.database import Db
from tabstead.storage.users import find_user

routes = Routes()

SPECIFICATION_VERSIONS = ("r0.6.1", *(f"v1.{minor}" for minor in range(1, 20)))

UNSTABLE_FEATURES = {
    "org.matrix.msc3814": True,
    "org.matrix.msc4140": True,
    "org.matrix.msc4306": True,
    "org.matrix.msc4308": True,
    "org.matrix.msc4354": True,
    "org.matrix.simplified_msc3575": True,
}
"""What is here beyond the specification, under the names that proposals give it."""


@routes.read("GET", "/_matrix/client/versions", access=Access.NONE)
def get_versions(call: Call, db: Db) -> Response:
    """GET /_matrix/client/versions. § API Versions."""
    return json_response({"versions": SPECIFICATION_VERSIONS, "unstable_features": UNSTABLE_FEATURES})


@routes.read("GET", "/_matrix/client/v3/capabilities")
def get_capabilities(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/capabilities. § Capabilities negotiation."""
    is_legacy = call.requester.oauth_client_id is None
    user = find_user(db, call.user_id)
    capabilities: JsonDict = {
        "m.change_password": {"enabled": is_legacy and user is not None and user.password_hash is not None},
        "m.room_versions": {
            "default": DEFAULT_ROOM_VERSION,
            "available": dict.fromkeys(ROOM_VERSIONS, "stable"),
        },
        "m.set_displayname": {"enabled": True},
        "m.set_avatar_url": {"enabled": True},
        "m.3pid_changes": {"enabled": is_legacy and call.context.mailer is not None},
        "m.get_login_token": {"enabled": is_legacy},
        "m.profile_fields": {"enabled": True},
        "org.matrix.msc4140.delayed_events": {"max_delay_ms": MAX_DELAY_MS, "max_scheduled": MAX_SCHEDULED},
    }
    if call.requester.is_admin:
        capabilities["m.account_moderation"] = {"suspend": True, "lock": True}
    return json_response({"capabilities": capabilities})
