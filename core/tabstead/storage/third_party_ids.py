"""Third-party identifiers of this server's users, and email addresses on the way to becoming one.

An identifier is one user's alone. A validation that is too old is as good as deleted.
"""

from dataclasses import dataclass

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class ThirdPartyId:
    medium: str
    address: str
    """In canonical form."""
    user_id: str
    validated_ts: int
    added_ts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailValidation:
    session_id: str
    purpose: str
    client_secret: str
    address: str
    send_attempt: int
    token_hash: bytes
    next_link: str | None
    validated_ts: int | None


def select_third_party_ids(db: Db, user_id: str) -> list[ThirdPartyId]:
    """A user's identifiers, the oldest first."""
    rows = db.execute(
        "SELECT medium, address, validated_ts, added_ts FROM third_party_ids WHERE user_id = ? ORDER BY added_ts",
        (user_id,),
    )
    return [
        ThirdPartyId(medium=medium, address=address, user_id=user_id, validated_ts=validated_ts, added_ts=added_ts)
        for medium, address, validated_ts, added_ts in rows
    ]


def find_user_of_third_party_id(db: Db, medium: str, address: str) -> str | None:
    row = db.execute(
        "SELECT user_id FROM third_party_ids WHERE medium = ? AND address = ?", (medium, address)
    ).fetchone()
    return None if row is None else str(row[0])


def insert_third_party_id(db: Db, identifier: ThirdPartyId) -> None:
    """Give an identifier to a user, in place of what is known of it."""
    db.execute(
        "INSERT OR REPLACE INTO third_party_ids (medium, address, user_id, validated_ts, added_ts)"
        " VALUES (?, ?, ?, ?, ?)",
        (identifier.medium, identifier.address, identifier.user_id, identifier.validated_ts, identifier.added_ts),
    )


def delete_third_party_id(db: Db, user_id: str, medium: str, address: str) -> bool:
    """Whether the user had it."""
    deleted = db.execute(
        "DELETE FROM third_party_ids WHERE medium = ? AND address = ? AND user_id = ?", (medium, address, user_id)
    )
    return deleted.rowcount > 0


def delete_third_party_ids(db: Db, user_id: str) -> None:
    """All of a user's."""
    db.execute("DELETE FROM third_party_ids WHERE user_id = ?", (user_id,))


_SELECT_VALIDATION = (
    "SELECT session_id, purpose, client_secret, address, send_attempt, token_hash, next_link, validated_ts"
    " FROM email_validations"
)


def find_validation(db: Db, session_id: str, now_ms: int) -> EmailValidation | None:
    row = db.execute(f"{_SELECT_VALIDATION} WHERE session_id = ? AND expires_ts > ?", (session_id, now_ms)).fetchone()
    return None if row is None else _validation(row)


def _validation(row: tuple[str, str, str, str, int, bytes, str | None, int | None]) -> EmailValidation:
    session_id, purpose, client_secret, address, send_attempt, token_hash, next_link, validated_ts = row
    return EmailValidation(
        session_id=session_id,
        purpose=purpose,
        client_secret=client_secret,
        address=address,
        send_attempt=send_attempt,
        token_hash=token_hash,
        next_link=next_link,
        validated_ts=validated_ts,
    )


def insert_validation(db: Db, validation: EmailValidation, *, expires_ts: int, now_ms: int) -> None:
    """Begin or renew a validation, and forget those that are too old."""
    db.execute("DELETE FROM email_validations WHERE expires_ts <= ?", (now_ms,))
    db.execute(
        "INSERT OR REPLACE INTO email_validations (session_id, purpose, client_secret, address, send_attempt,"
        " token_hash, next_link, validated_ts, expires_ts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            validation.session_id,
            validation.purpose,
            validation.client_secret,
            validation.address,
            validation.send_attempt,
            validation.token_hash,
            validation.next_link,
            validation.validated_ts,
            expires_ts,
        ),
    )


def update_validated(db: Db, session_id: str, validated_ts: int) -> None:
    db.execute("UPDATE email_validations SET validated_ts = ? WHERE session_id = ?", (validated_ts, session_id))


def delete_validation(db: Db, session_id: str) -> None:
    db.execute("DELETE FROM email_validations WHERE session_id = ?", (session_id,))
