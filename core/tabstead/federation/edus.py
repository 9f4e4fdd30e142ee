"""What other servers send beside events: receipts, typing, presence, messages to devices and the like.

Each kind has a handler in `EDU_HANDLERS`, which runs in the transaction that takes the whole lot in, so that an EDU
counts once however often it is sent. A handler checks before it writes anything; what it raises as a MatrixError
leaves the EDU out, and the sender is not told: an EDU is not worth an answer. One of a room has to look whether the
room's ACL lets the server speak (`rooms.server_access`).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from tabstead.errors import BadJson, MatrixError
from tabstead.http import JsonObject
from tabstead.protocol.identifiers import ServerName
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Db
from tabstead.streams.typing_users import TypingUsers

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EduContext:
    """What handlers work with in one run of the transaction."""

    server: LocalServer
    typing_users: TypingUsers
    afterwards: list[Callable[[], None]] = field(default_factory=list)
    """What is to be done once the transaction is durable: changes of what lives in memory."""


EduHandler: TypeAlias = Callable[[Db, EduContext, ServerName, JsonObject], None]
"""Takes an EDU's `content` from a server. Raises MatrixError for one that means nothing."""

EDU_HANDLERS: Final[dict[str, EduHandler]] = {}
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
