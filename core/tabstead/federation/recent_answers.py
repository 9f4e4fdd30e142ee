"""Answers of other servers that are good for a while, in memory; who asks while one is on its way shares it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Answer = TypeVar("Answer")


class SharedFetches(Generic[Key, Answer]):
    """What is on its way, for all who want it."""

    def __init__(self) -> None:
        self._fetching: dict[Key, asyncio.Future[Answer]] = {}

    async def fetch(self, key: Key, fetch: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `fetch` brings, which is called unless it is on its way. Raises what it raises."""
        if key not in self._fetching:
            fetching = asyncio.ensure_future(fetch())
            self._fetching[key] = fetching
            fetching.add_done_callback(lambda done: self._end(key, done))
        return await asyncio.shield(self._fetching[key])

    def _end(self, key: Key, done: "asyncio.Future[Answer]") -> None:
        del self._fetching[key]
        if not done.cancelled():
            done.exception()  # those who asked may all be gone


class RecentAnswers(Generic[Key, Answer]):
    """At most `most` answers, each for `lives_ms`; the oldest make room. Failures are not kept."""

    def __init__(self, now_ms: Callable[[], int], *, lives_ms: int, most: int) -> None:
        self._now_ms = now_ms
        self._lives_ms = lives_ms
        self._most = most
        self._kept: dict[Key, tuple[int, Answer]] = {}
        """When it was fetched, and the answer; the oldest first."""
        self._shared: SharedFetches[Key, Answer] = SharedFetches()

    async def find_or_fetch(self, key: Key, fetch: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer that is kept, or a new one. Raises what `fetch` raises."""
        kept = self._kept.get(key)
        if kept is not None and self._now_ms() - kept[0] < self._lives_ms:
            return kept[1]
        return await self._shared.fetch(key, lambda: self._fetch(key, fetch))

    async def _fetch(self, key: Key, fetch: Callable[[], Awaitable[Answer]]) -> Answer:
        answer = await fetch()
        self._kept.pop(key, None)
        while len(self._kept) >= self._most:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (self._now_ms(), answer)
        return answer
