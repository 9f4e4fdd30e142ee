"""Tells push gateways of notifications: a follower of the stream, for users who have pushers.

Every pusher has a queue in the database and works through it one event after another; pushers work at the same time.
A gateway that fails is tried again after a while that doubles; what can't be told for a day is dropped. A key that the
gateway rejects ends its pushers. What was read meanwhile is not told; that fewer messages are unread is.
(Push Gateway API)
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tabstead.errors import NotJson, OutboundFailed
from tabstead.http import parse_json
from tabstead.outbound import Outbound, OutboundRequest, OutboundResponse
from tabstead.protocol.canonical_json import JsonDict
from tabstead.push.gateway_notification import build_event_notification, build_unread_notification
from tabstead.storage.database import Database, Db
from tabstead.storage.push_actions import count_unread
from tabstead.storage.pushers import (
    DuePusher,
    delete_rejected_pushers,
    find_next_try,
    select_due_pushers,
    update_failed,
    update_told,
)

AT_ONCE: Final = 16
"""Pushers that work at the same time."""

FIRST_PAUSE_MS: Final = 10_000
LONGEST_PAUSE_MS: Final = 60 * 60 * 1000
GIVE_UP_AFTER_MS: Final = 24 * 60 * 60 * 1000

_TIMEOUT_MS: Final = 30_000
_MAX_ANSWER_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Push:
    """What a gateway is to be told, as the database has it now."""

    body: JsonDict | None
    """None: nothing, after all."""
    unread: int


class PushGateway:
    """The follower."""

    def __init__(self, *, database: Database, outbound: Outbound, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._outbound = outbound
        self._now_ms = now_ms

    async def work(self) -> int | None:
        """Tell the gateways of the pushers that are due, one thing each; the time of the next try."""
        now = self._now_ms()
        due = await self._database.read(lambda db: select_due_pushers(db, now, AT_ONCE))
        if due:
            await asyncio.gather(*(self._push(pusher) for pusher in due))
        return await self._database.read(find_next_try)

    async def _push(self, due: DuePusher) -> None:
        push = await self._database.read(lambda db: _build_push(db, due))
        if push.body is None:
            await self._database.write(lambda db: update_told(db, due, push.unread))
            return
        rejected = await self._send(due, push.body)
        if rejected is None:
            await self._database.write(lambda db: self._note_failure(db, due, push))
            return

        def note(db: Db) -> None:
            update_told(db, due, push.unread)
            delete_rejected_pushers(db, due.pusher.app_id, rejected)

        await self._database.write(note)

    async def _send(self, due: DuePusher, body: JsonDict) -> list[str] | None:
        """The keys that the gateway rejects; None when it did not understand, or could not be reached."""
        request = OutboundRequest(
            url=due.pusher.description["data"]["url"],
            method="POST",
            headers={"content-type": "application/json"},
            body=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"),
            timeout_ms=_TIMEOUT_MS,
            max_bytes=_MAX_ANSWER_BYTES,
            public_only=True,
        )
        try:
            response = await self._outbound.send(request)
        except OutboundFailed:
            return None
        return _parse_rejected(response) if response.is_success else None

    def _note_failure(self, db: Db, due: DuePusher, push: _Push) -> None:
        now = self._now_ms()
        failing_since = now if due.failing_since is None else due.failing_since
        if now - failing_since >= GIVE_UP_AFTER_MS:
            update_told(db, due, due.told_unread)
            failing_since = now
        pause = min(FIRST_PAUSE_MS * 2 ** min(due.attempts, 20), LONGEST_PAUSE_MS)
        update_failed(db, due, failing_since=failing_since, next_try_ts=now + pause)


def _build_push(db: Db, due: DuePusher) -> _Push:
    unread, body = count_unread(db, due.pusher.user_id), None
    if due.event_position is not None and due.room_nid is not None:
        body = build_event_notification(db, due.pusher, due.room_nid, due.event_position, unread)
    if body is None and unread != due.told_unread:
        body = build_unread_notification(due.pusher, unread)
    return _Push(body=body, unread=unread)


def _parse_rejected(response: OutboundResponse) -> list[str]:
    """What is no list of keys rejects none."""
    try:
        answer: Any = parse_json(response.body)
    except NotJson:
        return []
    rejected = answer.get("rejected") if isinstance(answer, dict) else None
    return [key for key in rejected if isinstance(key, str)] if isinstance(rejected, list) else []
