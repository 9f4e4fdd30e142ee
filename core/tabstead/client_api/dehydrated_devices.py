"""Dehydrated devices (MSC3814, version 2)."""

import re
from typing import Final

from tabstead.client_api.call import Access, Call
from tabstead.client_api.routes import Routes
from tabstead.encryption.dehydrated_devices import (
    MESSAGES_PER_PAGE,
    describe_message,
    get_dehydrated_device,
    remove_dehydrated_device,
    select_dehydrated_messages,
    set_dehydrated_device,
)
from tabstead.errors import InvalidParam
from tabstead.http import JsonDict, Response, json_response
from tabstead.storage.database import Db
from tabstead.storage.to_device import ToDeviceMessage

routes = Routes()

_PATH: Final = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device"
_BEGINNING: Final = "0"
_is_position = re.compile(r"[0-9]{1,18}").fullmatch


@routes.write("PUT", _PATH, access=Access.USER)
def put_dehydrated_device(call: Call, db: Db) -> Response:
    """PUT …/org.matrix.msc3814.v1/dehydrated_device."""
    return json_response({"device_id": set_dehydrated_device(db, call.user_id, call.body(), call.now_ms)})


@routes.read("GET", _PATH, access=Access.USER)
def get_dehydrated(call: Call, db: Db) -> Response:
    """GET …/org.matrix.msc3814.v1/dehydrated_device."""
    device = get_dehydrated_device(db, call.user_id)
    return json_response({"device_id": device.device_id, "device_data": device.data})


@routes.write("DELETE", _PATH, access=Access.USER)
def delete_dehydrated(call: Call, db: Db) -> Response:
    """DELETE …/org.matrix.msc3814.v1/dehydrated_device."""
    return json_response({"device_id": remove_dehydrated_device(db, call.user_id)})


@routes.read("GET", f"{_PATH}/{{deviceId}}/events", access=Access.USER)
def get_dehydrated_events(call: Call, db: Db) -> Response:
    """GET …/org.matrix.msc3814.v1/dehydrated_device/{deviceId}/events: what it was sent, `from` page to page.

    `next_batch` is there as long as there may be more.
    """
    messages = _select_page(call, db, call.request.query.get("from", _BEGINNING))
    page: JsonDict = {"events": [describe_message(message) for message in messages]}
    if len(messages) == MESSAGES_PER_PAGE:
        page["next_batch"] = str(messages[-1].stream_position)
    return json_response(page)


@routes.read("POST", f"{_PATH}/{{deviceId}}/events", access=Access.USER)
def post_dehydrated_events(call: Call, db: Db) -> Response:
    """POST …/org.matrix.msc3814.v1/dehydrated_device/{deviceId}/events: the same as older clients ask for it.

    They go on until a page is empty: `next_batch` is always there.
    """
    since = call.request.optional_json_object().string("next_batch", _BEGINNING)
    messages = _select_page(call, db, since)
    next_batch = str(messages[-1].stream_position) if messages else since
    return json_response({"events": [describe_message(message) for message in messages], "next_batch": next_batch})


def _select_page(call: Call, db: Db, since: str) -> list[ToDeviceMessage]:
    if not _is_position(since):
        raise InvalidParam("The place to go on from is not one of this server's.")
    return select_dehydrated_messages(db, call.user_id, call.parameter("deviceId"), int(since))
