"""The specification's data, which lies beside the repository where it is developed; tests skip where it does not."""

import json
from pathlib import Path
from typing import Any

import pytest

_FOLDER = Path(__file__).parents[3] / "shared" / "spec"


def vectors(name: str) -> list[Any]:
    """The cases of a file of vectors; one that skips, where the specification's data is absent."""
    path = _FOLDER / "vectors" / name
    if not path.exists():
        absent = pytest.mark.skip(reason="the specification's vectors are not here")
        return [pytest.param(None, marks=absent, id="absent")]
    cases = json.loads(path.read_text())
    return cases if isinstance(cases, list) else [cases]
