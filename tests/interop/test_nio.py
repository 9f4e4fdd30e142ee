"""matrix-nio, unchanged, against `tabstead serve`: what bots do, encrypted and not."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import nio
import pytest

from helpers.native_server import NativeServer

CONFIGURATION = """
server_name = "localhost"
[listen]
http_port = 0
[registration]
open = true
[rate_limits]
enabled = false
"""

PATIENCE = 60
"""Seconds; no expectation: they turn a hanging test into a failing one."""

Answer = TypeVar("Answer", bound=nio.Response)


class Person:
    """A client that syncs, and all that it was told."""

    def __init__(self, client: nio.AsyncClient) -> None:
        self.client = client
        self.events: list[tuple[str, nio.Event]] = []
        self.answers: list[nio.Response] = []
        self._syncing: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        client.add_event_callback(self._note_event, (nio.Event, nio.InviteEvent))  # type: ignore[arg-type]
        client.add_response_callback(self._note_answer)

    @property
    def user_id(self) -> str:
        return self.client.user_id

    async def start(self) -> None:
        self._syncing = asyncio.create_task(self.client.sync_forever(timeout=30_000, full_state=True))
        await self.until(lambda: any(isinstance(answer, nio.SyncResponse) for answer in self.answers))

    async def close(self) -> None:
        if self._syncing is not None:
            self._syncing.cancel()
            await asyncio.gather(self._syncing, return_exceptions=True)
        await self.client.close()

    async def say(self, room_id: str, text: str, **content: Any) -> str:
        message = {"msgtype": "m.text", "body": text, **content}
        sent = await self.client.room_send(room_id, "m.room.message", message, ignore_unverified_devices=True)
        return expect(nio.RoomSendResponse, sent).event_id

    async def heard(self, room_id: str, text: str) -> nio.RoomMessageText:
        """The message with this text, as soon as it is there and can be read."""
        await self.until(lambda: self._find(room_id, text) is not None)
        found = self._find(room_id, text)
        assert found is not None
        return found

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until the client was told something."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(holds)

    def _find(self, room_id: str, text: str) -> nio.RoomMessageText | None:
        return next(
            (
                event
                for where, event in self.events
                if where == room_id and isinstance(event, nio.RoomMessageText) and event.body == text
            ),
            None,
        )

    async def _note_event(self, room: nio.MatrixRoom, event: nio.Event) -> None:
        self.events.append((room.room_id, event))

    async def _note_answer(self, answer: nio.Response) -> None:
        async with self._news:
            self.answers.append(answer)
            self._news.notify_all()


class People:
    """Makes accounts and logs in."""

    def __init__(self, url: str, stores: Path) -> None:
        self._url = url
        self._stores = stores
        self.all: list[Person] = []

    async def register(self, name: str) -> Person:
        person = self._person(name)
        expect(nio.RegisterResponse, await person.client.register(name, f"secret of {name}", "phone"))
        await person.start()
        return person

    async def log_in(self, name: str) -> Person:
        """A new device."""
        person = self._person(f"@{name}:localhost")
        expect(nio.LoginResponse, await person.client.login(f"secret of {name}", "tablet"))
        await person.start()
        return person

    def _person(self, user: str) -> Person:
        store = self._stores / str(len(self.all))
        store.mkdir()
        config = nio.AsyncClientConfig(encryption_enabled=True, store_sync_tokens=True)
        person = Person(nio.AsyncClient(self._url, user, store_path=str(store), config=config))
        self.all.append(person)
        return person


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NativeServer]:
    configuration = tmp_path / "tabstead.toml"
    configuration.write_text(CONFIGURATION)
    running = NativeServer(configuration)
    yield running
    running.process.terminate()
    _, log = running.process.communicate()
    assert "Traceback" not in log


@pytest.fixture
async def people(server: NativeServer, tmp_path: Path) -> AsyncIterator[People]:
    made = People(server.url, tmp_path)
    yield made
    for person in made.all:
        await person.close()


@pytest.fixture
async def alice(people: People) -> Person:
    return await people.register("alice")


@pytest.fixture
async def bob(people: People) -> Person:
    return await people.register("bob")


def expect(kind: type[Answer], answer: object) -> Answer:
    """The answer, which is no error: the client has checked it against its schema."""
    assert isinstance(answer, kind), answer
    return answer


async def create_room(person: Person, **options: Any) -> str:
    return expect(nio.RoomCreateResponse, await person.client.room_create(**options)).room_id


async def join(person: Person, room_id: str) -> None:
    expect(nio.JoinResponse, await person.client.join(room_id))
    await person.until(lambda: room_id in person.client.rooms)


async def test_messages_go_both_ways_and_can_be_read_back_page_by_page(alice: Person, bob: Person) -> None:
    room_id = await create_room(alice, name="Ferry", alias="ferry", preset=nio.RoomPreset.public_chat)
    await join(bob, room_id)
    assert bob.client.rooms[room_id].display_name == "Ferry"
    for number in range(25):
        await alice.say(room_id, f"Crossing {number}")
    await bob.heard(room_id, "Crossing 24")
    await bob.say(room_id, "All aboard")
    await alice.heard(room_id, "All aboard")

    start, texts, pages = "", [], 0
    while start is not None:
        page = expect(nio.RoomMessagesResponse, await bob.client.room_messages(room_id, start or None, limit=10))
        texts += [event.body for event in page.chunk if isinstance(event, nio.RoomMessageText)]
        start, pages = page.end, pages + 1
    assert texts == ["All aboard", *(f"Crossing {number}" for number in reversed(range(25)))]
    assert pages >= 4


async def test_relations_redactions_receipts_and_typing(alice: Person, bob: Person) -> None:
    room_id = await create_room(alice, preset=nio.RoomPreset.public_chat)
    await join(bob, room_id)
    root = await alice.say(room_id, "Tides?")
    thread = {"m.relates_to": {"rel_type": "m.thread", "event_id": root}}
    reply = await bob.say(room_id, "High at six", **thread)
    await alice.heard(room_id, "High at six")
    replies = [event async for event in alice.client.room_get_event_relations(room_id, root)]
    assert [event.event_id for event in replies] == [reply]
    assert [event.event_id async for event in alice.client.room_get_threads(room_id)] == [root]

    expect(nio.RoomTypingResponse, await bob.client.room_typing(room_id, True))
    await alice.until(lambda: alice.client.rooms[room_id].typing_users == [bob.user_id])
    expect(nio.RoomReadMarkersResponse, await bob.client.room_read_markers(room_id, root, root))
    await alice.until(lambda: bob.user_id in alice.client.rooms[room_id].read_receipts)
    assert alice.client.rooms[room_id].read_receipts[bob.user_id].event_id == root

    expect(nio.RoomRedactResponse, await bob.client.room_redact(room_id, reply, "wrong table"))
    await alice.until(lambda: any(isinstance(event, nio.RedactionEvent) for _, event in alice.events))
    seen = expect(nio.RoomGetEventResponse, await alice.client.room_get_event(room_id, reply))
    assert isinstance(seen.event, nio.RedactedEvent)


async def test_who_knocks_is_let_in_and_can_leave_again(alice: Person, bob: Person) -> None:
    room_id = await create_room(alice, name="Pier")
    expect(nio.RoomPutStateResponse, await alice.client.room_enable_knocking(room_id))
    assert isinstance(await bob.client.join(room_id), nio.JoinError)
    expect(nio.RoomKnockResponse, await bob.client.room_knock(room_id, "I have a boat"))
    await alice.until(lambda: _has_member(alice, room_id, bob.user_id, "knock"))
    expect(nio.RoomInviteResponse, await alice.client.room_invite(room_id, bob.user_id))
    await bob.until(lambda: room_id in bob.client.invited_rooms)
    await join(bob, room_id)
    expect(nio.RoomLeaveResponse, await bob.client.room_leave(room_id))
    await alice.until(lambda: _has_member(alice, room_id, bob.user_id, "leave"))
    expect(nio.RoomForgetResponse, await bob.client.room_forget(room_id))
    assert isinstance(await bob.client.room_messages(room_id), nio.RoomMessagesError)


async def test_files_come_back_as_they_went_also_encrypted_ones(alice: Person, bob: Person) -> None:
    content = bytes(range(256)) * 300
    plain, _ = await alice.client.upload(lambda *_: [content], "image/x-test", "chart.bin", filesize=len(content))
    uri = expect(nio.UploadResponse, plain).content_uri
    got = expect(nio.MemoryDownloadResponse, await bob.client.download(uri))
    assert (got.body, got.content_type, got.filename) == (content, "image/x-test", "chart.bin")

    sealed, keys = await alice.client.upload(lambda *_: [content], encrypt=True, filesize=len(content))
    assert keys is not None
    got = expect(nio.MemoryDownloadResponse, await bob.client.download(expect(nio.UploadResponse, sealed).content_uri))
    opened = nio.crypto.decrypt_attachment(got.body, keys["key"]["k"], keys["hashes"]["sha256"], keys["iv"])
    assert got.body != content
    assert opened == content


async def test_an_encrypted_room_is_read_by_all_devices_of_its_members(
    alice: Person, bob: Person, people: People, tmp_path: Path
) -> None:
    encryption = nio.EnableEncryptionBuilder().as_dict()
    room_id = await create_room(alice, invite=[bob.user_id], initial_state=[encryption])
    await bob.until(lambda: room_id in bob.client.invited_rooms)
    await join(bob, room_id)
    await alice.until(lambda: bob.user_id in alice.client.rooms[room_id].users)
    assert bob.client.rooms[room_id].encrypted

    event_id = await alice.say(room_id, "Low water at noon")
    assert (await bob.heard(room_id, "Low water at noon")).decrypted
    await bob.say(room_id, "Aye")
    assert (await alice.heard(room_id, "Aye")).decrypted
    stored = expect(nio.RoomGetEventResponse, await bob.client.room_get_event(room_id, event_id))
    assert stored.transport_response is not None
    assert (await stored.transport_response.json())["type"] == "m.room.encrypted"

    tablet = await people.log_in("bob")
    device_id = tablet.client.device_id
    await alice.until(lambda: device_id in alice.client.device_store[bob.user_id])
    await alice.say(room_id, "For both of you")
    assert (await tablet.heard(room_id, "For both of you")).decrypted
    assert (await bob.heard(room_id, "For both of you")).decrypted

    keys = tmp_path / "keys.txt"
    await bob.client.export_keys(str(keys), "passphrase", count=1000)
    await tablet.client.import_keys(str(keys), "passphrase")
    page = expect(nio.RoomMessagesResponse, await tablet.client.room_messages(room_id, limit=20))
    assert "Low water at noon" in [event.body for event in page.chunk if isinstance(event, nio.RoomMessageText)]


async def test_state_profiles_devices_and_spaces(alice: Person, bob: Person, people: People) -> None:
    expect(nio.ProfileSetDisplayNameResponse, await alice.client.set_displayname("Alice of the Ferry"))
    profile = expect(nio.ProfileGetResponse, await bob.client.get_profile(alice.user_id))
    assert profile.displayname == "Alice of the Ferry"

    space = await create_room(alice, name="Harbour", space=True, preset=nio.RoomPreset.public_chat)
    room_id = await create_room(alice, name="Quay", preset=nio.RoomPreset.public_chat)
    child = await alice.client.room_put_state(space, "m.space.child", {"via": ["localhost"]}, room_id)
    expect(nio.RoomPutStateResponse, child)
    tree = expect(nio.SpaceGetHierarchyResponse, await bob.client.space_get_hierarchy(space))
    assert [room["name"] for room in tree.rooms] == ["Harbour", "Quay"]

    spare = await people.log_in("alice")
    auth = {"type": "m.login.password", "user": alice.user_id, "password": "secret of alice"}
    asked = expect(nio.DeleteDevicesAuthResponse, await alice.client.delete_devices([spare.client.device_id]))
    auth["session"] = asked.session
    done = await alice.client.delete_devices([spare.client.device_id], auth=auth)
    expect(nio.DeleteDevicesResponse, done)
    assert isinstance(await spare.client.whoami(), nio.WhoamiError)
    devices = expect(nio.DevicesResponse, await alice.client.devices()).devices
    assert [device.id for device in devices] == [alice.client.device_id]


def _has_member(person: Person, room_id: str, user_id: str, membership: str) -> bool:
    return any(
        isinstance(event, nio.RoomMemberEvent) and (event.state_key, event.membership) == (user_id, membership)
        for where, event in person.events
        if where == room_id
    )
