"""Whatever event is stored comes back as it was: the same canonical JSON, hashes and signatures and all."""

import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from unpaddedbase64 import encode_base64

from tabstead.protocol.canonical_json import encode_canonical_json
from tabstead.protocol.events import Event, build_event, event_id_of, load_event, redact_event
from tabstead.protocol.identifiers import EventID, RoomID, UserID
from tabstead.protocol.room_versions import ROOM_VERSIONS, EventIDFormat, RoomVersion
from tabstead.protocol.signatures import SigningKey, sign_event
from tabstead.storage.content_dictionaries import DICTIONARIES
from tabstead.storage.event_codec import decode_content, encode_content
from tabstead.storage.event_ids import decode_event_id, encode_event_id
from tabstead.storage.events import (
    Standing,
    find_event,
    get_event,
    insert_event,
    select_event_nids,
    select_events_by_id,
    update_redacted,
)
from tabstead.storage.migrations import migrate_step
from tabstead.storage.rooms import Room, insert_room

Json = dict[str, Any]

KEY = SigningKey(key_id="ed25519:1", seed=bytes(32))
ALICE = UserID("@alice:tab.test")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
strict_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
loose_values = strict_values | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
base64s = (
    st.binary(min_size=31, max_size=33).map(encode_base64)
    | st.binary(min_size=63, max_size=65).map(encode_base64)
    | texts
)
odd_signatures = st.dictionaries(
    st.sampled_from(["tab.test", "far.test", "with space", ""]),
    st.dictionaries(texts, base64s, max_size=3),
    max_size=3,
)


def new_database() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    while not migrate_step(db):
        pass
    return db


class Shelf:
    """A room of one version in a database, to put events into."""

    def __init__(self, version: RoomVersion) -> None:
        self.version = version
        self.db = new_database()
        self.room: Room = insert_room(self.db, RoomID("!room" if version.room_id_is_create_hash else "!r:x"), version)
        self.known: list[EventID] = []

    def event(
        self, content: Json, event_type: str, state_key: str | None, extras: Json, refers: list[EventID]
    ) -> Event:
        in_event = self.version.event_id_format is EventIDFormat.IN_EVENT
        pdu = build_event(
            room_version=self.version,
            room_id=self.room.room_id,
            event_type=event_type,
            sender=ALICE,
            content=content,
            state_key=state_key,
            prev_events=refers,
            auth_events=refers[::-1],
            depth=7,
            origin_server_ts=1_700_000_000_000,
            event_id=EventID(f"${len(self.known)}:tab.test") if in_event else None,
            reference_hashes={event_id: sha256(event_id.encode()).digest() for event_id in refers},
        )
        signed = {**sign_event(pdu, self.version, "tab.test", KEY), **extras}
        return load_event(signed, event_id=event_id_of(signed, self.version), room_version=self.version)

    def put(self, event: Event) -> int | None:
        """Store it, if it is new; its event_nid."""
        if find_event(self.db, event.event_id) is not None:
            return None
        stored = insert_event(
            self.db, self.room, event, stream_position=None, standing=Standing.ACCEPTED, state_before=0
        )
        self.known.append(event.event_id)
        return stored.event_nid


@pytest.fixture(params=ROOM_VERSIONS.values(), ids=lambda version: f"v{version.name}", scope="module")
def shelf(request: pytest.FixtureRequest) -> Iterator[Shelf]:
    shelf = Shelf(request.param)
    for number in range(5):
        shelf.put(shelf.event({"number": number}, "m.room.message", None, {}, []))
    yield shelf
    shelf.db.close()


@given(data=st.data())
def test_an_event_comes_back_as_it_was(shelf: Shelf, data: st.DataObject) -> None:
    values = strict_values if shelf.version.strict_canonical_json else loose_values
    content = data.draw(st.dictionaries(texts, values, max_size=5))
    extras = data.draw(
        st.fixed_dictionaries(
            {},
            optional={
                "signatures": odd_signatures,
                "hashes": st.dictionaries(st.sampled_from(["sha256", "md5"]), base64s | values, max_size=2),
                "prev_state": st.lists(values, max_size=2),
                "origin": texts,
                "redacts": texts | values,
                "org.example.more": values,
            },
        )
    )
    elsewhere = st.sampled_from(["$nowhere", "$" + "a" * 43, "$" + "+" * 42 + "A", "$old:tab.test"]).map(EventID)
    known = st.sampled_from(shelf.known[:5])
    refers = data.draw(st.lists(known, max_size=3) | st.lists(known | elsewhere, max_size=3))
    event_type = data.draw(texts | st.sampled_from(["m.room.redaction", "m.room.member"]))
    event = shelf.event(content, event_type, data.draw(st.none() | texts), extras, refers)

    nid = shelf.put(event)

    if nid is not None:
        check_comes_back(shelf, nid, event)
        redacted = redact_event(event.pdu, shelf.version)
        update_redacted(shelf.db, nid, redacted, redacted_by=nid)
        as_redacted = load_event(redacted, event_id=event.event_id, room_version=shelf.version)
        check_comes_back(shelf, nid, as_redacted)


def check_comes_back(shelf: Shelf, nid: int, event: Event) -> None:
    stored = get_event(shelf.db, nid).event
    assert encode_canonical_json(stored.pdu) == encode_canonical_json(event.pdu)
    assert stored == event
    assert event == stored
    assert select_events_by_id(shelf.db, [event.event_id])[event.event_id].event == event


def test_a_create_event_without_a_room_id_comes_back_without_one() -> None:
    version = ROOM_VERSIONS["12"]
    shelf = Shelf(version)
    event = shelf.event({"room_version": "12"}, "m.room.create", "", {}, [])
    assert "room_id" not in event.pdu
    shelf.room = insert_room(shelf.db, event.room_id, version)
    nid = shelf.put(event)
    assert nid is not None
    check_comes_back(shelf, nid, event)


def test_an_ordinary_event_takes_few_bytes_besides_its_content_and_its_signature() -> None:
    shelf = Shelf(ROOM_VERSIONS["12"])
    for number in range(6):
        shelf.put(
            shelf.event({"body": f"this is message {number}", "msgtype": "m.text"}, "m.room.message", None, {}, [])
        )
    event = shelf.event({"body": "hi", "msgtype": "m.text"}, "m.room.message", None, {}, shelf.known[-3:])
    nid = shelf.put(event)
    content, proof = shelf.db.execute("SELECT content, proof FROM events WHERE event_nid = ?", (nid,)).fetchone()
    assert len(content) < 12
    assert len(proof) == 1 + (1 + 3) + (1 + 3) + (1 + 1 + 64)  # no ids, no content hash


@given(st.dictionaries(texts, loose_values), st.dictionaries(texts, loose_values, max_size=2))
def test_content_is_never_longer_than_its_json(content: Json, extras: Json) -> None:
    packed = encode_content(content, extras)
    assert decode_content(packed) == (content, extras)
    plain = encode_content({"random": encode_base64(sha256(str(content).encode()).digest())}, {})
    assert len(plain) <= len('{"random":""}') + 43


def test_a_dictionary_that_was_used_stays_as_it_is() -> None:
    digests = {number: sha256(dictionary).hexdigest()[:16] for number, dictionary in DICTIONARIES.items()}
    assert digests == {1: "61a38ccd0983182f"}


hashes = st.binary(min_size=32, max_size=32).map(encode_base64)
ids = st.one_of(
    hashes.map(lambda text: f"${text}"),
    hashes.map(lambda text: "$" + text.translate(str.maketrans("+/", "-_"))),
    texts.map(lambda text: f"${text}"),
    st.text("ab+/-_", min_size=43, max_size=43).map(lambda text: f"${text}"),
)


@given(ids, ids)
@example("$" + "_" * 43, "$" + "/" * 43)
@example("$" + "a" * 43, "$" + "a" * 42 + "b")  # the same 32 bytes; the second is no way to write them
def test_ids_keep_apart_and_come_back(one: str, other: str) -> None:
    assert decode_event_id(*encode_event_id(one)) == one
    assert (encode_event_id(one) == encode_event_id(other)) == (one == other)


def test_ids_whose_keys_are_the_same_are_told_apart() -> None:
    shelf = Shelf(ROOM_VERSIONS["4"])
    one, other = ("$" + "A" * 8 + letter * 34 + "A" for letter in "BC")
    assert encode_event_id(one)[0] == encode_event_id(other)[0]
    for event_id in (one, other):
        event = shelf.event({"of": event_id}, "m.room.message", None, {}, [])
        shelf.put(load_event(event.pdu, event_id=EventID(event_id), room_version=shelf.version))
    assert select_event_nids(shelf.db, [other]) == {other: 2}
    found = find_event(shelf.db, one)
    assert found is not None
    assert found.event.content == {"of": one}
    assert find_event(shelf.db, "$" + "A" * 8 + "D" * 34 + "A") is None
