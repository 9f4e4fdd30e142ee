"""Rows that are of no use after a while, table by table.

A scan goes through a table in the order of its key, a range of rows at a time, and deletes those of them that its
condition is true of. None of these tables has an index for that: each would cost every request that writes a row more
than a look at the whole table costs once a day.
"""

from dataclasses import dataclass
from typing import Any, Final

from tabstead.storage.compaction.slices import Circumstances, Position, Progress
from tabstead.storage.engine import Db
from tabstead.storage.positions import select_position
from tabstead.storage.push_actions import IS_READ

_HOUR_MS: Final = 60 * 60 * 1000
_DAY_MS: Final = 24 * _HOUR_MS

_RECENT_POSITIONS: Final = 20_000
"""What was read longer ago than so many stream positions is history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What of a table is deleted.

    The condition knows the row as `p`, the time as `:now` (ms), and a stream position long ago as `:far`.
    """

    table: str
    key: tuple[str, ...]
    condition: str

    def work(self, db: Db, position: Position, limit: int, circumstances: Circumstances) -> Progress:
        """Look at the next `limit` rows. A unit is a row that was looked at."""
        after = tuple(map(_from_json, position))
        begin = f"WHERE {self._columns} > ({self._marks})" if after else ""
        keys = db.execute(
            f"SELECT {', '.join(self.key)} FROM {self.table} {begin} ORDER BY {', '.join(self.key)} LIMIT ?",
            (*after, limit),
        ).fetchall()
        if keys:
            self._delete(db, keys[0], keys[-1], circumstances)
        is_over = len(keys) < limit
        return Progress(used=len(keys), position=None if is_over else tuple(map(_to_json, keys[-1])))

    @property
    def _columns(self) -> str:
        return f"({', '.join(self.key)})"

    @property
    def _marks(self) -> str:
        return ", ".join("?" * len(self.key))

    def _delete(self, db: Db, first: tuple[Any, ...], last: tuple[Any, ...], circumstances: Circumstances) -> None:
        known = {"now": circumstances.now_ms, "far": select_position(db) - _RECENT_POSITIONS}
        bounds = {f"{bound}{at}": value for bound, key in (("a", first), ("b", last)) for at, value in enumerate(key)}
        lower, upper = (", ".join(f":{bound}{at}" for at in range(len(self.key))) for bound in "ab")
        db.execute(
            f"DELETE FROM {self.table} AS p WHERE {self._columns} >= ({lower}) AND {self._columns} <= ({upper})"
            f" AND {self.condition}",
            known | bounds,
        )


SCANS: Final = (
    # A client repeats a request for minutes; one that was away for a week sends anew.
    Scan(table="client_transactions", key=("transaction_key",), condition=f"p.created_ts < :now - {7 * _DAY_MS}"),
    Scan(table="dispatches", key=("dispatch_key",), condition=f"p.created_ts < :now - {_HOUR_MS}"),
    # A server repeats a transaction until it is answered.
    Scan(
        table="inbound_transactions",
        key=("origin", "transaction_id"),
        condition=f"p.created_ts < :now - {_DAY_MS}",
    ),
    # A message to devices comes again as long as its server does not know that it arrived.
    Scan(
        table="inbound_to_device",
        key=("origin", "message_id"),
        condition=f"p.received_ts < :now - {30 * _DAY_MS}",
    ),
    # An event that was passed on to all.
    Scan(
        table="outbound_relays",
        key=("stream_position",),
        condition="p.stream_position <= (SELECT value FROM counters WHERE name = 'outbound') AND NOT EXISTS"
        " (SELECT 1 FROM outbound_news n WHERE n.kind = 0"
        " AND p.stream_position BETWEEN n.first_position AND n.last_position)",
    ),
    # Whoever is told of a device is told what it is now: of its changes, the last one counts.
    Scan(
        table="device_changes",
        key=("stream_position",),
        condition="p.stream_position < :far AND EXISTS (SELECT 1 FROM device_changes l"
        " WHERE l.user_id = p.user_id AND l.stream_position > p.stream_position AND l.device_id = p.device_id)",
    ),
    Scan(table="interactive_auth_sessions", key=("session_id",), condition="p.expires_ts <= :now"),
    # With a refresh token, an expired pair is still good for a new one. For a week, the client is told that it expired.
    Scan(
        table="access_tokens",
        key=("token_hash",),
        condition=f"p.refresh_token_hash IS NULL AND p.expires_ts < :now - {7 * _DAY_MS}",
    ),
    Scan(
        table="to_device_messages",
        key=("stream_position",),
        condition="NOT EXISTS (SELECT 1 FROM devices d WHERE d.user_id = p.user_id AND d.device_id = p.device_id)",
    ),
    # What was read counts nowhere; the list of notifications goes back so far and no further.
    Scan(
        table="push_actions",
        key=("user_nid", "room_nid", "event_position"),
        condition=f"p.event_position < :far AND {IS_READ}",
    ),
    # An unthreaded receipt holds for all threads up to its event.
    Scan(
        table="receipts",
        key=("stream_position",),
        condition="p.event_position < :far AND p.thread_id <> '' AND EXISTS"
        " (SELECT 1 FROM receipts u WHERE u.room_nid = p.room_nid AND u.user_nid = p.user_nid"
        " AND u.receipt_type = p.receipt_type AND u.thread_id = '' AND u.event_position >= p.event_position)",
    ),
)


def _to_json(value: int | str | bytes) -> int | str:
    """A key's column as a position has it; bytes come back as bytes because nothing else begins with a NUL."""
    return f"\0{value.hex()}" if isinstance(value, bytes) else value


def _from_json(value: int | str) -> int | str | bytes:
    return bytes.fromhex(value[1:]) if isinstance(value, str) and value.startswith("\0") else value
