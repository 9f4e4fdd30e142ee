"""Free pages: the last pages of the file move into them, and the file is cut.

The file keeps a few free pages, and a share of its size: what is written next takes them, and a page that is cut off
today and appended tomorrow was moved for nothing. A round begins above that share and ends below.
"""

from typing import Final

from tabstead.storage.compaction.slices import Circumstances, Position, Progress
from tabstead.storage.engine import Db

_KEPT: Final = 32
"""Free pages that are left in the file."""

_SHARE: Final = 64
"""A round begins when one page in so many is free."""


def cut_off(db: Db, position: Position, limit: int, circumstances: Circumstances) -> Progress:
    """Make the file shorter by at most `limit` pages. A unit is a page."""
    pages, free = _pragma(db, "page_count"), _pragma(db, "freelist_count")
    if free <= _KEPT or (not position and free <= _KEPT + pages // _SHARE):
        return Progress(used=0, position=None)
    count = min(limit, free - _KEPT)
    shorten(db, count)
    cut = pages - _pragma(db, "page_count")
    return Progress(used=count, position=(free - cut,) if cut else None)


def shorten(db: Db, count: int) -> None:
    """Cut so many free pages off the file. There must be as many."""
    for _ in range(count):  # Python's cursor stops at the first of the empty rows that a greater number yields
        db.execute("PRAGMA incremental_vacuum(1)").fetchall()


def _pragma(db: Db, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])
