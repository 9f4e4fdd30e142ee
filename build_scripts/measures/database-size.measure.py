"""How many bytes an event takes in the database, beside Synapse's, by table: the same events of a public room.

`public_room` makes them. Ours receive each as from another server (`receive_pdu`: all checks, signatures included; the
index for searching follows), Synapse persists each by its own code into its own SQLite schema (`synapse_persisting`).
What no event brings, receipts and the like, is on neither side. Sizes are those of the files after VACUUM, whole, with
the tables that stay empty. Both go on side by side, and Synapse takes longer: ten minutes or so for a hundred thousand
events on a machine that has little else to do.
The last line is one line of JSON.

    build_scripts/measure database-size [--events 100000] [--version 12]
"""

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from public_room import PublicRoom

from tabstead.protocol.events import Event
from tabstead.protocol.room_versions import RoomVersion, get_room_version
from tabstead.protocol.signatures import SigningKey
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.receive import receive_pdu
from tabstead.rooms.search_index import follow_for_search, index_next
from tabstead.rooms.verdicts import Accepted
from tabstead.storage.migrations import migrate_step
from tabstead.storage.rooms import insert_room

IN_A_TRANSACTION: Final = 1000
WORTH_A_LINE: Final = 0.005
"""Tables with less of the whole are told together."""


@dataclass(frozen=True)
class Table:
    """Bytes per event."""

    name: str
    rows: float
    indexes: float

    @property
    def all(self) -> float:
        return self.rows + self.indexes


def receive_all(room: PublicRoom, count: int, database: Path, stdin: IO[str]) -> dict[str, int]:
    """Receive the events; how many of each kind. Each is written to Synapse's `stdin` as a line."""
    db = sqlite3.connect(database, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    while not migrate_step(db):
        pass
    key = SigningKey(key_id="ed25519:1", seed=bytes(32))
    server = LocalServer(name="tab.test", signing_key=key, now_ms=lambda: room.now, followers=(follow_for_search,))
    kinds: Counter[str] = Counter(pdu_bytes=0)
    events = iter(room.events(count))
    first = next(events)
    stored_room = insert_room(db, first[1].room_id, room.version)

    def receive(kind: str, event: Event) -> None:
        verdict = receive_pdu(
            db, server, stored_room, event.pdu, lambda name, _: {key.key_id: key for key in [room.verify_keys[name]]}
        )
        assert isinstance(verdict, Accepted), verdict
        line = json.dumps(event.pdu, ensure_ascii=False, separators=(",", ":"))
        stdin.write(line + "\n")
        kinds.update({kind: 1, "pdu_bytes": len(line.encode())})

    db.execute("BEGIN")
    receive(*first)
    for number, (kind, event) in enumerate(events, 2):
        receive(kind, event)
        if number % IN_A_TRANSACTION == 0:
            db.execute("COMMIT")
            db.execute("BEGIN")
            say("Tabstead", number, count)
    while index_next(db):
        pass
    db.execute("COMMIT")
    db.close()
    return dict(kinds)


def say(server: str, number: int, count: int) -> None:
    print(f"{time.strftime('%H:%M:%S')} {server} has {number} of {count}", file=sys.stderr, flush=True)


class Synapse:
    """Persists what is written to `stdin`, in a process of its own."""

    def __init__(self, database: Path, version: RoomVersion, count: int) -> None:
        program = Path(__file__).with_name("synapse_persisting.py")
        command = [sys.executable, str(program), str(database), version.name]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, encoding="utf-8")
        assert self._process.stdin and self._process.stdout
        self.stdin, self._stdout = self._process.stdin, self._process.stdout
        threading.Thread(target=self._tell, args=(count,), daemon=True).start()

    def _tell(self, count: int) -> None:
        for line in self._stdout:
            say("Synapse", int(line), count)

    def finish(self) -> None:
        self.stdin.close()
        if self._process.wait():
            raise SystemExit("Synapse failed.")


def tables_of(database: Path, count: int) -> list[Table]:
    """The tables after VACUUM, the biggest first."""
    db = sqlite3.connect(database)
    db.execute("VACUUM")
    sizes = db.execute(
        "SELECT IFNULL(s.tbl_name, d.name), SUM(d.pgsize * (IFNULL(s.type, 'table') = 'table')), SUM(d.pgsize)"
        " FROM dbstat d LEFT JOIN sqlite_schema s ON s.name = d.name GROUP BY 1 ORDER BY 3 DESC"
    )
    tables = [Table(name, rows / count, (both - rows) / count) for name, rows, both in sizes]
    db.close()
    return tables


def worth_telling(tables: list[Table]) -> list[Table]:
    least = WORTH_A_LINE * sum(table.all for table in tables)
    return [table for table in tables if table.all >= least]


def sum_of(name: str, tables: list[Table]) -> Table:
    return Table(name, sum(table.rows for table in tables), sum(table.indexes for table in tables))


def lines_of(tables: list[Table]) -> Iterator[tuple[str, str, str]]:
    worth = worth_telling(tables)
    others = tables[len(worth) :]
    for table in (*worth, sum_of(f"{len(others)} others", others), sum_of("all", tables)):
        yield table.name, f"{table.rows:.1f}", f"{table.indexes:.1f}"


def print_table(ours: list[Table], theirs: list[Table]) -> None:
    """Both side by side, the sums in the last line."""
    columns = [list(lines_of(ours)), list(lines_of(theirs))]
    height = max(map(len, columns))
    for lines in columns:
        lines[-1:] = [("", "", "")] * (height - len(lines)) + lines[-1:]
    head = ("Tabstead", "rows", "indexes", "Synapse", "rows", "indexes")
    for cells in [head, *((*our, *their) for our, their in zip(*columns, strict=True))]:
        print("{:28} {:>8} {:>8}   {:36} {:>8} {:>8}".format(*cells))


def result_of(server: str, tables: list[Table], count: int) -> dict[str, Any]:
    whole = sum_of(server, tables).all
    return {
        "server": server,
        "bytesPerEvent": round(whole, 1),
        "MB": round(whole * count / 1e6, 1),
        "tables": {table.name: round(table.all, 1) for table in worth_telling(tables)},
    }


def main(count: int, version: RoomVersion) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "tabstead.db", Path(folder) / "synapse.db"
        synapse = Synapse(theirs, version, count)
        kinds = receive_all(PublicRoom(version=version), count, ours, synapse.stdin)
        synapse.finish()
        pdu_bytes = kinds.pop("pdu_bytes") / count
        tables = tables_of(ours, count), tables_of(theirs, count)
    print(f"{count} events: {', '.join(f'{number} {kind}' for kind, number in kinds.items())}")
    print(f"Bytes per event, which has {pdu_bytes:.0f} bytes of JSON:")
    print_table(*tables)
    results = [result_of(name, found, count) for name, found in zip(("Tabstead", "Synapse"), tables, strict=True)]
    times = results[1]["bytesPerEvent"] / results[0]["bytesPerEvent"]
    print(f"Synapse's takes {times:.1f} times as much.")
    figures = {"events": count, "roomVersion": version.name, "mix": kinds, "jsonBytesPerEvent": round(pdu_bytes, 1)}
    print(json.dumps({"measure": "database-size", **figures, "timesLess": round(times, 1), "results": results}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="measure database-size")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--version", default="12")
    given = parser.parse_args()
    main(given.events, get_room_version(given.version))
