"""What endpoints below `/user/{userId}/` have in common: they are for the user themselves."""

from tabstead.client_api.call import Call
from tabstead.errors import Forbidden
from tabstead.protocol.identifiers import parse_room_id


def check_own(call: Call) -> None:
    """Raises Forbidden when the path's user is not the one who asks."""
    if call.parameter("userId") != call.user_id:
        raise Forbidden("Only the user themselves may do this.")


def room_id_parameter(call: Call) -> str:
    """The path's room id. Raises InvalidParam for what is none."""
    return parse_room_id(call.parameter("roomId"))
