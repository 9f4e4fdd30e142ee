"""Which account belongs to whom at another identity provider; kept when it is closed, so that it stays closed."""

from dataclasses import dataclass

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalIdentity:
    provider_id: str
    subject: str
    """What the provider calls the user, for good."""


def select_external_identities(db: Db, user_id: str) -> list[ExternalIdentity]:
    rows = db.execute(
        "SELECT provider_id, subject FROM external_identities WHERE user_id = ? ORDER BY provider_id", (user_id,)
    )
    return [ExternalIdentity(provider_id=provider_id, subject=subject) for provider_id, subject in rows]


def find_user_of_identity(db: Db, identity: ExternalIdentity) -> str | None:
    row = db.execute(
        "SELECT user_id FROM external_identities WHERE provider_id = ? AND subject = ?",
        (identity.provider_id, identity.subject),
    ).fetchone()
    return None if row is None else str(row[0])


def insert_external_identity(db: Db, identity: ExternalIdentity, user_id: str) -> None:
    db.execute(
        "INSERT INTO external_identities (provider_id, subject, user_id) VALUES (?, ?, ?)",
        (identity.provider_id, identity.subject, user_id),
    )
