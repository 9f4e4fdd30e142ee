"""Events that are sent later, unless their user thinks better of it (MSC4140).

An event is put to the authorisation rules when it is sent, as it would be without the delay. One that can't be sent
then is finalised with the error; asked for by its user before its time, it stays scheduled.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from tabstead.errors import Conflict, Forbidden, LimitExceeded, MatrixError, NotFound
from tabstead.rooms.draft import Draft, build_redaction
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.send import send_event
from tabstead.storage.database import Database, Db
from tabstead.storage.delayed_events import (
    DelayedEvent,
    delete_old_finalised,
    find_delay_id,
    find_delayed_event,
    find_next_send,
    insert_delayed_event,
    select_due,
    select_scheduled,
    update_finalised,
    update_scheduled,
)
from tabstead.storage.events import PersistedEvent
from tabstead.storage.rooms import find_room

MAX_DELAY_MS: Final = 24 * 60 * 60 * 1000
MAX_SCHEDULED: Final = 100
"""Of a user."""

KEPT_FINALISED: Final = 1000
KEPT_FINALISED_MS: Final = 7 * 24 * 60 * 60 * 1000

_AT_ONCE: Final = 20
"""So many are sent in one go, each in a transaction of its own."""


def schedule_event(db: Db, delayed: DelayedEvent, transaction_key: str | None) -> str:
    """Have an event sent later; its delay id, that of the first time for a request that comes again.

    Raises Forbidden for too long a delay, LimitExceeded for too many events.
    """
    known = None if transaction_key is None else find_delay_id(db, transaction_key)
    if known is not None:
        return known
    if delayed.delay_ms > MAX_DELAY_MS:
        raise Forbidden(f"An event may be delayed by {MAX_DELAY_MS} ms at most.")
    scheduled = select_scheduled(db, delayed.user_id)
    if len(scheduled) >= MAX_SCHEDULED:
        raise LimitExceeded(
            f"A user may have {MAX_SCHEDULED} delayed events at most.",
            retry_after_ms=max(scheduled[0].send_ts - delayed.scheduled_ts, 1),
        )
    delay_id = secrets.token_urlsafe(18)
    insert_delayed_event(db, replace(delayed, delay_id=delay_id), transaction_key)
    delete_old_finalised(db, delayed.user_id, keep=KEPT_FINALISED, before=delayed.scheduled_ts - KEPT_FINALISED_MS)
    return delay_id


def get_delayed_event(db: Db, user_id: str, delay_id: str) -> DelayedEvent:
    """A user's own. Raises NotFound."""
    delayed = find_delayed_event(db, delay_id)
    if delayed is None or delayed.user_id != user_id:
        raise NotFound("There is no such delayed event.")
    return delayed


def cancel_delayed_event(db: Db, delayed: DelayedEvent, now_ms: int) -> None:
    """Never send it. Raises Conflict when it was sent."""
    if delayed.event_id is not None:
        raise Conflict("The event was sent already.", errcode="M_UNKNOWN")
    if delayed.finalised_ts is None:
        update_finalised(db, delayed.delay_id, now_ms)


def restart_delayed_event(db: Db, delayed: DelayedEvent, now_ms: int) -> None:
    """Begin its delay again. Raises Conflict when there is none any more."""
    if delayed.finalised_ts is not None:
        raise Conflict("The event was sent or cancelled already.", errcode="M_UNKNOWN")
    update_scheduled(db, delayed.delay_id, now_ms)


def send_delayed_event(db: Db, server: LocalServer, delayed: DelayedEvent) -> None:
    """Send it at once. Raises Conflict when it was cancelled, and what sending it raises."""
    if delayed.event_id is not None:
        return
    if delayed.finalised_ts is not None:
        raise Conflict("The event was cancelled already.", errcode="M_UNKNOWN")
    sent = _send(db, server, delayed)
    update_finalised(db, delayed.delay_id, server.now_ms(), event_id=sent.event_id)


class DelayedEvents:
    """The follower that sends them in time."""

    def __init__(
        self, *, database: Database, server: LocalServer, write: Callable[[Callable[[Db], None]], Awaitable[None]]
    ) -> None:
        self._database = database
        self._server = server
        self._write = write
        """Runs a transaction, and wakes those who wait for news."""

    async def work(self) -> int | None:
        """Send what is due; the time of the next one."""
        now = self._server.now_ms()
        for delayed in await self._database.read(lambda db: select_due(db, now, _AT_ONCE)):
            await self._send_in_time(delayed.delay_id)
        return await self._database.read(find_next_send)

    async def _send_in_time(self, delay_id: str) -> None:
        try:
            await self._write(lambda db: self._send_if_due(db, delay_id))
        except MatrixError as error:
            if error.status >= 500:
                raise  # it isn't the event's fault
            body = error.to_json()
            await self._write(lambda db: update_finalised(db, delay_id, self._server.now_ms(), error=body))

    def _send_if_due(self, db: Db, delay_id: str) -> None:
        delayed = find_delayed_event(db, delay_id)
        if delayed is not None and delayed.finalised_ts is None and delayed.send_ts <= self._server.now_ms():
            send_delayed_event(db, self._server, delayed)


def _send(db: Db, server: LocalServer, delayed: DelayedEvent) -> PersistedEvent:
    room = find_room(db, delayed.room_id)
    if room is None:
        raise NotFound("The room is gone.")
    if delayed.type == "m.room.redaction" and delayed.state_key is None:
        draft = build_redaction(None, delayed.content)
    else:
        draft = Draft(
            type=delayed.type, content=delayed.content, state_key=delayed.state_key, sticky_ms=delayed.sticky_ms
        )
    return send_event(db, server, room, delayed.user_id, draft)
