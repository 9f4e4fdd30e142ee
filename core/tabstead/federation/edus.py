"""What other servers send beside events: receipts, typing, presence, messages to devices and the like.

Each kind has a handler in `EDU_HANDLERS`, which runs in the transaction that takes the whole lot in, so that an EDU
counts once however often it is sent. A handler checks before it writes anything; what it raises as a MatrixError
leaves the EDU out, and the sender is not told: an EDU is not worth an answer. One of a room has to look whether the
room's ACL lets the server speak (`rooms.server_access`).
"""

import logging
from typing import Final

from tabstead.errors import BadJson, MatrixError
from tabstead.federation.edu_context import EduContext, EduHandler
from tabstead.federation.room_edus import receive_receipts, receive_typing
from tabstead.federation.user_edus import (
    receive_device_update,
    receive_messages,
    receive_presence,
    receive_signing_keys,
)
from tabstead.http import JsonObject
from tabstead.protocol.identifiers import ServerName
from tabstead.storage.database import Db

logger = logging.getLogger(__name__)

EDU_HANDLERS: Final[dict[str, EduHandler]] = {
    "m.device_list_update": receive_device_update,
    "m.direct_to_device": receive_messages,
    "m.presence": receive_presence,
    "m.receipt": receive_receipts,
    "m.signing_key_update": receive_signing_keys,
    "m.typing": receive_typing,
}
"""By `edu_type`. What isn't here is ignored."""


def receive_edus(db: Db, context: EduContext, origin: ServerName, edus: list[object]) -> None:
    """Take what a server sent."""
    for edu in edus:
        try:
            _receive(db, context, origin, edu)
        except MatrixError as error:
            logger.info("An EDU of %s is ignored: %s", origin, error.sentence)


def _receive(db: Db, context: EduContext, origin: ServerName, edu: object) -> None:
    if not isinstance(edu, dict):
        raise BadJson("An EDU is a JSON object.")
    given = JsonObject(edu)
    handler = EDU_HANDLERS.get(given.string("edu_type"))
    if handler is not None:
        handler(db, context, origin, given.object("content"))
