"""Events that another server sends: how many a second are taken in, and how much memory it takes, beside Synapse.

    PYTHONPATH=core:tests .venv/bin/python build_scripts/measures/federation_inbound.py [--events 3000] [--version 11]

A peer that this program plays joins a room on the server and then sends messages into it, each following the one
before, fifty to a transaction, over one TLS connection. They are made and signed before. A Tabstead and a Synapse, both
new, are sent the same in turn. A transaction is taken in when a client of the server can read its last event; then the
next one is sent (a Synapse that is sent more than it can take in leaves out what is in between). Memory is what the
process came to need at most, beyond what it had before. The last line is one line of JSON.
"""

import argparse
import asyncio
import json
import ssl
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import httpx
from federation_joining import memory_of

from helpers.federated_servers import FederatedServer, FederatedServers, has_synapse
from helpers.homeserver import Client, quoted
from helpers.signing_peer import SigningPeer
from tabstead.protocol.auth_rules import select_auth_event_types
from tabstead.protocol.canonical_json import JsonDict, encode_canonical_json
from tabstead.protocol.events import Event, build_event, parse_event
from tabstead.protocol.identifiers import StateTuple
from tabstead.protocol.request_auth import SignedRequest, encode_authorization
from tabstead.protocol.room_versions import RoomVersion, get_room_version
from tabstead.protocol.signatures import sign_event

IN_A_TRANSACTION: Final = 50
WARM_UP: Final = 4
"""Transactions before the clock starts."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=3000)
    parser.add_argument("--version", default="11", help="v3 or later")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tabstead-inbound-") as folder:
        print(json.dumps(asyncio.run(measure(Path(folder), options.events, options.version))))


async def measure(folder: Path, events: int, version: str) -> dict[str, Any]:
    servers = FederatedServers(folder)
    figures: dict[str, Any] = {"events": events, "room_version": version, "in_a_transaction": IN_A_TRANSACTION}
    try:
        for name, start in (("tabstead", servers.start_tabstead), ("synapse", servers.start_synapse)):
            if name == "synapse" and not has_synapse():
                continue
            peer = SigningPeer(servers.authority)
            await peer.start()
            figures[name] = await send_all(start(), peer, servers.authority.trusting(), events, version)
            print(f"{name}: {figures[name]}")
            await peer.stop()
        return figures
    finally:
        servers.stop()


async def send_all(
    server: FederatedServer, peer: SigningPeer, trust: ssl.SSLContext, count: int, version_name: str
) -> dict[str, float]:
    """Join a room of the server's, and send it so many messages."""
    version = get_room_version(version_name)
    reader = await server.register("reader")
    room_id = await reader.create_room(preset="public_chat", room_version=version_name)
    sender = f"@sender:{peer.name}"
    joined, state = await join(server, peer, room_id, sender, version)
    pdus = make_messages(peer, joined, state, version, count + WARM_UP * IN_A_TRANSACTION)
    transactions = [pdus[start : start + IN_A_TRANSACTION] for start in range(0, len(pdus), IN_A_TRANSACTION)]
    async with httpx.AsyncClient(verify=trust, timeout=120, trust_env=False) as client:

        async def take_in(transaction_id: str, sent: list[JsonDict]) -> None:
            await send(client, server, peer, transaction_id, sent)
            await until_read(client, server, reader, room_id, parse_event(sent[-1], version).event_id)

        for number, transaction in enumerate(transactions[:WARM_UP]):
            await take_in(f"warm{number}", transaction)
        before = memory_of(server.pid, "VmRSS")
        started = time.monotonic()
        for number, transaction in enumerate(transactions[WARM_UP:]):
            await take_in(f"{number}", transaction)
        seconds = time.monotonic() - started
    peak = memory_of(server.pid, "VmHWM")
    return {
        "events_per_second": round(count / seconds, 1),
        "seconds": round(seconds, 2),
        "megabytes_more": round(peak - before, 1),
        "peak_megabytes": round(peak, 1),
    }


async def join(
    server: FederatedServer, peer: SigningPeer, room_id: str, sender: str, version: RoomVersion
) -> tuple[Event, dict[StateTuple, Event]]:
    """The join, and the state before it."""
    path = f"/_matrix/federation/v1/make_join/{quoted(room_id)}/{quoted(sender)}?ver={version.name}"
    template = (await peer.ask(server, "GET", path)).json["event"]
    pdu = sign_event({**template, "origin_server_ts": now_ms()}, version, peer.name, peer.key)
    joined = parse_event(pdu, version)
    path = f"/_matrix/federation/v2/send_join/{quoted(room_id)}/{quoted(joined.event_id)}"
    answer = await peer.ask(server, "PUT", path, joined.pdu)
    assert answer.status == 200, answer.body
    told = (parse_event(each, version) for each in answer.json["state"])
    return joined, {event.state_tuple: event for event in told} | {joined.state_tuple: joined}


def make_messages(
    peer: SigningPeer,
    joined: Event,
    state: dict[StateTuple, Event],
    version: RoomVersion,
    count: int,
) -> list[JsonDict]:
    pdus, last = [], joined
    for number in range(count):
        content = {"msgtype": "m.text", "body": f"{number} " + "so they said " * 8}
        named = select_auth_event_types("m.room.message", None, joined.sender, content, version)
        pdu = build_event(
            room_version=version,
            room_id=joined.room_id,
            event_type="m.room.message",
            sender=joined.sender,
            content=content,
            state_key=None,
            prev_events=[last.event_id],
            auth_events=[state[key].event_id for key in named if key in state],
            depth=last.depth + 1,
            origin_server_ts=now_ms(),
        )
        pdus.append(sign_event(pdu, version, peer.name, peer.key))
        last = parse_event(pdus[-1], version)
    return pdus


async def send(
    client: httpx.AsyncClient, server: FederatedServer, peer: SigningPeer, transaction_id: str, pdus: list[JsonDict]
) -> None:
    target = f"/_matrix/federation/v1/send/{transaction_id}"
    content = {"origin": peer.name, "origin_server_ts": now_ms(), "pdus": pdus}
    signed = SignedRequest(method="PUT", uri=target, content=content)
    headers = {
        "authorization": encode_authorization(signed, peer.name, server.name, peer.key),
        "content-type": "application/json",
    }
    answer = await client.put(server.url + target, content=encode_canonical_json(content), headers=headers)
    assert answer.status_code == 200, answer.text
    assert not any(result.get("error") for result in answer.json()["pdus"].values()), answer.text


async def until_read(
    client: httpx.AsyncClient, server: FederatedServer, reader: Client, room_id: str, event_id: str
) -> None:
    """Wait until a client of the server reads the event."""
    url = f"{server.url}/_matrix/client/v3/rooms/{quoted(room_id)}/event/{quoted(event_id)}"
    headers = {"authorization": f"Bearer {reader.access_token}"}
    while (await client.get(url, headers=headers)).status_code != 200:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def now_ms() -> int:
    return int(time.time() * 1000)


if __name__ == "__main__":
    main()
