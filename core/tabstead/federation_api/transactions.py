"""What other servers send of their own accord. Server-server API, § Transactions."""

from tabstead.federation.inbound import Transaction, receive_transaction
from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.routes import Routes
from tabstead.http import Response, json_response

routes = Routes()


@routes.waiting("PUT", "/_matrix/federation/v1/send/{txnId}")
async def put_transaction(call: FederationCall) -> Response:
    """PUT /_matrix/federation/v1/send/{txnId}. § Transactions."""
    body = call.body()
    transaction = Transaction(
        origin=call.origin,
        transaction_id=call.parameter("txnId"),
        pdus=body.array("pdus"),
        edus=body.array("edus", []),
    )
    return json_response(await receive_transaction(call.federation, call.context.typing_users, transaction))
