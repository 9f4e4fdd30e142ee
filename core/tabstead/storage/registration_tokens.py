"""Tokens that let their bearers register: how often each may be used, and how often it was."""

from dataclasses import dataclass

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationToken:
    token: str
    uses_allowed: int | None
    """None: any number."""
    used: int
    expires_ts: int | None
    """None: never."""

    def is_valid(self, now_ms: int) -> bool:
        """Whether it may be used once more."""
        is_left = self.uses_allowed is None or self.used < self.uses_allowed
        return is_left and (self.expires_ts is None or self.expires_ts > now_ms)


_SELECT = "SELECT token, uses_allowed, used, expires_ts FROM registration_tokens"


def select_registration_tokens(db: Db) -> list[RegistrationToken]:
    return [_found(row) for row in db.execute(f"{_SELECT} ORDER BY token")]


def find_registration_token(db: Db, token: str) -> RegistrationToken | None:
    row = db.execute(f"{_SELECT} WHERE token = ?", (token,)).fetchone()
    return None if row is None else _found(row)


def _found(row: tuple[str, int | None, int, int | None]) -> RegistrationToken:
    token, uses_allowed, used, expires_ts = row
    return RegistrationToken(token=token, uses_allowed=uses_allowed, used=used, expires_ts=expires_ts)


def insert_registration_token(db: Db, token: str, uses_allowed: int | None, expires_ts: int | None) -> None:
    db.execute(
        "INSERT INTO registration_tokens (token, uses_allowed, expires_ts) VALUES (?, ?, ?)",
        (token, uses_allowed, expires_ts),
    )


def update_registration_token(db: Db, token: str, uses_allowed: int | None, expires_ts: int | None) -> None:
    db.execute(
        "UPDATE registration_tokens SET uses_allowed = ?, expires_ts = ? WHERE token = ?",
        (uses_allowed, expires_ts, token),
    )


def update_used(db: Db, token: str) -> None:
    """It was used once more."""
    db.execute("UPDATE registration_tokens SET used = used + 1 WHERE token = ?", (token,))


def delete_registration_token(db: Db, token: str) -> None:
    db.execute("DELETE FROM registration_tokens WHERE token = ?", (token,))
