"""Where the operations of the Server-Server API are called: a `tabstead serve`, and a server that the test plays."""

import io
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

from helpers.federated_servers import FederatedServer
from helpers.homeserver import Answer, Client
from helpers.peer_rooms import SharedRoom, enter
from helpers.server_server_api import ServerServerApi
from helpers.signing_peer import Json, SigningPeer
from tabstead.protocol.signatures import SigningKey

FORGED: Final = SigningKey(key_id="ed25519:peer", seed=bytes(32))
"""Named like the peer's key, and another one."""


@dataclass(frozen=True)
class Asked:
    """A request that was made."""

    operation_id: str
    method: str
    target: str
    content: Any


@dataclass
class ServerWorld:
    """The server under test with a user of it, and the peer that asks."""

    api: ServerServerApi
    server: FederatedServer
    peer: SigningPeer
    alice: Client
    last: Asked | None = None
    """What was asked last by `ask`."""
    _names: int = 0

    async def ask(self, operation_id: str, method: str, target: str, content: Any = None) -> Answer:
        """The server's answer to the peer. The request must be one of that operation."""
        operation = next(each for each in self.api.operations if each.operation_id == operation_id)
        assert operation.method == method and operation.pattern.fullmatch(target.partition("?")[0].rstrip("/")), target
        self.last = Asked(operation_id, method, target, content)
        return await self.peer.ask(self.server, method, target, content)

    async def repeat(self, **changes: Any) -> Answer:
        """The same once more, signed otherwise or with another body."""
        assert self.last is not None
        return await self.peer.ask(self.server, self.last.method, self.last.target, self.last.content, **changes)

    def user(self) -> str:
        """A new user of the peer's."""
        self._names += 1
        return f"@eve{self._names}:{self.peer.name}"

    async def room(self, **options: Any) -> str:
        """A new room of Alice's, which the peer's users may join."""
        return await self.alice.create_room(**({"preset": "public_chat"} | options))

    async def shared_room(self, **options: Any) -> SharedRoom:
        """A new room that a user of the peer's has joined."""
        return await enter(self.peer, self.server, await self.room(**options), self.user())

    async def upload(self) -> str:
        """The media id of a picture of Alice's."""
        png = io.BytesIO()
        Image.new("RGB", (64, 64), "red").save(png, "PNG")
        headers = {"content-type": "image/png"}
        uploaded = await self.alice.answer("POST", "/_matrix/media/v3/upload", png.getvalue(), headers=headers)
        uri: str = uploaded.json["content_uri"]
        return uri.rpartition("/")[2]

    async def upload_keys(self) -> None:
        """Alice's device gets a one-time key."""
        device = self.alice.device_id
        keys: Json = {
            "user_id": self.alice.user_id,
            "device_id": device,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
            "keys": {f"curve25519:{device}": "A" * 43, f"ed25519:{device}": "B" * 43},
            "signatures": {self.alice.user_id: {f"ed25519:{device}": "C" * 86}},
        }
        one_time = {"key": "D" * 43, "signatures": {self.alice.user_id: {f"ed25519:{device}": "E" * 86}}}
        body = {"device_keys": keys, "one_time_keys": {"signed_curve25519:AAAAAQ": one_time}}
        await self.alice.post("/v3/keys/upload", body)
