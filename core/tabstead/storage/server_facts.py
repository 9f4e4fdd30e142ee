"""The server's own facts by name: its signing key and the like."""

from tabstead.storage.database import Db


def find_fact(db: Db, name: str) -> bytes | None:
    """A fact's value, or None."""
    row = db.execute("SELECT value FROM server_facts WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row[0])


def insert_fact(db: Db, name: str, value: bytes) -> None:
    """Set a fact for the first time; to set it twice is a bug."""
    db.execute("INSERT INTO server_facts (name, value) VALUES (?, ?)", (name, value))


def update_fact(db: Db, name: str, value: bytes) -> None:
    """Set a fact, for the first time or again."""
    db.execute("INSERT OR REPLACE INTO server_facts (name, value) VALUES (?, ?)", (name, value))
