"""Wakes those who wait for news: long polls and the followers of the event stream.

It carries a position, never data: who is woken reads what it wants from the database. Nothing is lost when it
vanishes with its process, since every waiter knows the position up to which it has read.
"""

import asyncio


class Notifier:
    """Knows the newest durable position and the newest ephemeral one."""

    def __init__(self, position: int) -> None:
        self.position = position
        self._news = asyncio.Event()
        self._drained = False

    def advance(self, position: int) -> None:
        """A commit is durable: wake everyone, unless nothing of a stream was in it."""
        if position > self.position:
            self.position = position
            self.wake()

    def wake(self) -> None:
        """Wake everyone, for what has no durable position: typing, or the end of the server."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def wait(self, timeout_ms: int) -> bool:
        """Wait for the next advance; False when the time is up, or was ended by `drain`."""
        if self._drained:
            return False
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._news.wait()
        except TimeoutError:
            return False
        return not self._drained

    @property
    def is_drained(self) -> bool:
        """Whether waiting has come to its end."""
        return self._drained

    def drain(self) -> None:
        """End every wait, also those to come, as if the time were up."""
        self._drained = True
        self.wake()
