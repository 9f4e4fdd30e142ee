"""Client transactions: what a PUT with a transaction id did, so that its repetition is answered from here.

An id counts per device and path (Client-Server API, § Transaction identifiers). `path` is the endpoint's own part of
the path, without version prefix and id. All four parts are hashed into one number, which is the key: 63 bits that
nobody but the user's own device has a part in. Under which id a device sent an event stands beside the event.
"""

from dataclasses import dataclass
from hashlib import sha256

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTransaction:
    user_id: str
    device_id: str
    path: str
    transaction_id: str

    @property
    def key(self) -> int:
        parts = (self.user_id, self.device_id, self.path, self.transaction_id)
        digest = sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionResult:
    """What a transaction sent: an event, or, in to-device messages, none."""

    event_nid: int | None


def find_transaction(db: Db, transaction: ClientTransaction) -> TransactionResult | None:
    """What the transaction did, or None if it is new."""
    row = db.execute(
        "SELECT event_nid FROM client_transactions WHERE transaction_key = ?", (transaction.key,)
    ).fetchone()
    return None if row is None else TransactionResult(event_nid=row[0])


def insert_transaction(db: Db, transaction: ClientTransaction, event_nid: int | None, now_ms: int) -> None:
    """Remember what a new transaction did."""
    db.execute(
        "INSERT INTO client_transactions (transaction_key, event_nid, created_ts) VALUES (?, ?, ?)",
        (transaction.key, event_nid, now_ms),
    )
