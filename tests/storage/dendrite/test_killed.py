"""`tabstead import-dendrite` as an operator meets it: killed at any point, it goes on with the same command."""

import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from signal import SIGKILL

import pytest

from helpers.dendrite import Roomserver

ALICE = "@alice:localhost"
KILLS = 6


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "tabstead.toml"
    path.write_text('server_name = "localhost"\n')
    return path


def start_import(configuration: Path, *more: str) -> "subprocess.Popen[str]":
    roomserver = configuration.parent / "roomserver.db"
    command = [
        sys.executable,
        "-m",
        "tabstead",
        "import-dendrite",
        "--config",
        configuration,
        "--roomserver",
        roomserver,
    ]
    return subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def write_rooms(folder: Path, members: int = 60) -> int:
    """Three rooms with forks, and how many events they have."""
    with Roomserver(folder / "roomserver.db", "localhost") as dendrite:
        for _ in range(3):
            room = dendrite.create_room(ALICE)
            for number in range(members):
                room.join(f"@member{number}:localhost")
                branch = room.fork()
                branch.send(ALICE, "m.room.topic", {"topic": f"topic {number}"}, "")
                room.send(ALICE, "m.room.message", {"body": f"message {number}"})
                room.merge(branch)
        return len(dendrite.events)


def is_finished(target: Path) -> bool:
    return target.exists() and not list(target.parent.glob("*.importing*"))


def test_an_import_that_is_killed_again_and_again_loses_nothing(configuration: Path) -> None:
    events = write_rooms(configuration.parent)
    target = configuration.parent / "tabstead.db"
    chance = random.Random(1)
    killed = 0
    while killed < KILLS and not is_finished(target):
        process = start_import(configuration)
        assert process.stdout is not None
        for _ in range(chance.randrange(1, 5)):
            process.stdout.readline()
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        _, complaints = process.communicate()
        assert process.returncode in (0, -SIGKILL), complaints
        killed += process.returncode != 0
    assert killed
    if not is_finished(target):
        process = start_import(configuration)
        said, complaints = process.communicate()
        assert process.returncode == 0, complaints
        assert said.splitlines()[-1] == f"finished: {target}"

    with sqlite3.connect(target) as db:
        assert db.execute("SELECT count(*) FROM events").fetchone() == (events,)
        assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'dendrite%'").fetchone() == (0,)
    assert [path.name for path in configuration.parent.glob("*.importing*")] == []
    again = start_import(configuration)
    assert "is there already" in again.communicate()[1]
    assert again.returncode == 1


def test_one_killed_between_its_end_and_the_move_is_moved(configuration: Path) -> None:
    write_rooms(configuration.parent, members=3)
    target, unfinished = configuration.parent / "tabstead.db", configuration.parent / "tabstead.db.importing"
    assert start_import(configuration).wait() == 0
    target.rename(unfinished)
    assert start_import(configuration).wait() == 0
    assert target.exists() and not unfinished.exists()
    unfinished.hardlink_to(target)  # the name was given, the other not yet taken away
    assert start_import(configuration).wait() == 0
    assert target.exists() and not unfinished.exists()
