"""Three servers whose network does its worst have the same room in the end.

`build_scripts/fuzz-federation` does this for hundreds of seeds; here are a few, and the proof that mistakes are found.
"""

import subprocess
from pathlib import Path

import pytest

FUZZER = Path(__file__).parents[2] / "build_scripts" / "fuzz-federation"


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([FUZZER, *arguments], capture_output=True, text=True, check=False)


def test_after_healing_all_servers_agree() -> None:
    finished = fuzz("4", "1")
    assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize("bug", ["forget-what-waits", "take-the-first-state"])
def test_a_mistake_is_noticed(bug: str) -> None:
    finished = fuzz("40", "1", "--bug", bug)
    assert finished.returncode == 1
    assert "1 failed" in finished.stdout
