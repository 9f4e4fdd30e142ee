"""A client that follows a room by incremental syncs knows what an initial sync would tell it.

The client applies answers as the specification says, whatever their limits, and fills the gaps through /messages.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from helpers.homeserver import Client, Clock, Json, TestServer, quoted
from tabstead.configuration import Configuration, RateLimits


@dataclass
class RoomCopy:
    """What a client knows of a room."""

    joined: bool = False
    timeline: list[str] = field(default_factory=list)
    state: dict[tuple[str, str], str] = field(default_factory=dict)

    def apply(self, events: list[Json]) -> None:
        """The newest state event of each type and state key counts."""
        for event in events:
            if "state_key" in event:
                self.state[event["type"], event["state_key"]] = event["event_id"]


@dataclass
class Follower:
    """A client that keeps copies of its rooms."""

    client: Client
    lazy: bool = False
    """Whether it leaves members that it doesn't need to the server."""
    since: str | None = None
    rooms: dict[str, RoomCopy] = field(default_factory=dict)

    async def follow(self, limit: int = 1000, use_state_after: bool = False) -> None:
        room_filter = {"timeline": {"limit": limit}, "state": {"lazy_load_members": self.lazy}}
        sync_filter = json.dumps({"room": room_filter})
        answer = await self.client.sync(self.since, filter=sync_filter, use_state_after=use_state_after)
        self.since = answer["next_batch"]
        rooms = answer.get("rooms", {})
        for room_id, entry in rooms.get("join", {}).items():
            await self._apply(self.rooms.setdefault(room_id, RoomCopy()), room_id, entry)
        for room_id, entry in rooms.get("leave", {}).items():
            copy = self.rooms.setdefault(room_id, RoomCopy())
            if copy.joined or "m.room.create" in {event["type"] for event in entry_state(entry)}:
                await self._apply(copy, room_id, entry, is_readable=False)
                copy.joined = False
        for room_id in rooms.get("invite", {}):
            self.rooms.setdefault(room_id, RoomCopy()).joined = False

    async def _apply(self, copy: RoomCopy, room_id: str, entry: Json, is_readable: bool = True) -> None:
        timeline = entry["timeline"]
        events = timeline["events"]
        if timeline["limited"]:
            known = set(copy.timeline) if copy.joined else set()
            events = await self._fill_gap(room_id, timeline["prev_batch"], known) + events
        new = [event["event_id"] for event in events]
        copy.timeline = [event_id for event_id in copy.timeline if event_id not in set(new)] + new
        if not copy.joined:
            copy.state = {}
        if "state_after" in entry:
            copy.apply(entry["state_after"]["events"])
        else:
            copy.apply(entry["state"]["events"])
            if is_readable and timeline["events"]:
                await self._check_start(copy, room_id, timeline["events"])
            copy.apply(timeline["events"])
        copy.joined = True
        for event in timeline["events"]:
            assert ("m.room.member", event["sender"]) in copy.state, "a sender's member event is missing"

    async def _check_start(self, copy: RoomCopy, room_id: str, timeline: list[Json]) -> None:
        """What the timeline is going to change is, before it does, as it was at the timeline's start."""
        first = timeline[0]["event_id"]
        context = await self.client.get(f"/v3/rooms/{room_id}/context/{quoted(first)}", limit=0)
        then = RoomCopy()
        then.apply(context["state"])
        for event in timeline[1:]:
            key = (event["type"], event.get("state_key"))
            if "state_key" in event and then.state.get(key) != first and (not self.lazy or key in copy.state):
                assert copy.state.get(key) == then.state.get(key), f"{key} is told wrongly before {first}"

    async def _fill_gap(self, room_id: str, prev_batch: str, known: set[str]) -> list[Json]:
        found: list[Json] = []
        token: str | None = prev_batch
        while token is not None:
            page = await self.client.messages(room_id, **{"from": token}, limit=3)
            for event in page["chunk"]:
                if event["event_id"] in known:
                    return found[::-1]
                found.append(event)
            token = page.get("end")
        return found[::-1]


def entry_state(entry: Json) -> list[Json]:
    return [*(entry.get("state_after") or entry["state"])["events"], *entry["timeline"]["events"]]


Act = Callable[["Story"], Awaitable[Any]]


@dataclass
class Story:
    """Alice's room, which Bob follows, with Carol in it."""

    alice: Client
    bob: Client
    carol: Client
    room_id: str
    follower: Follower

    def member(self, membership: str, target: Client, by: Client) -> Awaitable[Any]:
        path = f"/v3/rooms/{self.room_id}/state/m.room.member/{quoted(target.user_id)}"
        return by.answer("PUT", path, {"membership": membership})

    def state(self, event_type: str, content: Json) -> Awaitable[Any]:
        return self.alice.answer("PUT", f"/v3/rooms/{self.room_id}/state/{event_type}", content)

    async def say(self, client: Client, text: str, times: int) -> None:
        for number in range(times):
            path = f"/v3/rooms/{self.room_id}/send/m.room.message/{text}-{number}"
            await client.answer("PUT", path, {"msgtype": "m.text", "body": text})


def _says(who: str) -> st.SearchStrategy[Act]:
    return st.builds(
        lambda text, times: lambda story: story.say(getattr(story, who), text, times),
        st.text("abcdefgh", min_size=6, max_size=6),
        st.integers(1, 4),
    )


def _enters_or_leaves(who: str) -> st.SearchStrategy[Act]:
    def act(membership: str) -> Act:
        by_alice = membership in ("invite", "ban", "kick")
        return lambda story: story.member(
            "leave" if membership == "kick" else membership,
            getattr(story, who),
            story.alice if by_alice else getattr(story, who),
        )

    return st.builds(act, st.sampled_from(["join", "join", "leave", "invite", "kick", "ban"]))


_follows = st.builds(
    lambda limit, after: lambda story: story.follower.follow(limit, after), st.integers(1, 4), st.booleans()
)
_names = st.builds(lambda name: lambda story: story.state("m.room.name", {"name": name}), st.text("xyz", max_size=2))
_shows_history = st.builds(
    lambda visibility: lambda story: story.state("m.room.history_visibility", {"history_visibility": visibility}),
    st.sampled_from(["shared", "joined", "invited", "world_readable"]),
)
_acts = st.lists(
    st.one_of(
        _says("alice"),
        _says("bob"),
        _names,
        _shows_history,
        _enters_or_leaves("bob"),
        _enters_or_leaves("bob"),
        _enters_or_leaves("carol"),
        _follows,
        _follows,
    ),
    min_size=4,
    max_size=25,
)


@settings(max_examples=50, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(acts=_acts, lazy=st.booleans())
def test_incremental_syncs_add_up_to_an_initial_one(acts: list[Act], lazy: bool) -> None:
    asyncio.run(_live_through(acts, lazy))


async def _live_through(acts: list[Act], lazy: bool) -> None:
    configuration = Configuration(
        server_name="tab.test", base_url="https://tab.test", rate_limits=RateLimits(enabled=False)
    )
    server = TestServer(Path(":memory:"), configuration, Clock())
    await server.start()
    try:
        alice, bob, carol = [await server.register(name) for name in ("alice", "bob", "carol")]
        room_id = await alice.create_room(preset="public_chat")
        await bob.join(room_id)
        story = Story(alice=alice, bob=bob, carol=carol, room_id=room_id, follower=Follower(bob, lazy))
        for act in acts:
            await act(story)
        await story.follower.follow()
        await _compare(story)
    finally:
        await server.close()


async def _compare(story: Story) -> None:
    fresh = Follower(story.bob)
    await fresh.follow()
    copy = story.follower.rooms.get(story.room_id, RoomCopy())
    expected = fresh.rooms.get(story.room_id, RoomCopy())
    assert copy.joined == expected.joined
    if expected.joined:
        assert copy.timeline == expected.timeline
        wanted = copy.state.keys() if story.follower.lazy else expected.state.keys()
        assert copy.state == {key: event_id for key, event_id in expected.state.items() if key in wanted}
