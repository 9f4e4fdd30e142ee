"""The world that every case starts in: some people, a public room with a thread, an uploaded picture.

It is built once; each case gets a server of its own on a copy of the database.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from conformance.cases import PATH_PARAMETERS, Ask
from helpers.client_server_api import Operation
from helpers.homeserver import Answer, Client, Clock, TestServer, quoted
from helpers.key_owner import DeviceKeys
from helpers.mailbox import Mailbox
from tabstead.configuration import Configuration
from tabstead.errors import OutboundFailed
from tabstead.outbound import OutboundRequest, OutboundResponse

PICTURE: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
"""A red pixel, as PNG."""


class Web:
    """The servers that are asked by this one: a page to preview, and an identity provider."""

    PAGES: Final = {
        "https://page.example/": ("text/html", b"<title>A page</title>"),
        "https://login.example/.well-known/openid-configuration": (
            "application/json",
            b"""{"issuer": "https://login.example", "authorization_endpoint": "https://login.example/authorize",
            "token_endpoint": "https://login.example/token", "jwks_uri": "https://login.example/keys"}""",
        ),
    }

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        if request.url not in self.PAGES:
            raise OutboundFailed(f"There is no {request.url}.")
        media_type, body = self.PAGES[request.url]
        return OutboundResponse(status=200, url=request.url, headers={"content-type": media_type}, body=body)

    async def close(self) -> None:
        pass


@dataclass(frozen=True)
class Blueprint:
    """The world's database with who and what is in it."""

    database: Path
    configuration: Configuration
    clients: Mapping[str, Client]
    facts: Mapping[str, Any]

    async def open(self, folder: Path) -> "World":
        """A world of its own in the folder."""
        copy = folder / self.database.name
        shutil.copy(self.database, copy)
        server, mailbox = TestServer(copy, self.configuration, Clock(now=1_700_000_100_000)), Mailbox()
        server.validates, server.outbound, server.mailer = False, Web(), mailbox
        await server.start()
        clients = {name: replace(client, server=server) for name, client in self.clients.items()}
        return World(server=server, clients=clients, facts=dict(self.facts), mailbox=mailbox)


async def draw_blueprint(folder: Path, **configuration: Any) -> Blueprint:
    """Build the world once."""
    server = await TestServer.open(folder, outbound=Web(), mailer=Mailbox(), **configuration)
    alice = await server.register("alice", "rosebud")
    clients = {
        "nobody": server.anonymous(),
        "forger": Client(server=server, access_token="forged"),
        "alice": alice,
        "bob": await server.register("bob"),
        "carol": await server.register("carol"),
        "admin": await server.register_admin("admin"),
        "guest": await server.register_guest(),
    }
    facts = await _furnish(alice, clients["bob"])
    await server.close()
    return Blueprint(folder / f"{server.name}.sqlite", server.configuration, clients, facts)


async def _furnish(alice: Client, bob: Client) -> dict[str, Any]:
    knocking = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}
    lodge = await alice.create_room(preset="private_chat", initial_state=[knocking])
    room = await alice.create_room(
        preset="public_chat", room_alias_name="square", name="The square", visibility="public"
    )
    await bob.join(room)
    event = await alice.send(room, "Hello, world")
    await bob.send(room, {"m.relates_to": {"rel_type": "m.annotation", "event_id": event, "key": "+"}}, "m.reaction")
    in_thread = {"rel_type": "m.thread", "event_id": event}
    await bob.send(room, {"msgtype": "m.text", "body": "Hello, alice", "m.relates_to": in_thread})
    keys = DeviceKeys.of(alice)
    await alice.post("/v3/keys/upload", {"device_keys": keys.signed, "one_time_keys": keys.one_time_keys("a", "b")})
    uploaded = await alice.answer(
        "POST", "/_matrix/media/v3/upload", PICTURE, headers={"content-type": "image/png"}, filename="red.png"
    )
    return {
        "room": room,
        "lodge": lodge,
        "event": event,
        "alias": "#square:tab.test",
        "device": alice.device_id,
        "other_device": bob.device_id,
        "media": uploaded.json["content_uri"].rpartition("/")[2],
        "token": (await alice.sync())["next_batch"],
        "filter_id": "0",
        "version": "1",
    }


@dataclass
class World:
    """A running server with the clients in it, and what is known of it."""

    server: TestServer
    clients: Mapping[str, Client]
    facts: dict[str, Any]
    mailbox: Mailbox

    async def ask(self, operation: Operation, ask: Ask) -> Answer:
        """What comes back."""
        return await self.clients[ask.who].answer(
            ask.method or operation.method,
            self._path(operation, ask),
            self.fill(ask.body),
            headers=ask.headers,
            **self.fill(dict(ask.query)),
        )

    async def learn(self, ask: Ask, answer: Answer) -> None:
        """Remember what later calls need, and follow the link in an email, as its reader would."""
        for key in ask.remember:
            self.facts[key] = answer.json[key]
        for _ in self.mailbox.mails:
            path, _, query = self.mailbox.link().partition("?")
            form = {"content-type": "application/x-www-form-urlencoded"}
            await self.clients["nobody"].answer("POST", path, query.encode(), headers=form)
        self.mailbox.mails.clear()

    def fill(self, value: Any) -> Any:
        """A value with the facts in it."""
        if isinstance(value, str):
            return self.facts[value[1:-1]] if value.startswith("{") and value.endswith("}") else value
        if isinstance(value, dict):
            return {self.fill(key): self.fill(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.fill(each) for each in value]
        return value

    def _path(self, operation: Operation, ask: Ask) -> str:
        parameters = {**PATH_PARAMETERS, **ask.path}
        segments = (
            quoted(self._fill_segment(parameters[segment[1:-1]])) if segment.startswith("{") else segment
            for segment in operation.path.split("/")
        )
        return "/".join(segments)

    def _fill_segment(self, text: str) -> str:
        """A path's parameter; an mxc URI stands for its media ID."""
        filled = str(self.fill(text))
        return filled.rpartition("/")[2] if filled.startswith("mxc://") else filled
