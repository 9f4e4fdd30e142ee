"""Sessions of user-interactive authentication; one that is too old is as good as deleted."""

import json
from dataclasses import dataclass
from typing import Any, Final

from tabstead.storage.database import Db

_LIVES_MS: Final = 60 * 60 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSession:
    session_id: str
    operation: str
    """What the session may be used for, and for whom."""
    body: dict[str, Any]
    """The parameters of the request that began it, without secrets."""
    outcome: str | None
    """The user that a registration made with it."""


def find_session(db: Db, session_id: str, now_ms: int) -> AuthSession | None:
    row = db.execute(
        "SELECT operation, body, outcome FROM interactive_auth_sessions WHERE session_id = ? AND created_ts > ?",
        (session_id, now_ms - _LIVES_MS),
    ).fetchone()
    if row is None:
        return None
    operation, body, outcome = row
    return AuthSession(session_id=session_id, operation=operation, body=json.loads(body), outcome=outcome)


def insert_session(db: Db, session: AuthSession, now_ms: int) -> None:
    """Begin a session, and forget those that are too old."""
    db.execute("DELETE FROM interactive_auth_sessions WHERE created_ts <= ?", (now_ms - _LIVES_MS,))
    db.execute(
        "INSERT INTO interactive_auth_sessions (session_id, operation, body, created_ts) VALUES (?, ?, ?, ?)",
        (session.session_id, session.operation, json.dumps(session.body), now_ms),
    )


def update_outcome(db: Db, session_id: str, outcome: str) -> None:
    db.execute("UPDATE interactive_auth_sessions SET outcome = ? WHERE session_id = ?", (outcome, session_id))


def delete_session(db: Db, session_id: str) -> None:
    db.execute("DELETE FROM interactive_auth_sessions WHERE session_id = ?", (session_id,))
