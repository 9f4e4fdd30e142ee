"""Messages from device to device. Client-Server API, § Send-to-Device messaging."""

from tabstead.client_api.call import Call
from tabstead.client_api.rate_limits import SENDING
from tabstead.client_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.storage.client_transactions import ClientTransaction
from tabstead.storage.database import Db
from tabstead.streams.to_device import send_to_devices

routes = Routes()


@routes.write("PUT", "/_matrix/client/v3/sendToDevice/{eventType}/{txnId}", limit=SENDING)
def send_to_device(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/sendToDevice/{eventType}/{txnId}. § Send-to-Device messaging."""
    event_type = call.parameter("eventType")
    transaction = ClientTransaction(
        user_id=call.user_id,
        device_id=call.requester.device_id,
        path=f"sendToDevice/{event_type}",
        transaction_id=call.parameter("txnId"),
    )
    messages = call.body().object("messages").values_dict
    send_to_devices(
        db,
        event_type,
        messages,
        transaction=transaction,
        server_name=call.context.local_server.name,
        federates=call.context.federation is not None,
        now_ms=call.now_ms,
    )
    return json_response({})
