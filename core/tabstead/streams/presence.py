"""Presence: what users set, and what the time that passed since makes of it.

Nobody watches the clock. A user who was online turns unavailable after IDLE_MS without a sign of life, and offline
after GONE_MS; whoever reads presence computes that. A sign of life is stored no more often than every REFRESH_MS, and
is news for others only when it changes what they see.

A user of another server does not fade here: that server tells of it. One that tells nothing for SILENCE_MS has gone.
"""

from dataclasses import dataclass
from typing import Any, Final

from tabstead.errors import InvalidParam
from tabstead.storage.database import Db
from tabstead.storage.presence import StoredPresence, find_presence, update_last_active, update_presence

STATES: Final = ("online", "unavailable", "offline")

REFRESH_MS: Final = 2 * 60 * 1000
IDLE_MS: Final = 5 * 60 * 1000
GONE_MS: Final = 15 * 60 * 1000
SILENCE_MS: Final = 35 * 60 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """A user's presence at one time."""

    user_id: str
    presence: str
    status_msg: str | None
    last_active_ago: int
    """Milliseconds."""

    @property
    def currently_active(self) -> bool:
        return self.presence == "online" and self.last_active_ago < IDLE_MS

    def content(self) -> dict[str, Any]:
        """The content of an m.presence event."""
        content: dict[str, Any] = {"presence": self.presence, "last_active_ago": self.last_active_ago}
        if self.status_msg is not None:
            content["status_msg"] = self.status_msg
        if self.presence == "online":
            content["currently_active"] = self.currently_active
        return content


def presence_at(stored: StoredPresence, now_ms: int) -> Presence:
    """What the stored presence has become by now."""
    age = max(0, now_ms - stored.last_active_ts)
    return Presence(
        user_id=stored.user_id,
        presence=_faded(stored.presence, age) if stored.heard_ts is None else _heard(stored, stored.heard_ts, now_ms),
        status_msg=stored.status_msg,
        last_active_ago=age,
    )


def set_presence(db: Db, user_id: str, presence: str, status_msg: str | None, now_ms: int) -> None:
    """The user says so. Raises InvalidParam for a state that doesn't exist."""
    if presence not in STATES:
        raise InvalidParam(f"'presence' must be one of {', '.join(STATES)}.")
    update_presence(db, user_id, presence=presence, status_msg=status_msg, last_active_ts=now_ms)


def take_remote_presence(
    db: Db, user_id: str, presence: str, status_msg: str | None, *, last_active_ago: int, now_ms: int
) -> None:
    """Another server says so of its user. Raises InvalidParam for a state that doesn't exist."""
    if presence not in STATES:
        raise InvalidParam(f"'presence' must be one of {', '.join(STATES)}.")
    stored = find_presence(db, user_id)
    last_active_ts = max(now_ms - last_active_ago, 0)
    before = None if stored is None else (presence_at(stored, now_ms).presence, stored.status_msg)
    if before == (presence, status_msg):
        update_last_active(db, user_id, last_active_ts, heard_ts=now_ms)
    else:
        update_presence(
            db,
            user_id,
            presence=presence,
            status_msg=status_msg,
            last_active_ts=last_active_ts,
            heard_ts=now_ms,
        )


def needs_refresh(db: Db, user_id: str, presence: str, now_ms: int) -> bool:
    """Whether a sign of life in this state is worth a write."""
    if presence == "offline":
        return False
    stored = find_presence(db, user_id)
    return stored is None or stored.presence != presence or now_ms - stored.last_active_ts >= REFRESH_MS


def refresh_presence(db: Db, user_id: str, presence: str, now_ms: int) -> None:
    """A sign of life of a client that shows the user in this state."""
    if not needs_refresh(db, user_id, presence, now_ms):
        return
    stored = find_presence(db, user_id)
    if stored is not None and presence_at(stored, now_ms).presence == presence:
        update_last_active(db, user_id, now_ms)
    else:
        status_msg = None if stored is None else stored.status_msg
        update_presence(db, user_id, presence=presence, status_msg=status_msg, last_active_ts=now_ms)


def _heard(stored: StoredPresence, heard_ts: int, now_ms: int) -> str:
    return stored.presence if now_ms - heard_ts < SILENCE_MS else "offline"


def _faded(presence: str, age: int) -> str:
    if presence == "offline" or age >= GONE_MS:
        return "offline"
    return "unavailable" if age >= IDLE_MS else presence
