"""The user's devices. Client-Server API, § Device Management."""

from typing import Any

from tabstead.accounts.devices import delete_devices, get_device, rename_device
from tabstead.client_api.call import Access, Call
from tabstead.client_api.interactive_auth import carry_out_confirmed
from tabstead.client_api.routes import Routes
from tabstead.http import JsonObject, Response, json_response
from tabstead.storage.database import Db
from tabstead.storage.devices import Device, select_devices

routes = Routes()


@routes.read("GET", "/_matrix/client/v3/devices")
def get_devices(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/devices. § Device Management."""
    return json_response({"devices": [_client_device(device) for device in select_devices(db, call.user_id)]})


@routes.read("GET", "/_matrix/client/v3/devices/{deviceId}")
def get_one_device(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/devices/{deviceId}. § Device Management."""
    return json_response(_client_device(get_device(db, call.user_id, call.parameter("deviceId"))))


@routes.write("PUT", "/_matrix/client/v3/devices/{deviceId}")
def put_device(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/devices/{deviceId}. § Device Management."""
    device = get_device(db, call.user_id, call.parameter("deviceId"))
    display_name = call.body().find_string("display_name")
    if display_name is not None:
        rename_device(db, call.user_id, device.device_id, display_name)
    return json_response({})


@routes.waiting("DELETE", "/_matrix/client/v3/devices/{deviceId}", access=Access.NONE)
async def delete_one_device(call: Call) -> Response:
    """DELETE /_matrix/client/v3/devices/{deviceId}. § Device Management."""
    device_id = call.parameter("deviceId")

    def work(confirmed: Call, db: Db, body: JsonObject) -> Response:
        delete_devices(db, confirmed.user_id, [device_id])
        return json_response({})

    return await carry_out_confirmed(call, work)


@routes.waiting("POST", "/_matrix/client/v3/delete_devices", access=Access.NONE)
async def delete_several_devices(call: Call) -> Response:
    """POST /_matrix/client/v3/delete_devices. § Device Management."""

    def work(confirmed: Call, db: Db, body: JsonObject) -> Response:
        delete_devices(db, confirmed.user_id, body.strings("devices"))
        return json_response({})

    return await carry_out_confirmed(call, work)


def _client_device(device: Device) -> dict[str, Any]:
    described = {
        "device_id": device.device_id,
        "display_name": device.display_name,
        "last_seen_ip": device.last_seen_ip or None,
        "last_seen_ts": device.last_seen_ts,
    }
    return {key: value for key, value in described.items() if value is not None}
