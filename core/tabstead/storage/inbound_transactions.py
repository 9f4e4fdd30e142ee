"""What was answered to other servers' transactions, so that a repetition is answered the same and changes nothing.

Rows are deleted after a while by the compaction: a server repeats a transaction until it has an answer.
"""

import json

from tabstead.protocol.canonical_json import JsonDict
from tabstead.storage.database import Db


def find_transaction_answer(db: Db, origin: str, transaction_id: str) -> JsonDict | None:
    """The answer to a transaction that came before."""
    row = db.execute(
        "SELECT answer FROM inbound_transactions WHERE origin = ? AND transaction_id = ?", (origin, transaction_id)
    ).fetchone()
    answer: JsonDict | None = None if row is None else json.loads(row[0])
    return answer


def insert_transaction_answer(db: Db, origin: str, transaction_id: str, answer: JsonDict, now_ms: int) -> None:
    db.execute(
        "INSERT INTO inbound_transactions (origin, transaction_id, created_ts, answer) VALUES (?, ?, ?, ?)",
        (origin, transaction_id, now_ms, json.dumps(answer, separators=(",", ":"))),
    )
