"""A database of Dendrite's, and slices so small that every import needs many."""

from pathlib import Path

import pytest

from tabstead.native.dendrite_import import accounts, check, events, rooms


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Where the roomserver's database is to be."""
    return tmp_path / "roomserver.db"


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SLICE_EVENTS", 5)
    monkeypatch.setattr(rooms, "SLICE_ENTRIES", 7)
    monkeypatch.setattr(check, "SLICE", 11)
    monkeypatch.setattr(accounts, "SLICE", 1)
