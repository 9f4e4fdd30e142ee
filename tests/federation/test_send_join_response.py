"""The answer to a join, read as it comes."""

import json
from typing import Any

import pytest

from tabstead.errors import PeerMisbehaved
from tabstead.federation import told_state
from tabstead.federation.send_join_response import SendJoinResponse
from tabstead.federation.told_state import ToldState
from tabstead.protocol.events import build_event
from tabstead.protocol.identifiers import RoomID, ServerName, UserID
from tabstead.protocol.room_versions import get_room_version
from tabstead.protocol.signatures import SigningKey, sign_event

VERSION = get_room_version("11")
ROOM = RoomID("!room:left.test")
KEY = SigningKey(key_id="ed25519:1", seed=b"\1" * 32)


def event(state_key: str = "", depth: int = 1) -> dict[str, Any]:
    pdu = build_event(
        room_version=VERSION,
        room_id=ROOM,
        event_type="org.example.state",
        sender=UserID("@alice:left.test"),
        content={"of": state_key},
        state_key=state_key,
        prev_events=[],
        auth_events=[],
        depth=depth,
        origin_server_ts=1,
    )
    return sign_event(pdu, VERSION, "left.test", KEY)


def read(text: bytes, size: int = 7) -> tuple[SendJoinResponse, ToldState]:
    told = ToldState(ROOM, VERSION)
    response = SendJoinResponse(told)
    for start in range(0, len(text), size):
        response.feed(text[start : start + size])
    response.end()
    return response, told


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("of_version_1", [False, True])
def test_state_and_auth_chain_are_taken_however_they_are_cut(size: int, of_version_1: bool) -> None:
    body: Any = {
        "auth_chain": [event("x"), event("y")],
        "servers_in_room": ["left.test"],
        "event": {"signatures": {"left.test": {}}},
        "members_omitted": False,
        "state": [event("x"), event("z")],
        "more": [{"state": [event("w")]}],
    }
    response, told = read(json.dumps([200, body] if of_version_1 else body).encode(), size)
    assert {key for _, key in told.state} == {"x", "z"}
    assert len(told.in_auth_order()) == 3
    assert response.event == {"signatures": {"left.test": {}}}
    assert not response.members_omitted
    assert told.key_ids == {ServerName("left.test"): {"ed25519:1"}}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nothing",
        b'{"state": [',
        b'{"state": [{"a": 1]}',
        b'{"state": []} and more',
        b'{"state": [' + b"[" * 300 + b"]" * 300 + b"]}",
    ],
)
def test_what_is_no_answer_is_refused(text: bytes) -> None:
    with pytest.raises(PeerMisbehaved):
        read(text)


def test_no_more_events_are_taken_than_a_room_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told_state, "MAX_EVENTS", 3)
    body = {"state": [event(str(number)) for number in range(5)]}
    with pytest.raises(PeerMisbehaved):
        read(json.dumps(body).encode())
