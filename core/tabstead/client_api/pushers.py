"""Where the user is notified while no client runs. Client-Server API, § Push Notifications."""

from typing import Any
from urllib.parse import urlsplit

from tabstead.client_api.call import Call
from tabstead.client_api.routes import Routes
from tabstead.errors import InvalidParam
from tabstead.http import JsonObject, Response, json_response
from tabstead.storage.database import Db
from tabstead.storage.pushers import Pusher, delete_pusher, select_pushers, update_pusher

routes = Routes()

_PATH = "/_matrix/push/v1/notify"
_OWN_MACHINE = ("localhost", "127.0.0.1", "::1")

_MAX_PUSHKEY_BYTES = 512
_MAX_APP_ID_CHARACTERS = 64

_DESCRIPTION = ("app_display_name", "device_display_name", "lang")


@routes.read("GET", "/_matrix/client/v3/pushers")
def get_pushers(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/pushers. § Push Notifications."""
    pushers = [
        {"app_id": pusher.app_id, "pushkey": pusher.pushkey, **pusher.description}
        for pusher in select_pushers(db, call.user_id)
    ]
    return json_response({"pushers": pushers})


@routes.write("POST", "/_matrix/client/v3/pushers/set")
def set_pusher(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/pushers/set. § Push Notifications. A `kind` of null deletes the pusher."""
    body = call.body()
    app_id, pushkey = _parse_key(body)
    if body.find_string("kind") is None:
        delete_pusher(db, call.user_id, app_id, pushkey)
        return json_response({})
    pusher = Pusher(
        user_id=call.user_id,
        app_id=app_id,
        pushkey=pushkey,
        device_id=call.requester.device_id,
        pushkey_ts=call.now_ms,
        description=_parse_description(body),
    )
    update_pusher(db, pusher, is_shared=body.boolean("append", False))
    return json_response({})


def _parse_key(body: JsonObject) -> tuple[str, str]:
    app_id, pushkey = body.string("app_id"), body.string("pushkey")
    if len(app_id) > _MAX_APP_ID_CHARACTERS:
        raise InvalidParam(f"'app_id' may have at most {_MAX_APP_ID_CHARACTERS} characters.")
    if len(pushkey.encode("utf-8", "surrogatepass")) > _MAX_PUSHKEY_BYTES:
        raise InvalidParam(f"'pushkey' may have at most {_MAX_PUSHKEY_BYTES} bytes.")
    return app_id, pushkey


def _parse_description(body: JsonObject) -> dict[str, Any]:
    """What is told of the pusher again. Raises InvalidParam, MissingParam, BadJson."""
    kind = body.string("kind")
    if kind != "http":
        raise InvalidParam(f"{kind[:40]!r} is not a kind of pusher that this server has.")
    described = {name: body.string(name) for name in _DESCRIPTION}
    profile_tag = body.find_string("profile_tag")
    data = body.object("data")
    _check_url(data.string("url"))
    data.find_string("format")
    return {
        "kind": kind,
        **described,
        **({} if profile_tag is None else {"profile_tag": profile_tag}),
        "data": data.values_dict,
    }


def _check_url(url: str) -> None:
    """An HTTPS URL with the path that the specification gives. Raises InvalidParam.

    A gateway on the server's own machine may do without TLS; whether it is asked at all is the operator's to say.
    """
    try:
        parts = urlsplit(url)
        is_on_own_machine = parts.hostname in _OWN_MACHINE
    except ValueError:
        raise InvalidParam("data.url is not a URL.") from None
    if parts.path != _PATH:
        raise InvalidParam(f"The path of data.url must be {_PATH}.")
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_on_own_machine)):
        raise InvalidParam("data.url must be an HTTPS URL.")
