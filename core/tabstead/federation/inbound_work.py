"""Whose turn it is among what comes in: a server's transactions one after the other, a room's waiting events likewise.

All of it may vanish: transactions come again, and the events that wait are in storage.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

logger = logging.getLogger(__name__)

_ROOMS_AT_ONCE: Final = 32
"""Rooms for which others are asked at the same time."""


class InboundWork:
    def __init__(self) -> None:
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: defaultdict[str, int] = defaultdict(int)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._again: set[int] = set()
        self._gate = asyncio.Semaphore(_ROOMS_AT_ONCE)
        self.may_wait = True
        """Whether there may be events that wait: at first nobody has looked."""

    @asynccontextmanager
    async def turn_of(self, name: str) -> AsyncIterator[None]:
        """Wait until nobody else has the turn of this name."""
        self._waiting[name] += 1
        try:
            async with self._turns[name]:
                yield
        finally:
            self._waiting[name] -= 1
            if not self._waiting[name]:
                del self._waiting[name], self._turns[name]

    def start(self, room_nid: int, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Work on a room's waiting events, and once more if that is going on."""
        self.may_wait = True
        if room_nid in self._tasks:
            self._again.add(room_nid)
            return
        self._tasks[room_nid] = asyncio.ensure_future(self._work(room_nid, work))

    def is_working(self, room_nid: int) -> bool:
        return room_nid in self._tasks

    async def settled(self) -> None:
        """Wait until no room is worked on."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, room_nid: int, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await self._attempt(room_nid, work)
            while room_nid in self._again:
                self._again.discard(room_nid)
                await self._attempt(room_nid, work)
        finally:
            self._again.discard(room_nid)
            del self._tasks[room_nid]

    async def _attempt(self, room_nid: int, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            async with self._gate:
                await work()
        except Exception:
            logger.exception("The events that wait in room %s go on waiting", room_nid)
