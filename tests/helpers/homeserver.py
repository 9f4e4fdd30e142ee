"""A whole homeserver on a temporary database, and clients that talk to it through `Homeserver.handle`.

    server = await TestServer.open(tmp_path)
    alice = await server.register("alice")
    room_id = await alice.create_room(preset="public_chat")
    event_id = await alice.send(room_id, "hello")
    status, errcode = await alice.refused("PUT", f"/v3/rooms/{room_id}/state/m.room.topic", {"topic": "no"})

Paths are what follows `/_matrix/client`; whoever writes one with odd characters in it quotes them with `quoted`.
A request that is refused where it should not be fails the test with what the server said. Every answer is validated
against the specification's schema for it, where that lies beside the repository.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from helpers.client_server_api import check
from tabstead.accounts.access import Grant
from tabstead.accounts.devices import NewDevice, log_in
from tabstead.accounts.registration import create_user
from tabstead.configuration import Configuration, RateLimits, Registration
from tabstead.federation.transport import Transport
from tabstead.homeserver import Homeserver
from tabstead.http import Request
from tabstead.mail import Mailer
from tabstead.outbound import Outbound
from tabstead.protocol.identifiers import ServerName, build_user_id
from tabstead.storage.database import Database, Db

Json = dict[str, Any]
T = TypeVar("T")


def quoted(identifier: str) -> str:
    """An identifier as one segment of a path."""
    return quote(identifier, safe="")


@dataclass
class Clock:
    """Time as the test wants it: a millisecond later at every look."""

    now: int = 1_700_000_000_000

    def __call__(self) -> int:
        self.now += 1
        return self.now


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class TestServer:
    """A homeserver, which can be stopped and started again on its database."""

    __test__ = False

    def __init__(self, path: Path, configuration: Configuration, clock: Clock) -> None:
        self._path = path
        self.configuration = configuration
        self.clock = clock
        self.validates = True
        self.outbound: Outbound | None = None
        """What it asks other servers with, from its next start on."""
        self.mailer: Mailer | None = None
        """What it sends email with, likewise."""
        self.transport: Transport | None = None
        """What it asks other homeservers with, likewise."""
        self.homeserver: Homeserver

    @classmethod
    async def open(
        cls,
        folder: Path,
        server_name: str = "tab.test",
        *,
        outbound: Outbound | None = None,
        mailer: Mailer | None = None,
        transport: Transport | None = None,
        **configuration: Any,
    ) -> "TestServer":
        """Start a server whose database lies in the folder; guests may register, and nothing is rate limited."""
        options = {"registration": Registration(guests=True), "rate_limits": RateLimits(enabled=False)} | configuration
        settled = Configuration(server_name=server_name, base_url=f"https://{server_name}", **options)
        server = cls(folder / f"{server_name}.sqlite", settled, Clock())
        server.outbound, server.mailer, server.transport = outbound, mailer, transport
        await server.start()
        return server

    async def start(self) -> None:
        self.homeserver = await Homeserver.open(
            configuration=self.configuration,
            database=await Database.open(self._path),
            now_ms=self.clock,
            outbound=self.outbound,
            mailer=self.mailer,
            transport=self.transport,
        )

    async def close(self) -> None:
        await self.homeserver.close()

    async def restart(self) -> None:
        """Stop, and start again from what is in the database. Clients stay logged in."""
        await self.close()
        await self.start()

    @property
    def name(self) -> str:
        return self.configuration.server_name

    async def handle(self, request: Request) -> Answer:
        response = await self.homeserver.handle(request)
        if self.validates:
            check(request, response)
        return Answer(status=response.status, headers=response.headers, body=response.body)

    async def read(self, fn: Callable[[Db], T]) -> T:
        """Look into the database."""
        return await self.homeserver.context.database.read(fn)

    async def write(self, fn: Callable[[Db], T]) -> T:
        """Change the database as an endpoint would, and tell those who wait."""
        return await self.homeserver.context.write(fn)

    def anonymous(self) -> "Client":
        """A client that is not logged in."""
        return Client(server=self)

    async def register(self, localpart: str, password: str | None = None) -> "Client":
        """A new user with a first device. Without a password registering is quick, and nobody can log in again."""
        body: Json = {"username": localpart, "auth": {"type": "m.login.dummy"}}
        if password is not None:
            body["password"] = password
        return self._logged_in(await self.anonymous().post("/v3/register", body))

    async def register_admin(self, localpart: str) -> "Client":
        """A new user who administers the server."""
        user_id, now_ms = build_user_id(localpart, ServerName(self.name)), self.clock()

        def register(db: Db) -> Grant:
            create_user(db, user_id, None, is_admin=True, now_ms=now_ms)
            return log_in(db, user_id, NewDevice(), now_ms)

        grant = await self.write(register)
        return Client(server=self, user_id=grant.user_id, device_id=grant.device_id, access_token=grant.access_token)

    async def register_guest(self) -> "Client":
        return self._logged_in(await self.anonymous().post("/v3/register", {}, kind="guest"))

    async def log_in(self, localpart: str, password: str) -> "Client":
        """Another device of a user."""
        body = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": localpart},
            "password": password,
        }
        return self._logged_in(await self.anonymous().post("/v3/login", body))

    def _logged_in(self, granted: Json) -> "Client":
        return Client(
            server=self,
            user_id=granted["user_id"],
            device_id=granted["device_id"],
            access_token=granted["access_token"],
        )


@dataclass
class Client:
    """One device of a user."""

    server: TestServer
    user_id: str = ""
    device_id: str = ""
    access_token: str = ""
    _transaction_ids: Iterator[int] = field(default_factory=itertools.count)

    async def answer(
        self, method: str, path: str, body: Any = None, /, headers: Mapping[str, str] | None = None, **query: Any
    ) -> Answer:
        """What the server answers, whatever it is. `body` is JSON, or bytes as they are; a list in `query` repeats."""
        sent = {"authorization": f"Bearer {self.access_token}"} if self.access_token else {}
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        text = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()}
        return await self.server.handle(
            Request(
                method=method,
                path=path if path.startswith(("/_", "/.")) else f"/_matrix/client{path}",
                query_string=urlencode(text, doseq=True),
                headers={**sent, **(headers or {})},
                body=raw,
                client_address="127.0.0.1",
            )
        )

    async def request(self, method: str, path: str, body: Any = None, /, **query: Any) -> Any:
        """The JSON of a request that must succeed."""
        answer = await self.answer(method, path, body, **query)
        assert answer.status == 200, f"{method} {path} was answered with {answer.status} {answer.body.decode()}"
        return answer.json

    async def refused(self, method: str, path: str, body: Any = None, /, **query: Any) -> tuple[int, str]:
        """Status and errcode of a request that must fail."""
        answer = await self.answer(method, path, body, **query)
        assert answer.status >= 400, f"{method} {path} succeeded: {answer.body.decode()}"
        return answer.status, answer.json["errcode"]

    async def get(self, path: str, **query: Any) -> Any:
        return await self.request("GET", path, **query)

    async def put(self, path: str, body: Any, **query: Any) -> Any:
        return await self.request("PUT", path, body, **query)

    async def post(self, path: str, body: Any = None, **query: Any) -> Any:
        return await self.request("POST", path, {} if body is None else body, **query)

    async def delete(self, path: str, body: Any = None, **query: Any) -> Any:
        return await self.request("DELETE", path, body, **query)

    async def create_room(self, **options: Any) -> str:
        """A room with the options of POST /createRoom."""
        created = await self.post("/v3/createRoom", options)
        return str(created["room_id"])

    async def join(self, room_id_or_alias: str) -> None:
        await self.post(f"/v3/join/{quoted(room_id_or_alias)}")

    async def invite(self, room_id: str, *others: "Client") -> None:
        for other in others:
            await self.post(f"/v3/rooms/{room_id}/invite", {"user_id": other.user_id})

    async def leave(self, room_id: str) -> None:
        await self.post(f"/v3/rooms/{room_id}/leave")

    async def send(
        self,
        room_id: str,
        content: str | Json,
        event_type: str = "m.room.message",
        transaction_id: str | None = None,
    ) -> str:
        """Send a text, or any content; the event's id."""
        if isinstance(content, str):
            content = {"msgtype": "m.text", "body": content}
        txn = transaction_id or f"{self.device_id}-{next(self._transaction_ids)}"
        sent = await self.put(f"/v3/rooms/{room_id}/send/{quoted(event_type)}/{quoted(txn)}", content)
        return str(sent["event_id"])

    async def send_state(self, room_id: str, event_type: str, content: Json, state_key: str = "") -> str:
        sent = await self.put(f"/v3/rooms/{room_id}/state/{quoted(event_type)}/{quoted(state_key)}", content)
        return str(sent["event_id"])

    async def state(self, room_id: str, event_type: str, state_key: str = "") -> Json:
        """The content of a state event."""
        found: Json = await self.get(f"/v3/rooms/{room_id}/state/{quoted(event_type)}/{quoted(state_key)}")
        return found

    async def redact(self, room_id: str, event_id: str, reason: str | None = None) -> str:
        body = {} if reason is None else {"reason": reason}
        txn = f"{self.device_id}-{next(self._transaction_ids)}"
        sent = await self.put(f"/v3/rooms/{room_id}/redact/{quoted(event_id)}/{txn}", body)
        return str(sent["event_id"])

    async def messages(self, room_id: str, direction: str = "b", **query: Any) -> Json:
        page: Json = await self.get(f"/v3/rooms/{room_id}/messages", dir=direction, **query)
        return page

    async def sync(self, since: str | None = None, timeout: int = 0, **query: Any) -> Json:  # noqa: ASYNC109
        if since is not None:
            query["since"] = since
        synced: Json = await self.get("/v3/sync", timeout=timeout, **query)
        return synced


def bodies(events: list[Json]) -> list[str]:
    """The texts of message events, in their order."""
    return [event["content"]["body"] for event in events if "body" in event["content"]]
