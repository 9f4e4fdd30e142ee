"""Lets Synapse itself persist events, in this process: its configuration, its schema, its storage, its SQLite file.

    .venv-synapse/bin/python synapse_persisting.py DATABASE ROOM_VERSION <EVENTS

Each line of EVENTS is a PDU of one room, each after those that it refers to, and forks change no state. As Synapse does
with events that it catches up on after the checks on receipt, each gets a context with the state groups before and
after it, and `EventsPersistenceStorageController.persist_events` persists them, a hundred at a time. Before that
Synapse does its background updates, which make indexes.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Final

import synapse.event_auth  # noqa: F401, first of all: Synapse's modules import one another
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.app.homeserver import SynapseHomeServer, create_homeserver
from synapse.config.homeserver import HomeServerConfig
from synapse.events import EventBase, make_event_from_dict
from synapse.events.snapshot import EventContext
from synapse.logging.context import LoggingContext
from twisted.internet import defer, task

BATCH: Final = 100
STEP: Final = 1000


def configure(folder: Path, database: Path) -> HomeServerConfig:
    config = HomeServerConfig()
    config.parse_config_dict(
        {
            "server_name": "tab.test",
            "report_stats": False,
            "signing_key": "ed25519 1 " + "A" * 43,
            "media_store_path": str(folder / "media"),
            "macaroon_secret_key": "of no use to anybody",
            "form_secret": "likewise",
            "database": {"name": "sqlite3", "args": {"database": str(database)}},
            "trusted_key_servers": [],
            "caches": {"global_factor": 4.0},
        },
        str(folder),
        str(folder),
    )
    return config


def spare_the_disk(hs: SynapseHomeServer) -> None:
    """Let SQLite not wait for the disk: it is the size that counts, and no power fails."""
    engine = hs.get_datastores().main.database_engine
    configure_connection = engine.on_new_connection

    def on_new_connection(connection: Any) -> None:
        configure_connection(connection)
        connection.execute("PRAGMA synchronous = OFF")

    engine.on_new_connection = on_new_connection


class Contexts:
    """Gives events their state groups."""

    def __init__(self, hs: SynapseHomeServer) -> None:
        self._storage = hs.get_storage_controllers()
        self._group: int | None = None

    async def of(self, event: EventBase) -> EventContext:
        before, delta = self._group, None
        if event.is_state():
            delta = {(event.type, event.state_key): event.event_id}
            self._group = await self._storage.state.store_state_group(
                event.event_id,
                event.room_id,
                prev_group=before,
                delta_ids=None if before is None else delta,
                current_state_ids=delta if before is None else None,
            )
        return EventContext.with_state(
            storage=self._storage,
            state_group=self._group,
            state_group_before_event=before,
            state_delta_due_to_event=delta or {},
            partial_state=False,
            state_group_deltas={(before, self._group): delta} if delta and before is not None else {},
        )


async def persist_all(hs: SynapseHomeServer, lines: Iterable[str], version: str, say: Callable[[int], None]) -> None:
    persistence = hs.get_storage_controllers().persistence
    assert persistence is not None
    room_version = KNOWN_ROOM_VERSIONS[version]
    for database in hs.get_datastores().databases:
        await database.updates.run_background_updates(sleep=False)
    contexts = Contexts(hs)
    events = (make_event_from_dict(json.loads(line), room_version) for line in lines)
    number = 0
    while batch := list(islice(events, BATCH)):
        if number == 0:
            await hs.get_datastores().main.store_room(batch[0].room_id, batch[0].sender, True, room_version)
        await persistence.persist_events([(event, await contexts.of(event)) for event in batch])
        number += len(batch)
        if number % STEP == 0:
            say(number)


def main(database: Path, version: str) -> None:
    def say(number: int) -> None:
        print(number, flush=True)

    def start(reactor: Any) -> "defer.Deferred[None]":
        async def run() -> None:
            with LoggingContext(name="persisting", server_name="tab.test"):
                hs = create_homeserver(configure(Path(folder), database), reactor)
                hs.setup()
                spare_the_disk(hs)
                await persist_all(hs, sys.stdin, version, say)

        return defer.ensureDeferred(run())

    with tempfile.TemporaryDirectory() as folder:
        task.react(start)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
