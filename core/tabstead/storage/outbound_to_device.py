"""Messages for devices of other servers' users, in order, each until its server has it."""

import json
from collections.abc import Iterable

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import ServerName
from tabstead.storage.database import Db
from tabstead.storage.positions import next_position


def insert_outbound_to_device(db: Db, server: str, contents: Iterable[JsonDict]) -> None:
    """Leave contents of m.direct_to_device for a server."""
    for content in contents:
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        db.execute(
            "INSERT INTO outbound_to_device (server, stream_position, content) VALUES (?, ?, ?)",
            (server, next_position(db), text),
        )


def select_outbound_to_device(db: Db, server: str, limit: int) -> list[tuple[int, JsonDict]]:
    """The first `limit` messages that the server does not have yet: position and content."""
    rows = db.execute(
        "SELECT stream_position, content FROM outbound_to_device WHERE server = ? ORDER BY stream_position LIMIT ?",
        (server, limit),
    )
    return [(position, json.loads(content)) for position, content in rows]


def select_to_device_servers(db: Db, *, after: int, up_to: int) -> set[ServerName]:
    """The servers for which messages were left with after < position <= up_to."""
    rows = db.execute(
        "SELECT DISTINCT server FROM outbound_to_device WHERE stream_position > ? AND stream_position <= ?",
        (after, up_to),
    )
    return {ServerName(server) for (server,) in rows}


def delete_outbound_to_device(db: Db, server: str, up_to: int) -> None:
    """The server has the messages up to the position."""
    db.execute("DELETE FROM outbound_to_device WHERE server = ? AND stream_position <= ?", (server, up_to))
