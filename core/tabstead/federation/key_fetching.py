"""How servers are asked for their keys, so that neither they nor this one suffer.

A server that was asked a few times in a row is left alone for a while, longer each time, whether it answered or not:
who sends what nobody has signed would have it asked without end. And only so many are asked at once. Strangers, of whom
no key is known yet, have places of their own, and a queue that comes to an end: anybody can claim to be any number of
them.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from tabstead.errors import OutboundFailed

_FREE_REQUESTS: Final = 6
"""So often a server may be asked in a row."""
_FIRST_PAUSE_MS: Final = 1000
_MAX_PAUSE_MS: Final = 5 * 60 * 1000
_FORGOTTEN_MS: Final = 10 * 60 * 1000
_MAX_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    requests: int
    last_ms: int
    failure: str | None
    """Why the last one failed."""

    @property
    def pause_ms(self) -> int:
        if self.requests < _FREE_REQUESTS:
            return 0
        return min(_FIRST_PAUSE_MS << min(self.requests - _FREE_REQUESTS, 20), _MAX_PAUSE_MS)


class Pace:
    """How often each server was asked of late."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def may_ask(self, server_name: str) -> bool:
        """Whether to ask a server now. Raises OutboundFailed if not, where it did not answer the last time."""
        record = self._find(server_name)
        if record is None or record.last_ms + record.pause_ms <= self._now_ms():
            return True
        if record.failure is not None:
            raise OutboundFailed(f"{server_name} was asked for its keys a moment ago: {record.failure}")
        return False

    def note(self, server_name: str, failure: str | None) -> None:
        """A server was asked, and has failed or not."""
        record = self._find(server_name) or _Record(requests=0, last_ms=0, failure=None)
        self._records[server_name] = replace(
            record, requests=record.requests + 1, last_ms=self._now_ms(), failure=failure
        )
        self._records.move_to_end(server_name)
        if len(self._records) > _MAX_REMEMBERED:
            self._records.popitem(last=False)

    def _find(self, server_name: str) -> _Record | None:
        record = self._records.get(server_name)
        return None if record is None or record.last_ms + _FORGOTTEN_MS < self._now_ms() else record


class Places:
    """So many may be about something at once, and so many more wait for it."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._most = at_once + waiting
        self._present = 0

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Raises OutboundFailed when too many wait."""
        if self._present >= self._most:
            raise OutboundFailed("Too many servers are asked for their keys at once.")
        self._present += 1
        try:
            async with self._places:
                yield
        finally:
            self._present -= 1
