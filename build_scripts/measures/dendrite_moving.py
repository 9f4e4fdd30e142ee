"""Makes a big database in Dendrite's layout, imports it, and imports it again while it is killed.

usage: dendrite_moving.py [--members 10000] [--snapshots 20000] [--kills 20] [--seed 1]

One room: all members join; then there are further state events until there are so many snapshots, a tenth of them in
forks that are merged, with messages between, redactions, and events that were refused. Prints lines of progress on
standard error, and one line of JSON. Every part is a process of its own, so that the memory is the import's alone.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from helpers.dendrite import Room, Roomserver, read_state

SERVER: Final = "dendrite.test"
ALICE: Final = f"@alice:{SERVER}"
DENDRITE_STATE: Final = ("roomserver_state_block", "roomserver_state_snapshots")
OUR_STATE: Final = ("state_epochs", "state_segments", "state_chunks")
SAMPLE: Final = 300
"""States that are read whole once more, independently of the import."""


def generate(path: Path, members: int, snapshots: int, seed: int) -> None:
    """The database to import."""
    chance = random.Random(seed)
    with Roomserver(path, SERVER) as dendrite:
        room = dendrite.create_room(ALICE, events={"m.room.topic": 0})
        names = [f"@member{number}:{'elsewhere.test' if number % 3 else SERVER}" for number in range(members)]
        for name in names:
            room.join(name)
        said = [room.send(ALICE, "m.room.message", {"body": "welcome"})]
        for number in count():
            if dendrite.count_snapshots() >= snapshots:
                break
            name = chance.choice(names)
            if number % 20 == 0:
                _go_two_ways(room, name, number)
            elif number % 20 > 1:  # a fork makes two
                room.join(name, displayname=f"name {number}")
            said.append(room.send(name, "m.room.message", {"body": f"message {number}: " + "lorem ipsum " * 5}))
            if number % 100 == 0:
                room.send(ALICE, "m.room.redaction", {}, redacts=chance.choice(said))
                room.send(f"@stranger{number}:elsewhere.test", "m.room.message", {"body": "let me in"})
                room.send(name, "m.room.message", {"body": "too late"}, is_soft_failed=True)


def _go_two_ways(room: Room, name: str, number: int) -> None:
    branch = room.fork()
    branch.send(ALICE, "m.room.topic", {"topic": f"topic {number}"}, "")
    if number % 100 == 0:
        room.send(ALICE, "m.room.topic", {"topic": f"another topic {number}"}, "")
    else:
        room.join(name, displayname=f"name {number}")
    room.merge(branch)


@dataclass
class Run:
    """What an import took, over all its processes."""

    seconds: float = 0
    peak_bytes: int = 0
    kills: int = 0


def import_into(folder: Path, source: Path, kill_after: list[float]) -> Run:
    """Import, killed after each of these times; then to the end."""
    folder.mkdir()
    (folder / "tabstead.toml").write_text(f'server_name = "{SERVER}"\n')
    command = [sys.executable, "-m", "tabstead", "import-dendrite", "--config", str(folder / "tabstead.toml")]
    run = Run()
    for delay in [*kill_after, None]:
        begun = time.monotonic()
        process = subprocess.Popen([*command, "--roomserver", str(source)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        if delay is not None:
            process.stdout.readline()  # it has begun
            time.sleep(delay)
            os.kill(process.pid, signal.SIGKILL)
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        run.seconds += time.monotonic() - begun
        run.peak_bytes = max(run.peak_bytes, usage.ru_maxrss * 1024)
        if process.returncode not in (0, -signal.SIGKILL):
            sys.exit(f"the import failed: {said}")
        run.kills += process.returncode != 0
        if [path.name for path in folder.glob("*.db*")] == ["tabstead.db"]:  # else there is an unfinished one
            break
        say(f"killed {run.kills} times; {said.splitlines()[-1] if said else 'at once'}")
    return run


def compare(source: Path, target: Path, seed: int) -> dict[str, int]:
    """Hold the import to the source once more, by other code than its own."""
    from tabstead.storage.events import find_event
    from tabstead.storage.rooms import find_room
    from tabstead.storage.state_history import read_state as read_our_state

    theirs, ours = sqlite3.connect(source), sqlite3.connect(target)
    ids = dict(theirs.execute("SELECT event_nid, event_id FROM roomserver_events"))
    stored = {event_id: find_event(ours, event_id) for event_id in ids.values()}
    lost = sum(event is None for event in stored.values())
    our_ids = {event.event_nid: event.event_id for event in stored.values() if event is not None}
    placed = theirs.execute(
        "SELECT event_id, state_snapshot_nid FROM roomserver_events WHERE state_snapshot_nid <> 0"
    ).fetchall()
    (room_id, snapshot) = theirs.execute("SELECT room_id, state_snapshot_nid FROM roomserver_rooms").fetchone()
    room = find_room(ours, room_id)
    assert room is not None
    pairs = [(room.state_snapshot, snapshot)]
    for event_id, source_snapshot in random.Random(seed).sample(placed, min(SAMPLE, len(placed))):
        event = stored[event_id]
        assert event is not None
        pairs.append((event.state_before, source_snapshot))
    wrong = 0
    for our_snapshot, source_snapshot in pairs:
        state = {key: our_ids[nid] for key, nid in read_our_state(ours, our_snapshot).items()}
        wrong += state != {key: ids[nid] for key, nid in read_state(theirs, source_snapshot).items()}
    return {"events": len(ids), "lost events": lost, "states compared": len(pairs), "wrong states": wrong}


def sizes(path: Path, tables: tuple[str, ...]) -> tuple[int, int]:
    """Bytes of the database without free pages, and of these tables in it."""
    with tempfile.TemporaryDirectory() as folder:
        compact = Path(folder) / "compact.db"
        db = sqlite3.connect(path)
        db.execute("VACUUM INTO ?", (str(compact),))
        db.close()
        whole = compact.stat().st_size
        db = sqlite3.connect(compact)
        for table in tables:
            db.execute(f"DROP TABLE {table}")
        db.execute("VACUUM")
        db.close()
        return whole, whole - compact.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--snapshots", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "roomserver.db"
        say("making the database")
        in_a_process(generate, source, options.members, options.snapshots, options.seed)
        say("importing it")
        whole = import_into(folder / "whole", source, [])
        say(f"importing it again, killed at {options.kills} random points")
        chance = random.Random(options.seed)
        # Together some 40 % of the time it took: all kills come before its end, even if it is quicker now.
        share = 0.8 * whole.seconds / (options.kills + 1)
        killed = import_into(folder / "killed", source, [chance.uniform(0, share) for _ in range(options.kills)])
        say("comparing")
        found = {name: in_a_process(compare, source, folder / name / "tabstead.db", options.seed)
                 for name in ("whole", "killed")}  # fmt: skip
        before, state_before = sizes(source, DENDRITE_STATE)
        after, state_after = sizes(folder / "killed" / "tabstead.db", OUR_STATE)
        snapshots = sqlite3.connect(source).execute("SELECT count(*) FROM roomserver_state_snapshots").fetchone()[0]
    print(
        json.dumps(
            {
                "members": options.members,
                "snapshots": snapshots,
                **found["killed"],
                "MB before": megabytes(before),
                "MB after": megabytes(after),
                "MB of state before": megabytes(state_before),
                "MB of state after": megabytes(state_after),
                "seconds": round(whole.seconds, 1),
                "seconds with kills": round(killed.seconds, 1),
                "peak MB": megabytes(max(whole.peak_bytes, killed.peak_bytes)),
                "kills": killed.kills,
                "lost or wrong without kills": found["whole"]["lost events"] + found["whole"]["wrong states"],
            }
        )
    )


def in_a_process(function: Any, *arguments: Any) -> Any:
    """What the function gives, called in a process of its own, whose memory goes with it."""
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


def megabytes(size: int) -> float:
    return round(size / 1e6, 2)


def say(text: str) -> None:
    print(f"measure: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
