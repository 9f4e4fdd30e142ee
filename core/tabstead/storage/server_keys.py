"""Other servers' verify keys, and the signed responses that told them.

Anybody can have servers without number, so what is kept has an end: the newest responses remain, and a key remains as
long as the response that told it last. Of each server so many keys remain, those that were told last.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tabstead.protocol.signatures import VerifyKey
from tabstead.storage.database import Db

MAX_RESPONSES: Final = 100_000
"""The Matrix network has a fifth as many servers."""
MAX_KEYS: Final = 64
"""Of one server."""
MAX_RESPONSE_BYTES: Final = 8192
"""Of a bigger response the keys are kept, and it itself is not."""

_EVICTED_AT_ONCE: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKey:
    """A key with what was told of it."""

    verify_key: VerifyKey
    is_old: bool
    """No longer in use: its `valid_until_ts` is when it was last used."""
    fetched_ts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldKeys:
    """What a response tells of a server's keys."""

    server_name: str
    keys: Sequence[ServerKey]
    response: bytes
    """Canonical JSON, signed by the server."""


def select_server_keys(db: Db, server_name: str, key_ids: Iterable[str]) -> dict[str, ServerKey]:
    """Those of a server's keys that are known, by key id."""
    rows = db.execute(
        "SELECT k.key_id, k.key, k.valid_until_ts, k.is_old, k.fetched_ts FROM json_each(?) j"
        " CROSS JOIN server_keys k ON k.server_name = ? AND k.key_id = j.value",
        (json.dumps(list(key_ids)), server_name),
    )
    return dict(map(_read_key, rows))


def select_all_server_keys(db: Db, server_name: str) -> dict[str, ServerKey]:
    """All that are known of a server's keys, by key id."""
    rows = db.execute(
        "SELECT key_id, key, valid_until_ts, is_old, fetched_ts FROM server_keys WHERE server_name = ?", (server_name,)
    )
    return dict(map(_read_key, rows))


def has_server_keys(db: Db, server_name: str) -> bool:
    """Whether any key of a server is known."""
    return db.execute("SELECT 1 FROM server_keys WHERE server_name = ? LIMIT 1", (server_name,)).fetchone() is not None


def select_key_responses(db: Db, server_name: str, key_ids: Iterable[str]) -> list[bytes]:
    """The responses that told these keys of a server last, the newest first; as far as they are kept."""
    rows = db.execute(
        "SELECT response FROM server_key_responses WHERE response IS NOT NULL AND response_nid IN"
        " (SELECT k.response_nid FROM json_each(?) j CROSS JOIN server_keys k"
        " ON k.server_name = ? AND k.key_id = j.value) ORDER BY response_nid DESC",
        (json.dumps(list(key_ids)), server_name),
    )
    return [bytes(response) for (response,) in rows]


def update_server_keys(db: Db, told: ToldKeys) -> None:
    """Note what was told of a server's keys, in place of what was known."""
    _insert_keys(db, told, told.keys)


def insert_older_server_keys(db: Db, told: ToldKeys) -> None:
    """Note what was told at second hand, as far as it tells more than is known: another key, or a longer validity."""
    known = select_server_keys(db, told.server_name, [key.verify_key.key_id for key in told.keys])
    _insert_keys(db, told, [key for key in told.keys if _tells_more(key, known.get(key.verify_key.key_id))])


def _tells_more(key: ServerKey, known: ServerKey | None) -> bool:
    if known is None:
        return True
    return not known.is_old and (key.verify_key.valid_until_ts or 0) > (known.verify_key.valid_until_ts or 0)


def _insert_keys(db: Db, told: ToldKeys, keys: Sequence[ServerKey]) -> None:
    if not keys:
        return
    replaced = _select_response_nids(db, told.server_name)
    kept = told.response if len(told.response) <= MAX_RESPONSE_BYTES else None
    inserted = db.execute(
        "INSERT INTO server_key_responses (server_name, response) VALUES (?, ?) RETURNING response_nid",
        (told.server_name, kept),
    )
    (response_nid,) = inserted.fetchone()
    db.executemany(
        "INSERT OR REPLACE INTO server_keys"
        " (server_name, key_id, key, valid_until_ts, is_old, fetched_ts, response_nid) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                told.server_name,
                key.verify_key.key_id,
                key.verify_key.key,
                key.verify_key.valid_until_ts,
                key.is_old,
                key.fetched_ts,
                response_nid,
            )
            for key in keys
        ],
    )
    db.execute(
        "DELETE FROM server_keys WHERE server_name = ?1 AND key_id NOT IN"
        " (SELECT key_id FROM server_keys WHERE server_name = ?1 ORDER BY response_nid DESC, is_old LIMIT ?2)",
        (told.server_name, MAX_KEYS),
    )
    _delete_responses(db, replaced - _select_response_nids(db, told.server_name))
    _evict_before(db, response_nid - MAX_RESPONSES)


def _select_response_nids(db: Db, server_name: str) -> set[int]:
    rows = db.execute("SELECT DISTINCT response_nid FROM server_keys WHERE server_name = ?", (server_name,))
    return {nid for (nid,) in rows}


def _delete_responses(db: Db, response_nids: Iterable[int]) -> None:
    db.executemany("DELETE FROM server_key_responses WHERE response_nid = ?", [(nid,) for nid in response_nids])


def _evict_before(db: Db, response_nid: int) -> None:
    """Let go of the oldest responses and what they told last: a few each time, more than come to it."""
    evicted = db.execute(
        "SELECT response_nid, server_name FROM server_key_responses WHERE response_nid <= ? LIMIT ?",
        (response_nid, _EVICTED_AT_ONCE),
    ).fetchall()
    db.executemany("DELETE FROM server_keys WHERE response_nid = ? AND server_name = ?", evicted)
    _delete_responses(db, [nid for nid, _ in evicted])


def _read_key(row: tuple[str, bytes, int, int, int]) -> tuple[str, ServerKey]:
    key_id, key, valid_until_ts, is_old, fetched_ts = row
    verify_key = VerifyKey(key_id=key_id, key=key, valid_until_ts=valid_until_ts)
    return key_id, ServerKey(verify_key=verify_key, is_old=bool(is_old), fetched_ts=fetched_ts)
