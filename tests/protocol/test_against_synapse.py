"""The same rooms get the same verdicts and the same states from Tabstead and from Synapse.

Synapse lives in an environment of its own (`build_scripts/setup --with synapse`); without it these tests are skipped.
This is a short run; the long one is `build_scripts/compare-with-synapse 10000 SEED`.

Where the two may differ, and why, stands in `against_synapse/explained.py`; anything else fails. What Synapse does
there, unlike the specification's text:

    wants a membership's target on the creator's server, too    "and the sender domain of the event does not match the
    where a room is not federated                               sender domain of the create event, reject."
    takes any m.federate but true for false                     "has the property m.federate set to false"
    compares power levels under another state key with nothing  "If there is no previous m.room.power_levels event in
                                                                the room, allow."
    takes any text with @ and : for a user ID                   "an object with keys that are valid user IDs"
    takes true for the power level 1, up to version 9           "integers (or a string that is an integer)"
    asks for an authoriser's signature on joins alone           "If content has a join_authorised_via_users_server
                                                                key: If the event is not validly signed by […], reject."
    allows a redaction that names no event, in versions 1 and 2 "If the domain of the event_id of the event being
                                                                redacted is the same […], allow. Otherwise, reject."
    takes join rules that say nothing for "invite"              "If the join_rule is invite then allow […] Otherwise,
                                                                reject."
    fails at every event in a room whose first power levels     "If there is no previous m.room.power_levels event in
    say something that is no level                              the room, allow."
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-synapse/bin/python"

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="needs build_scripts/setup --with synapse")


def run(*parameters):
    """The last line's JSON, the exit code, and everything that was printed."""
    environment = {**os.environ, "PYTHONPATH": "tests/protocol"}
    process = subprocess.run(
        [PYTHON, "-m", *parameters], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert process.stdout, process.stderr
    return json.loads(process.stdout.splitlines()[-1]), process.returncode, process.stdout


def test_the_same_rooms_come_out():
    result, exit_code, printed = run("against_synapse", "600", "short")
    assert exit_code == 0, printed
    assert result["unexplained differences"] == 0
    # It was about something: rooms of all versions, with events of both kinds, that parted and met again.
    assert len(result["by version"]) == 12
    assert result["allowed"] > 5000
    assert result["rejected"] > 5000
    assert result["resolutions"] > 1000


def test_planted_bugs_are_found():
    found, _, _ = run("against_synapse.planted_bugs")
    assert len(found) > 5
    assert all(found.values()), found
