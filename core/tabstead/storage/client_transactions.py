"""Client transactions: what a PUT with a transaction id did, so that its repetition is answered from here.

An id counts per device and path (Client-Server API, § Transaction identifiers). `path` is the endpoint's own part of
the path, without version prefix and id.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTransaction:
    user_id: str
    device_id: str
    path: str
    transaction_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionResult:
    """What a transaction sent: an event, or, in to-device messages, none."""

    event_nid: int | None


def find_transaction(db: Db, transaction: ClientTransaction) -> TransactionResult | None:
    """What the transaction did, or None if it is new."""
    row = db.execute(
        "SELECT event_nid FROM client_transactions"
        " WHERE user_id = ? AND device_id = ? AND path = ? AND transaction_id = ?",
        (transaction.user_id, transaction.device_id, transaction.path, transaction.transaction_id),
    ).fetchone()
    return None if row is None else TransactionResult(event_nid=row[0])


def insert_transaction(db: Db, transaction: ClientTransaction, event_nid: int | None, now_ms: int) -> None:
    """Remember what a new transaction did."""
    db.execute(
        "INSERT INTO client_transactions (user_id, device_id, path, transaction_id, event_nid, created_ts)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            transaction.user_id,
            transaction.device_id,
            transaction.path,
            transaction.transaction_id,
            event_nid,
            now_ms,
        ),
    )


def select_transaction_ids(
    db: Db, user_id: str, device_id: str, event_nids: Iterable[int]
) -> dict[int, str]:
    """The transaction ids under which this device sent events, by event_nid."""
    rows = db.execute(
        "SELECT c.event_nid, c.transaction_id FROM json_each(?) j CROSS JOIN client_transactions c"
        " ON c.event_nid = j.value WHERE c.user_id = ? AND c.device_id = ?",
        (json.dumps(list(event_nids)), user_id, device_id),
    )
    return dict(rows.fetchall())
