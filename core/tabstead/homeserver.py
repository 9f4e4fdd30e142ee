"""The homeserver: wires the parts, and answers every request that reaches it.

`open` brings a database to life, `handle` answers one request, `close` ends it; being killed at any instant is as good
as `close`. Errors become responses here and nowhere else.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from tabstead.client_api import ROUTES
from tabstead.client_api.call import Context
from tabstead.client_api.rate_limits import RateLimiter
from tabstead.client_api.routes import build_router
from tabstead.configuration import Configuration
from tabstead.encryption.remote_devices import forget_departed
from tabstead.errors import MatrixError, ServerNameMismatch, StorageFull, Unrecognized
from tabstead.http import Request, Response, json_response
from tabstead.mail import Mailer
from tabstead.media.thumbnails import Thumbnailer
from tabstead.media.url_previews import UrlPreviewer
from tabstead.outbound import Outbound
from tabstead.protocol.signatures import SEED_BYTES, SigningKey
from tabstead.push.actions import record_push_actions
from tabstead.rooms import local_server
from tabstead.rooms.delayed_events import DelayedEvents
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.search_index import follow_for_search
from tabstead.rooms.sticky_events import record_sticky_event
from tabstead.storage.compaction.compactor import Compactor
from tabstead.storage.database import Database, Db
from tabstead.storage.dispatches import Life
from tabstead.storage.positions import select_position
from tabstead.storage.retired_signing_keys import insert_retired_key
from tabstead.storage.server_facts import find_fact, insert_fact, update_fact
from tabstead.streams.commits import Commits
from tabstead.streams.followers import Follower, follow
from tabstead.streams.notifier import Notifier
from tabstead.streams.typing_users import TypingUsers
from tabstead.sync.long_poll import LongPoll
from tabstead.sync.sliding.sliding_sync import SlidingSync
from tabstead.sync.waiting import Waiting

if TYPE_CHECKING:  # loaded where there is a transport
    from tabstead.federation.federation import Federation
    from tabstead.federation.transport import Transport

logger = logging.getLogger(__name__)

_KEY_FACT: Final = "signing_key_seed"
_KEY_ID_FACT: Final = "signing_key_id"
_DEFAULT_KEY_ID: Final = "ed25519:1"
_NAME_FACT: Final = "server_name"

_FEDERATION_PATHS: Final = ("/_matrix/federation/", "/_matrix/key/")

_ROUTER: Final = build_router(*ROUTES)
"""Built with the module: a worker finds it in its memory snapshot whenever it wakes."""

CORS_HEADERS: Final = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, POST, PUT, DELETE, OPTIONS",
    "access-control-allow-headers": "X-Requested-With, Content-Type, Authorization",
}
"""Client-Server API, § Web Browser Clients: on every response."""


class Homeserver:
    """A whole homeserver on one database."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.compactor = Compactor(context.database, context.now_ms)
        """Works when the edge lends it time."""

    @classmethod
    async def open(
        cls,
        *,
        configuration: Configuration,
        database: Database,
        now_ms: Callable[[], int],
        thumbnailer: Thumbnailer | None = None,
        outbound: Outbound | None = None,
        mailer: Mailer | None = None,
        transport: "Transport | None" = None,
    ) -> "Homeserver":
        """Bring the database's homeserver to life; a new database gets a signing key and the configured server name.

        `now_ms` is the time in milliseconds since the Unix epoch; without a `transport` no other server is known.
        Raises ServerNameMismatch when the database has another name: it is in every identifier there, so it can't
        change.
        """
        name = configuration.server_name
        signing_key, position = await database.write(lambda db: (_identify(db, name), select_position(db)))
        notifier, typing_users = Notifier(position), TypingUsers(now_ms)
        waiting = Waiting(
            notifier=notifier,
            typing_users=typing_users,
            now_ms=now_ms,
            timeout_cap_ms=configuration.sync_timeout_cap_ms,
        )
        local = LocalServer(
            name=name, signing_key=signing_key, now_ms=now_ms, followers=_build_followers(configuration, now_ms)
        )
        commits = Commits(database=database, notifier=notifier)
        context = Context(
            configuration=configuration,
            database=database,
            commits=commits,
            local_server=local,
            now_ms=now_ms,
            notifier=notifier,
            federation=None
            if transport is None
            else _build_federation(
                configuration, local, commits, transport, typing_users=typing_users, outbound=outbound
            ),
            typing_users=typing_users,
            long_poll=LongPoll(
                database=database, notifier=notifier, typing_users=typing_users, now_ms=now_ms, waiting=waiting
            ),
            sliding_sync=SlidingSync(
                database=database, notifier=notifier, typing_users=typing_users, now_ms=now_ms, waiting=waiting
            ),
            thumbnailer=thumbnailer,
            outbound=outbound,
            url_previewer=_build_url_previewer(configuration, outbound, database),
            mailer=mailer,
            life=Life(name=secrets.token_hex(8)),
            rate_limiter=RateLimiter(
                now_ms, enabled=configuration.rate_limits.enabled, rates=configuration.rate_limits.rates
            ),
        )
        return cls(context)

    async def handle(self, request: Request) -> Response:
        """Answer a request. Whatever goes wrong becomes a Matrix error response."""
        if request.method == "OPTIONS":
            return Response(status=204, headers=CORS_HEADERS)
        try:
            response = await self._answer(request)
        except MatrixError as error:
            if isinstance(error, StorageFull):
                self.compactor.note_full()
            response = json_response(error.to_json(), error.status, error.headers())
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            failure = {"errcode": "M_UNKNOWN", "error": "The server failed to answer; its log says why."}
            response = json_response(failure, 500)
        return replace(response, headers={**CORS_HEADERS, **response.headers})

    async def _answer(self, request: Request) -> Response:
        if request.path.startswith(_FEDERATION_PATHS):
            return await self._answer_server(request)
        match = _ROUTER.match(request.method, request.path)
        return await match.endpoint.answer(self.context, replace(request, path_parameters=match.parameters))

    async def _answer_server(self, request: Request) -> Response:
        from tabstead import federation_api  # no client needs it

        context = self.context
        if context.federation is None:
            raise Unrecognized("This server does not federate.")
        return await federation_api.answer(
            federation_api.FederationContext(
                configuration=context.configuration,
                federation=context.federation,
                typing_users=context.typing_users,
                thumbnailer=context.thumbnailer,
                now_ms=context.now_ms,
            ),
            request,
        )

    async def follow(self) -> None:
        """Do by itself what events and the time bring, until `drain`: an edge runs this beside the requests."""
        context = self.context
        async with asyncio.TaskGroup() as group:
            for follower in self.build_followers():
                group.create_task(follow(follower, context.notifier, context.now_ms))

    def build_followers(self) -> list[Follower]:
        """What follows the stream outside of its transactions."""
        context = self.context
        followers: list[Follower] = [
            DelayedEvents(database=context.database, server=context.local_server, write=context.write)
        ]
        if context.outbound is not None:
            from tabstead.push.gateway import PushGateway  # no request needs it

            followers.append(PushGateway(database=context.database, outbound=context.outbound, now_ms=context.now_ms))
        if context.federation is not None:
            followers += context.federation.build_followers()
        return followers

    def drain(self) -> None:
        """Answer the requests that wait for news, also those to come, as if their time were up: the end is near."""
        self.compactor.stop()
        self.context.notifier.drain()

    async def close(self) -> None:
        """Close the database. Requests that are still running get a StorageUnavailable."""
        self.drain()
        if self.context.outbound is not None:
            await self.context.outbound.close()
        if self.context.federation is not None:
            await self.context.federation.close()
        await self.context.database.close()


def _build_federation(
    configuration: Configuration,
    server: LocalServer,
    commits: Commits,
    transport: "Transport",
    *,
    typing_users: TypingUsers,
    outbound: Outbound | None,
) -> "Federation":
    from tabstead.federation.federation import build_federation

    return build_federation(
        configuration.federation,
        server,
        commits,
        transport,
        typing_users,
        outbound=outbound,
        max_media_bytes=configuration.max_upload_bytes,
    )


def _build_url_previewer(
    configuration: Configuration, outbound: Outbound | None, database: Database
) -> UrlPreviewer | None:
    if outbound is None or not configuration.url_previews.enabled:
        return None
    return UrlPreviewer(
        configuration.url_previews,
        outbound,
        database,
        server_name=configuration.server_name,
        max_image_bytes=configuration.max_upload_bytes,
    )


def _build_followers(configuration: Configuration, now_ms: Callable[[], int]) -> tuple[local_server.Follower, ...]:
    always = (
        partial(record_push_actions, server_name=configuration.server_name),
        partial(record_sticky_event, now_ms=now_ms),
        partial(forget_departed, server_name=configuration.server_name),
    )
    return (*always, follow_for_search) if configuration.search.enabled else always


def find_server_name(db: Db) -> str | None:
    """The name of the server that the database was made for; None where no homeserver was opened on it yet."""
    name = find_fact(db, _NAME_FACT)
    return None if name is None else name.decode()


def insert_identity(db: Db, server_name: str, signing_key: SigningKey | None = None) -> None:
    """Make a new database this server's, with a key of its own, or with one that the server has elsewhere."""
    insert_fact(db, _NAME_FACT, server_name.encode())
    insert_fact(db, _KEY_FACT, secrets.token_bytes(SEED_BYTES) if signing_key is None else signing_key.seed)
    if signing_key is not None:
        insert_fact(db, _KEY_ID_FACT, signing_key.key_id.encode())


def rotate_signing_key(db: Db, server_name: str, now_ms: int) -> SigningKey:
    """Sign with a new key from the next start on; the old one holds for what it has signed. No server may run on it.

    Raises ServerNameMismatch.
    """
    old = _identify(db, server_name)
    new = SigningKey(key_id=f"ed25519:{secrets.token_hex(4)}", seed=secrets.token_bytes(SEED_BYTES))
    insert_retired_key(db, old.verify_key, now_ms)
    update_fact(db, _KEY_FACT, new.seed)
    update_fact(db, _KEY_ID_FACT, new.key_id.encode())
    return new


def _identify(db: Db, server_name: str) -> SigningKey:
    """Check whose database it is, or make it this server's; its signing key."""
    stored = find_server_name(db)
    if stored is None:
        insert_identity(db, server_name)
    elif stored != server_name:
        raise ServerNameMismatch(configured=server_name, stored=stored)
    seed, key_id = find_fact(db, _KEY_FACT), find_fact(db, _KEY_ID_FACT)
    assert seed is not None, "name and key are written in one transaction"
    return SigningKey(key_id=_DEFAULT_KEY_ID if key_id is None else key_id.decode(), seed=seed)
