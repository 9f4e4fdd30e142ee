"""This server's users. A user ID that was once given is never given again."""

from dataclasses import dataclass

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    user_id: str
    password_hash: str | None
    """None: the user cannot log in with a password."""
    is_guest: bool
    is_admin: bool
    is_deactivated: bool
    is_locked: bool
    is_suspended: bool


def find_user(db: Db, user_id: str) -> User | None:
    row = db.execute(
        "SELECT password_hash, is_guest, is_admin, is_deactivated, is_locked, is_suspended"
        " FROM users WHERE user_id = ?",
        (user_id,),
    ).fetchone()
    if row is None:
        return None
    password_hash, is_guest, is_admin, is_deactivated, is_locked, is_suspended = row
    return User(
        user_id=user_id,
        password_hash=password_hash,
        is_guest=bool(is_guest),
        is_admin=bool(is_admin),
        is_deactivated=bool(is_deactivated),
        is_locked=bool(is_locked),
        is_suspended=bool(is_suspended),
    )


def insert_user(
    db: Db, user_id: str, password_hash: str | None, *, is_guest: bool, is_admin: bool, now_ms: int
) -> None:
    db.execute(
        "INSERT INTO users (user_id, password_hash, is_guest, is_admin, created_ts) VALUES (?, ?, ?, ?, ?)",
        (user_id, password_hash, is_guest, is_admin, now_ms),
    )


def update_password_hash(db: Db, user_id: str, password_hash: str) -> None:
    db.execute("UPDATE users SET password_hash = ? WHERE user_id = ?", (password_hash, user_id))


def update_guest(db: Db, user_id: str, password_hash: str | None) -> None:
    """Make a guest's account an ordinary one."""
    db.execute("UPDATE users SET is_guest = 0, password_hash = ? WHERE user_id = ?", (password_hash, user_id))


def update_locked(db: Db, user_id: str, *, is_locked: bool) -> None:
    db.execute("UPDATE users SET is_locked = ? WHERE user_id = ?", (is_locked, user_id))


def update_suspended(db: Db, user_id: str, *, is_suspended: bool) -> None:
    db.execute("UPDATE users SET is_suspended = ? WHERE user_id = ?", (is_suspended, user_id))


def select_erased_users(db: Db) -> set[str]:
    """Who closed their account and asked to be forgotten: few, if any."""
    return {user_id for (user_id,) in db.execute("SELECT user_id FROM users WHERE is_erased = 1")}


def update_deactivated(db: Db, user_id: str, *, is_erased: bool) -> None:
    """Close the account for good."""
    db.execute(
        "UPDATE users SET password_hash = NULL, is_deactivated = 1, is_erased = ? WHERE user_id = ?",
        (is_erased, user_id),
    )
