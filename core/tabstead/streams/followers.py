"""Followers: what the server does by itself, as events come and as time passes.

A follower finds in the database what is due and does it; the loop here wakes it at every commit, and at the time it
names. What it knows beside the database may vanish with the process: the next life's follower finds the same again.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from tabstead.streams.notifier import Notifier

logger = logging.getLogger(__name__)

_LONGEST_WAIT_MS: Final = 10 * 60 * 1000
_PAUSE_MS: Final = 10_000
"""After a failure that nobody expected."""


class Follower(Protocol):
    async def work(self) -> int | None:
        """Do what is due. The time (ms) at which more will be, None where that depends on commits alone."""
        ...


async def follow(follower: Follower, notifier: Notifier, now_ms: Callable[[], int]) -> None:
    """Let a follower work whenever something may be due, until the server drains."""
    while not notifier.is_drained:
        position = notifier.position
        try:
            due = await follower.work()
        except asyncio.CancelledError:
            raise
        except Exception:
            if notifier.is_drained:
                return
            logger.exception("%s failed, and is tried again", type(follower).__name__)
            due = now_ms() + _PAUSE_MS
        if notifier.position == position:
            wait_ms = _LONGEST_WAIT_MS if due is None else min(max(due - now_ms(), 1), _LONGEST_WAIT_MS)
            await notifier.wait(wait_ms)
