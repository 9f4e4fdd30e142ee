"""Other servers' verify keys."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from tabstead.protocol.signatures import VerifyKey
from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKey:
    """A key with what was told of it."""

    verify_key: VerifyKey
    is_old: bool
    """No longer in use: its `valid_until_ts` is when it was last used."""
    fetched_ts: int


def select_server_keys(db: Db, server_name: str, key_ids: Iterable[str]) -> dict[str, ServerKey]:
    """Those of a server's keys that are known, by key id."""
    rows = db.execute(
        "SELECT k.key_id, k.key, k.valid_until_ts, k.is_old, k.fetched_ts FROM json_each(?) j"
        " CROSS JOIN server_keys k ON k.server_name = ? AND k.key_id = j.value",
        (json.dumps(list(key_ids)), server_name),
    )
    return {
        key_id: ServerKey(
            verify_key=VerifyKey(key_id=key_id, key=key, valid_until_ts=valid_until_ts),
            is_old=bool(is_old),
            fetched_ts=fetched_ts,
        )
        for key_id, key, valid_until_ts, is_old, fetched_ts in rows
    }


def update_server_keys(db: Db, server_name: str, keys: Iterable[ServerKey]) -> None:
    """Note what was told of a server's keys, in place of what was known."""
    db.executemany(
        "INSERT OR REPLACE INTO server_keys (server_name, key_id, key, valid_until_ts, is_old, fetched_ts)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                server_name,
                key.verify_key.key_id,
                key.verify_key.key,
                key.verify_key.valid_until_ts,
                key.is_old,
                key.fetched_ts,
            )
            for key in keys
        ],
    )
