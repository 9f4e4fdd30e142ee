"""What SQL the homeserver asks SQLite to do in a run of the tests: each statement once, with its number of parameters.

What tests ask themselves is not noted, nor what migrations do.
"""

import sqlite3
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

import tabstead
from tabstead.storage import migrations

STATEMENTS: dict[str, int] = {}

_MIGRATIONS: Final = str(Path(migrations.__file__).parent)
_CORE: Final = str(Path(tabstead.__file__).parent)


class RecordingConnection(sqlite3.Connection):
    """Notes its statements in STATEMENTS."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        _note(sql, len(parameters))
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        rows = list(parameters)
        if rows:
            _note(sql, len(rows[0]))
        return super().executemany(sql, rows)


def _note(sql: str, parameters: int) -> None:
    asker = sys._getframe(2).f_code.co_filename
    if asker.startswith(_CORE) and not asker.startswith(_MIGRATIONS):
        STATEMENTS.setdefault(sql, parameters)


def record_statements() -> None:
    """From now on, connections that are opened in this process note what they do."""
    sqlite3.connect = partial(sqlite3.connect, factory=RecordingConnection)  # type: ignore[assignment]
