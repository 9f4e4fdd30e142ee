"""Sessions of user-interactive authentication; one that is too old is as good as deleted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tabstead.storage.database import Db

_LIVES_MS: Final = 60 * 60 * 1000
_LIVES_AFTER_OUTCOME_MS: Final = 5 * 60 * 1000
"""Long enough for a client to repeat the request whose answer it lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSession:
    session_id: str
    operation: str
    """What the session may be used for, and for whom."""
    body: dict[str, Any]
    """The parameters of the request that began it, without secrets."""
    outcome: str | None
    """The user that a registration made with it."""
    completed: Mapping[str, Any] = field(default_factory=dict)
    """The stages that are done, with what each has proved."""
    user_id: str | None = None
    """Who has to authenticate; None: whoever wants an account."""


def find_session(db: Db, session_id: str, now_ms: int) -> AuthSession | None:
    row = db.execute(
        "SELECT operation, body, outcome, completed, user_id FROM interactive_auth_sessions"
        " WHERE session_id = ? AND expires_ts > ?",
        (session_id, now_ms),
    ).fetchone()
    if row is None:
        return None
    operation, body, outcome, completed, user_id = row
    return AuthSession(
        session_id=session_id,
        operation=operation,
        body=json.loads(body),
        outcome=outcome,
        completed=json.loads(completed),
        user_id=user_id,
    )


def insert_session(db: Db, session: AuthSession, now_ms: int) -> None:
    """Begin a session, and forget those that are too old."""
    db.execute("DELETE FROM interactive_auth_sessions WHERE expires_ts <= ?", (now_ms,))
    db.execute(
        "INSERT INTO interactive_auth_sessions (session_id, operation, body, completed, user_id, expires_ts)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            session.session_id,
            session.operation,
            json.dumps(session.body),
            json.dumps(session.completed),
            session.user_id,
            now_ms + _LIVES_MS,
        ),
    )


def update_completed(db: Db, session_id: str, completed: Mapping[str, Any]) -> None:
    """Note which stages are done."""
    db.execute(
        "UPDATE interactive_auth_sessions SET completed = ? WHERE session_id = ?", (json.dumps(completed), session_id)
    )


def update_outcome(db: Db, session_id: str, outcome: str, now_ms: int) -> None:
    """The session was used for a registration; it ends soon."""
    db.execute(
        "UPDATE interactive_auth_sessions SET outcome = ?, expires_ts = ? WHERE session_id = ?",
        (outcome, now_ms + _LIVES_AFTER_OUTCOME_MS, session_id),
    )


def delete_session(db: Db, session_id: str) -> None:
    db.execute("DELETE FROM interactive_auth_sessions WHERE session_id = ?", (session_id,))
