"""A room that users of two servers are in, for tests of what the servers tell each other."""

from typing import Any

from helpers.federation import Network
from helpers.homeserver import Client, quoted

Json = dict[str, Any]


async def share_room(network: Network, owner: Client, *others: Client, **options: Any) -> str:
    """A new public room of the owner's that the others have joined, and that all their servers know."""
    room_id = await owner.create_room(preset="public_chat", **options)
    await network.settle()
    for other in others:
        await other.post(f"/v3/join/{quoted(room_id)}", via=[owner.server.name])
        await network.settle()
    return room_id


async def news_of(client: Client) -> "News":
    """From here on."""
    return News(client, (await client.sync())["next_batch"])


class News:
    """What a client learns by /sync, one answer after the other."""

    def __init__(self, client: Client, since: str) -> None:
        self.client = client
        self.since = since

    async def next(self) -> Json:
        synced = await self.client.sync(self.since)
        self.since = synced["next_batch"]
        return synced

    async def ephemeral(self, room_id: str) -> dict[str, Json]:
        """The contents of a room's ephemeral events by their type."""
        synced = await self.next()
        events = synced.get("rooms", {}).get("join", {}).get(room_id, {}).get("ephemeral", {}).get("events", [])
        return {event["type"]: event["content"] for event in events}

    async def timeline(self, room_id: str) -> list[str]:
        synced = await self.next()
        events = synced.get("rooms", {}).get("join", {}).get(room_id, {}).get("timeline", {}).get("events", [])
        return [event["content"]["body"] for event in events if "body" in event["content"]]
