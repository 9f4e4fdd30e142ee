"""What an endpoint is given: the homeserver's parts and one authenticated request."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from tabstead.accounts.access import Requester, authenticate, record_use
from tabstead.client_api.rate_limits import RateLimiter
from tabstead.configuration import Configuration
from tabstead.errors import Forbidden, MissingToken, UserLocked
from tabstead.http import JsonObject, Query, Request, Response
from tabstead.mail import Mailer
from tabstead.media.thumbnails import Thumbnailer
from tabstead.media.url_previews import UrlPreviewer
from tabstead.outbound import Outbound
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Database, Db
from tabstead.storage.dispatches import Life, insert_answer, take_answer
from tabstead.streams.commits import Commits
from tabstead.streams.notifier import Notifier
from tabstead.streams.typing_users import TypingUsers
from tabstead.sync.long_poll import LongPoll
from tabstead.sync.sliding.sliding_sync import SlidingSync

if TYPE_CHECKING:  # loaded where there is a transport
    from tabstead.federation.federation import Federation

Result = TypeVar("Result")


class Access(Enum):
    """Who may call."""

    USER = "a user's access token, no guest's"
    GUEST = "any access token, a guest's too"
    EVEN_LOCKED = "any access token, a locked account's too"
    ADMINISTRATOR = "an administrator's access token"
    OPTIONAL = "an access token if there is one"
    NONE = "anybody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The parts of a homeserver that endpoints work with. Whatever is not in `database` may vanish at any await."""

    configuration: Configuration
    database: Database
    commits: Commits
    local_server: LocalServer
    now_ms: Callable[[], int]
    notifier: Notifier
    typing_users: TypingUsers
    long_poll: LongPoll
    sliding_sync: SlidingSync
    thumbnailer: Thumbnailer | None
    outbound: Outbound | None
    """None: no other server can be asked."""
    url_previewer: UrlPreviewer | None
    federation: "Federation | None"
    """None: no other homeserver is known."""
    mailer: Mailer | None
    """None: no email can be sent."""
    life: Life
    rate_limiter: RateLimiter

    async def write(self, work: Callable[[Db], Result]) -> Result:
        """Run a write transaction; once it is durable, wake those who wait for news."""
        return await self.commits.write(work)

    async def write_once(self, request: Request, work: Callable[[Db], Response]) -> Response:
        """The same for a request, which is carried out once even when a browser dispatches it twice.

        PUT and DELETE are repeatable by their own nature (a transaction id, a state that is reached); the answer of a
        POST is kept in its transaction and given again.
        """
        return await self.write(lambda db: self._carry_out_once(db, request, work))

    def _carry_out_once(self, db: Db, request: Request, work: Callable[[Db], Response]) -> Response:
        key = request.dispatch_key
        if key is None or request.method != "POST":
            return work(db)
        answered = take_answer(db, key, self.life, self.now_ms())
        if answered is not None:
            return answered
        response = work(db)
        insert_answer(db, key, self.life, self.now_ms(), response)
        return response


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request with who makes it."""

    context: Context
    request: Request
    _requester: Requester | None = field(default=None)

    @classmethod
    def authenticated(cls, context: Context, request: Request, db: Db, access: Access) -> "Call":
        """Check the access token as the route demands. Raises MissingToken, UnknownToken, UserLocked, Forbidden."""
        token = request.access_token()
        if access is Access.NONE or (access is Access.OPTIONAL and token is None):
            return cls(context=context, request=request)
        if token is None:
            raise MissingToken("This needs an access token.")
        requester = authenticate(db, token, context.now_ms())
        if requester.is_locked and access is not Access.EVEN_LOCKED:
            raise UserLocked
        if requester.is_guest and access is Access.USER:
            raise Forbidden("Guests may not do this.", errcode="M_GUEST_ACCESS_FORBIDDEN")
        if not requester.is_admin and access is Access.ADMINISTRATOR:
            raise Forbidden("Only an administrator may do this.")
        return cls(context=context, request=request, _requester=requester)

    @property
    def requester(self) -> Requester:
        """Who calls, on a route that demands an access token."""
        assert self._requester is not None, "the route demands no access token"
        return self._requester

    @property
    def optional_requester(self) -> Requester | None:
        return self._requester

    @property
    def user_id(self) -> str:
        return self.requester.user_id

    def record_use(self, db: Db) -> None:
        """Note in a write what the use of the access token changes."""
        if self._requester is not None:
            record_use(db, self._requester, self.request.client_address, self.now_ms)

    @property
    def now_ms(self) -> int:
        return self.context.now_ms()

    @property
    def query(self) -> Query:
        return self.request.query

    def parameter(self, name: str) -> str:
        """A parameter of the path, decoded."""
        return self.request.path_parameters[name]

    def body(self) -> JsonObject:
        """The body, which must be a JSON object."""
        return self.request.json_object()
