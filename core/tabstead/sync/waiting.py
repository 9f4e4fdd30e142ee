"""Waiting until it is worth looking again, for whatever answers with news: it knows tokens, and nothing of answers."""

import asyncio
from collections.abc import Callable
from typing import Final

from tabstead.errors import UnknownToken, UserLocked
from tabstead.storage.database import Db
from tabstead.storage.devices import find_lock
from tabstead.streams.notifier import Notifier
from tabstead.streams.tokens import SyncToken
from tabstead.streams.typing_users import TypingUsers

MAX_TIMEOUT_MS: Final = 10 * 60 * 1000
"""Nobody waits longer; loops of events overflow somewhere beyond."""


class Waiting:
    """What wakes those who wait: a commit, typing, and the time at which somebody's typing ends."""

    def __init__(
        self,
        *,
        notifier: Notifier,
        typing_users: TypingUsers,
        now_ms: Callable[[], int],
        timeout_cap_ms: int | None,
    ) -> None:
        self._notifier = notifier
        self._typing_users = typing_users
        self._now_ms = now_ms
        self._timeout_cap_ms = MAX_TIMEOUT_MS if timeout_cap_ms is None else timeout_cap_ms

    def deadline(self, timeout_ms: int) -> float:
        """The time of the event loop at which a client that asks for this timeout is answered, come what may."""
        return asyncio.get_running_loop().time() + min(timeout_ms, self._timeout_cap_ms) / 1000

    async def wait(self, token: SyncToken, deadline: float) -> bool:
        """Wait until there may be more than the token knows; False when the time is up."""
        loop = asyncio.get_running_loop()
        wait_ms = (deadline - loop.time()) * 1000
        if wait_ms <= 0:
            return False
        if self._notifier.position > token.position or self._typing_users.rooms_changed_since(token.ephemeral):
            return True
        next_expiry = self._typing_users.expire()
        if next_expiry is not None:
            wait_ms = min(wait_ms, max(next_expiry - self._now_ms(), 1))
        woken = await self._notifier.wait(int(wait_ms) + 1)
        return woken or (not self._notifier.is_drained and loop.time() < deadline)


def check_device(db: Db, user_id: str, device_id: str) -> None:
    """Raises UnknownToken once the device is gone, and with it whatever it waits for; UserLocked while nothing goes."""
    is_locked = find_lock(db, user_id, device_id)
    if is_locked is None:
        raise UnknownToken
    if is_locked:
        raise UserLocked
