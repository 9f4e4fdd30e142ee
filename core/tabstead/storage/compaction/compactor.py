"""When the compaction works: between requests, and only while somebody lends it time.

It looks for a moment in which no transaction runs or waits and does one slice in it; who comes meanwhile waits for that
slice and no longer. Where requests follow each other without such a moment it takes one after a while, so it gets on,
slowly. How much work fits into a slice is learnt from how long the last ones took, job by job.

What is due is in the database, and is asked when time is first lent: nothing happens when a homeserver is opened.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from tabstead.errors import StorageFull, StorageUnavailable
from tabstead.storage.compaction.jobs import Job, Slice, find_next_due, work_slice
from tabstead.storage.compaction.slices import Circumstances
from tabstead.storage.database import Database, Db

logger = logging.getLogger(__name__)

FindRoom = Callable[[], Awaitable[int | None]]
"""How many bytes can still be stored, as far as that is known."""

_SLICE_SECONDS: Final = 0.02
"""What a slice may hold others up."""
_QUIET_SECONDS: Final = 0.01
"""Without a transaction for so long, nobody is about to ask."""
_PATIENCE_SECONDS: Final = 0.15
"""How long such a moment is waited for."""
_LOOK_SECONDS: Final = 10.0
_SHORT_BYTES: Final = 64 << 20


class Compactor:
    """The compaction of one open database."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms
        self.find_room: FindRoom | None = None
        """Set by the edge, where it knows."""
        self._next_due_ts: int | None = None
        self._limits: dict[str, float] = {}
        self._stopped = False
        self._is_full = False
        self.slices = 0
        self.longest_slice = 0.0
        """Seconds of the one that took longest."""

    @property
    def is_due(self) -> bool:
        """Whether there is something to do, or that isn't known yet."""
        return not self._stopped and (self._next_due_ts is None or self._next_due_ts <= self._now_ms())

    async def run(self, seconds: float) -> bool:
        """Compact, for about so many seconds at most. Whether more is due."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        is_short: bool | None = None
        try:
            if self._next_due_ts is None:
                self._next_due_ts = await self._database.read(find_next_due)
            while self.is_due and clock() < end:
                await self._wait_for_quiet()
                if is_short is None:
                    is_short = await self._is_short()
                await self._work_slice(Circumstances(now_ms=self._now_ms(), is_short=is_short))
        except (StorageFull, StorageUnavailable):
            return False  # it goes on where it was when there is storage again
        except Exception:
            logger.exception("the compaction failed, and is not tried again before the next start")
            self.stop()
        return self.is_due

    async def run_always(self) -> None:
        """Compact whatever becomes due, until cancelled."""
        while not self._stopped:
            await asyncio.sleep(_LOOK_SECONDS)
            if self.is_due:
                await self.run(_LOOK_SECONDS)

    def note_full(self) -> None:
        """Something could not be stored."""
        self._is_full = True
        self._next_due_ts = None

    def stop(self) -> None:
        """Begin no more slices."""
        self._stopped = True

    async def _wait_for_quiet(self) -> None:
        clock = asyncio.get_running_loop().time
        patience = clock() + _PATIENCE_SECONDS
        while clock() < patience:
            seen = self._database.transactions
            await asyncio.sleep(_QUIET_SECONDS)
            if self._database.transactions == seen and not self._database.is_busy:
                return

    async def _is_short(self) -> bool:
        room = await self.find_room() if self.find_room else None
        return self._is_full or (room is not None and room < _SHORT_BYTES)

    async def _work_slice(self, circumstances: Circumstances) -> None:
        if self._stopped:
            return
        clock = asyncio.get_running_loop().time
        took = 0.0

        def work(db: Db) -> Slice:
            nonlocal took
            began = clock()
            done = work_slice(db, circumstances, self._limit_of)
            took = clock() - began  # of the last attempt, and of no consequence for what it does
            return done

        done = await self._database.write(work)
        self._next_due_ts = done.next_due_ts
        self._learn(done, took)

    def _limit_of(self, job: Job) -> int:
        return int(self._limits.get(job.name, job.limit))

    def _learn(self, done: Slice, took: float) -> None:
        self.slices += 1
        self.longest_slice = max(self.longest_slice, took)
        job = done.job
        if job is None or done.used * 2 < self._limit_of(job):
            return
        limit = self._limits.get(job.name, float(job.limit))
        fitting = limit * _SLICE_SECONDS / max(took, 1e-6)
        self._limits[job.name] = min(max(fitting, limit / 2, 1), limit * 1.5, job.most)
