"""Answers kept for requests that a browser may dispatch a second time.

An exact key (a page named the request) is answered whenever it is known. A guessed key (a fingerprint of the request)
is answered only in a later life of the server, shortly after, and once: then the browser repeats what the death of its
worker interrupted; in the same life an equal request is another request.
"""

import json
from dataclasses import dataclass
from typing import Final

from tabstead.http import DispatchKey, Response
from tabstead.storage.database import Db

_GUESS_HOLDS_MS: Final = 5 * 60 * 1000
_EXACT_HOLDS_MS: Final = 60 * 60 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One life of the homeserver between opening and death."""

    name: str


def take_answer(db: Db, key: DispatchKey, life: Life, now_ms: int) -> Response | None:
    """The stored answer of this very request, or None when it was not carried out before."""
    row = db.execute(
        "SELECT life, created_ts, status, headers, body FROM dispatches WHERE dispatch_key = ?", (key.value,)
    ).fetchone()
    if row is None:
        return None
    previous_life, created_ts, status, headers, body = row
    if not key.exact:
        db.execute("DELETE FROM dispatches WHERE dispatch_key = ?", (key.value,))
        if previous_life == life.name or now_ms - created_ts > _GUESS_HOLDS_MS:
            return None
    return Response(status=status, headers=json.loads(headers), body=body)


def insert_answer(db: Db, key: DispatchKey, life: Life, now_ms: int, response: Response) -> None:
    """Keep the answer for a second dispatch, and forget those that are too old to be asked for."""
    db.execute("DELETE FROM dispatches WHERE created_ts < ?", (now_ms - _EXACT_HOLDS_MS,))
    db.execute(
        "INSERT OR REPLACE INTO dispatches (dispatch_key, life, created_ts, status, headers, body)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (key.value, life.name, now_ms, response.status, json.dumps(dict(response.headers)), response.body),
    )
