"""Waiting for news: a client asks with the token of its last answer, and is answered when there is more, or in time.

Before anything is read, what the request itself says is written, if it is worth a write: the to-device messages that
`since` acknowledges go, and a sign of life is noted. Then the answer is built; if nothing is in it, the client waits
for the notifier and it is built again, from where the last look ended. A look that finds nothing costs a few lookups.
A device that logs out meanwhile is told so instead.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tabstead.errors import InvalidParam, NotFound
from tabstead.http import parse_json
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.filters import SyncFilter, parse_sync_filter
from tabstead.rooms.ignored_users import select_ignored_users
from tabstead.storage.database import Database, Db
from tabstead.storage.filters import find_filter
from tabstead.storage.positions import select_position
from tabstead.storage.to_device import delete_to_device_messages, has_to_device_messages
from tabstead.streams.notifier import Notifier
from tabstead.streams.presence import needs_refresh, refresh_presence
from tabstead.streams.tokens import SyncToken
from tabstead.streams.typing_users import TypingUsers
from tabstead.sync.members_sent import MembersSentToDevices
from tabstead.sync.response import SyncAnswer, build_answer
from tabstead.sync.view import SyncView
from tabstead.sync.waiting import Waiting, check_device


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    user_id: str
    device_id: str
    since: SyncToken | None
    filter: str
    """A filter's id, or a definition as JSON; nothing for none."""
    full_state: bool
    state_after_names: tuple[str, ...]
    """The keys under which the client wants the state at the timeline's end; none: it wants that at its start."""
    set_presence: str
    """online, unavailable, or offline for a client that leaves presence alone."""


class LongPoll:
    """Answers /sync. What it remembers of its answers spares repetitions and may vanish."""

    def __init__(
        self,
        *,
        database: Database,
        notifier: Notifier,
        typing_users: TypingUsers,
        now_ms: Callable[[], int],
        waiting: Waiting,
    ) -> None:
        self._database = database
        self._notifier = notifier
        self._typing_users = typing_users
        self._now_ms = now_ms
        self._waiting = waiting
        self._members_sent = MembersSentToDevices()

    async def answer(self, request: SyncRequest, timeout_ms: int) -> JsonDict:
        """The response's body, as soon as there is news, or when the time is up.

        Raises InvalidParam for a token or a filter that isn't this server's, NotFound for an unknown filter id,
        UnknownToken when the device was logged out while it waited.
        """
        sync_filter = await self._settle(request)
        deadline = self._waiting.deadline(timeout_ms)
        if request.since is None:
            self._members_sent.forget(request.user_id, request.device_id)
        answer = await self._build(request, request.since, sync_filter)
        is_due = request.since is None or request.full_state
        while not is_due and not answer.has_news and await self._waiting.wait(answer.token, deadline):
            answer = await self._build(request, answer.token, sync_filter)
        self._members_sent.remember(request.user_id, request.device_id, answer.members_sent, answer.token.position)
        return answer.body

    async def _settle(self, request: SyncRequest) -> SyncFilter:
        """Check what was asked, and write what the request says of the device and its user."""

        def check(db: Db) -> tuple[SyncFilter, bool]:
            if request.since is not None and request.since.position > select_position(db):
                raise InvalidParam("This token comes from another time of this server.")
            return _read_filter(db, request), self._is_worth_a_write(db, request)

        sync_filter, is_worth_a_write = await self._database.read(check)
        if is_worth_a_write:
            self._notifier.advance(await self._database.write(lambda db: self._note(db, request)))
        return sync_filter

    def _is_worth_a_write(self, db: Db, request: SyncRequest) -> bool:
        if request.since is not None and has_to_device_messages(
            db, request.user_id, request.device_id, request.since.to_device
        ):
            return True
        return needs_refresh(db, request.user_id, request.set_presence, self._now_ms())

    def _note(self, db: Db, request: SyncRequest) -> int:
        if request.since is not None:
            delete_to_device_messages(db, request.user_id, request.device_id, request.since.to_device)
        refresh_presence(db, request.user_id, request.set_presence, self._now_ms())
        return select_position(db)

    async def _build(self, request: SyncRequest, since: SyncToken | None, sync_filter: SyncFilter) -> SyncAnswer:
        self._typing_users.expire()
        serial = self._typing_users.issue_serial()
        now_ms = max(serial, self._now_ms())

        def build(db: Db) -> SyncAnswer:
            check_device(db, request.user_id, request.device_id)
            view = SyncView(
                user_id=request.user_id,
                device_id=request.device_id,
                since=since,
                filter=sync_filter,
                full_state=request.full_state,
                state_after_names=request.state_after_names,
                up_to=select_position(db),
                serial=serial,
                now_ms=now_ms,
                ignored_users=select_ignored_users(db, request.user_id),
                typing_users=self._typing_users,
                members_sent=self._members_sent.get(request.user_id, request.device_id),
            )
            return build_answer(db, view)

        return await self._database.read(build)


def _read_filter(db: Db, request: SyncRequest) -> SyncFilter:
    if not request.filter:
        return SyncFilter()
    if request.filter.startswith("{"):
        definition = parse_json(request.filter.encode("utf-8", "surrogatepass"))
    else:
        definition = find_filter(db, request.user_id, request.filter)
        if definition is None:
            raise NotFound("There is no such filter.")
    return parse_sync_filter(definition)
