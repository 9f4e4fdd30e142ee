"""Long lists of events for other servers, encoded a part at a time: a big room's state is many megabytes."""

import asyncio
import json
from collections.abc import Iterable
from typing import Final

from tabstead.federation.federation import Federation
from tabstead.storage.database import Db
from tabstead.storage.events import select_events

_SLICE: Final = 200
"""Events in a transaction: some 20 ms."""


async def encode_events(federation: Federation, event_nids: Iterable[int]) -> bytes:
    """A JSON array of these events, without its brackets."""
    wanted = list(event_nids)
    parts: list[bytes] = []
    for start in range(0, len(wanted), _SLICE):
        part = wanted[start : start + _SLICE]
        parts.append(await federation.read(lambda db, part=part: _encode(db, part)))  # type: ignore[misc]
        await asyncio.sleep(0)
    return b",".join(parts)


def _encode(db: Db, event_nids: list[int]) -> bytes:
    pdus = [event.event.pdu for event in select_events(db, event_nids).values()]
    text = json.dumps(pdus, ensure_ascii=False, separators=(",", ":"))
    return text[1:-1].encode("utf-8", "surrogatepass")
