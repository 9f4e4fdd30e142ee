"""How many events per second each step of receiving them can do, on one thread, in whatever Python runs this.

The events are of a room of the default version, most of them messages: built, hashed and signed as a server would. Runs
in CPython as a program that prints one line of JSON, and in Pyodide, where `measure` is called.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any, Final

from tabstead.protocol.auth_rules import ALLOWED, check_auth_events, check_event_auth, select_auth_event_types
from tabstead.protocol.canonical_json import encode_canonical_json, parse_json
from tabstead.protocol.events import Event, build_event, parse_event
from tabstead.protocol.identifiers import EventID, ServerName, StateTuple, UserID, server_name_of
from tabstead.protocol.room_versions import DEFAULT_ROOM_VERSION, get_room_version
from tabstead.protocol.signatures import SigningKey, check_content_hash, check_event_signatures, sign_event

VERSION: Final = get_room_version(DEFAULT_ROOM_VERSION)
KEY: Final = SigningKey(key_id="ed25519:1", seed=bytes(range(32)))
USERS: Final = tuple(UserID(f"@user{number}:server{number % 5}.example") for number in range(20))
MESSAGES: Final = 200
BATCH: Final = 50

Step = Callable[["Received"], object]


@dataclass(slots=True)
class Received:
    """An event on its way in, and what is known of the room when it comes."""

    body: bytes
    event: Event
    auth_events: list[Event]
    state: dict[StateTuple, Event]


@dataclass(slots=True)
class Sender:
    """Builds a room's events; the state before each is kept with it."""

    state: dict[StateTuple, Event] = field(default_factory=dict)
    latest: list[EventID] = field(default_factory=list)
    sent: list[Received] = field(default_factory=list)

    def send(self, sender: UserID, event_type: str, content: dict[str, Any], state_key: str | None = None) -> None:
        keys = select_auth_event_types(event_type, state_key, sender, content, VERSION)
        auth_events = [self.state[key] for key in keys if key in self.state]
        create = self.state.get(("m.room.create", ""))
        pdu = build_event(
            room_version=VERSION,
            room_id=None if create is None else create.room_id,
            event_type=event_type,
            sender=sender,
            content=content,
            state_key=state_key,
            prev_events=self.latest,
            auth_events=[event.event_id for event in auth_events],
            depth=len(self.sent) + 1,
            origin_server_ts=1_700_000_000_000 + len(self.sent),
        )
        signed = sign_event(pdu, VERSION, server_name_of(sender), KEY)
        event = parse_event(signed, VERSION)
        self.sent.append(Received(encode_canonical_json(signed), event, auth_events, self.state))
        self.latest = [event.event_id]
        if event.is_state:
            self.state = {**self.state, event.state_tuple: event}


def send_room() -> list[Received]:
    """A room with some members who talk."""
    sender = Sender()
    founder = USERS[0]
    sender.send(founder, "m.room.create", {"room_version": VERSION.name}, "")
    sender.send(founder, "m.room.member", {"membership": "join"}, founder)
    sender.send(founder, "m.room.power_levels", {"users": {USERS[1]: 50}, "events": {"m.room.topic": 0}}, "")
    sender.send(founder, "m.room.join_rules", {"join_rule": "public"}, "")
    for user in USERS[1:]:
        sender.send(user, "m.room.member", {"membership": "join", "displayname": user[1:6]}, user)
    for number, user in enumerate(islice(cycle(USERS), MESSAGES)):
        body = f"{number}: It was the best of times, it was the worst of times, it was the age of wisdom."
        sender.send(user, "m.room.message", {"msgtype": "m.text", "body": body})
    return sender.sent


def parse(received: Received) -> Event:
    """From bytes to an Event: JSON, the format's checks, the reference hash that is its ID."""
    return parse_event(parse_json(received.body), VERSION)


def check_hash(received: Received) -> None:
    assert check_content_hash(received.event.pdu)


def check_signatures(received: Received) -> None:
    assert check_event_signatures(received.event.pdu, VERSION, _verify_keys) is None


def _verify_keys(server_name: ServerName, key_ids: object) -> dict[str, Any]:
    return {KEY.key_id: KEY.verify_key}


def authorise(received: Received) -> None:
    """By the auth events, and by the state before."""
    assert check_auth_events(received.event, received.auth_events, VERSION) is ALLOWED
    assert check_event_auth(received.event, received.state, VERSION) is ALLOWED


def everything(received: Received) -> None:
    parse(received)
    check_hash(received)
    check_signatures(received)
    authorise(received)


STEPS: Final[dict[str, Step]] = {
    "parse": parse,
    "check the content hash": check_hash,
    "check the signature": check_signatures,
    "authorise": authorise,
    "all of it": everything,
}


def measure(seconds: float) -> str:
    """JSON: events per second of each step, each measured for so long."""
    events = send_room()
    rates = {name: _rate(step, events, seconds) for name, step in STEPS.items()}
    return json.dumps({"python": sys.version.split()[0], "events": len(events), "perSecond": rates})


def _rate(step: Step, events: list[Received], seconds: float) -> int:
    for received in events:  # once, so that what loads late is there
        step(received)
    upcoming = cycle(events)
    done = 0
    began = time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        for received in islice(upcoming, BATCH):
            step(received)
        done += BATCH
    return round(done / took)


if __name__ == "__main__":
    print(measure(float(sys.argv[1])))
