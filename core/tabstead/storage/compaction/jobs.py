"""What a job of the compaction is, and the order of all of them.

A *round* of a job goes once through all that it looks at, in slices; where the next slice begins is kept in the table
`compaction`, as is the time at which the next round is due. A slice is given a limit on its work, in units that take
about the same time each (a row, a page), because a clock must not decide what a repeatable transaction does.

Those that delete come before the one that cuts free pages off the file.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from tabstead.storage.compaction import free_pages, media, old_rows, state
from tabstead.storage.compaction.slices import START, Circumstances, Position, Progress
from tabstead.storage.engine import Db

_HOUR_MS: Final = 60 * 60 * 1000
_DAY_MS: Final = 24 * _HOUR_MS

Work: TypeAlias = Callable[[Db, Position, int, Circumstances], Progress]
"""Does a slice of at most so many units, from the position on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One kind of compaction."""

    name: str
    work: Work
    every_ms: int
    """From the end of a round to the next one."""
    limit: int
    """Units of a first slice, which take a few milliseconds; later slices adapt it."""
    most: int
    """Units that a slice may have at most: what bounds the pages that it needs in memory."""


JOBS: Final = (
    *(Job(name=scan.table, work=scan.work, every_ms=_DAY_MS, limit=200, most=5_000) for scan in old_rows.SCANS),
    Job(name="pending_media", work=media.delete_expired, every_ms=_HOUR_MS, limit=200, most=1_000),
    Job(name="remote_media", work=media.delete_remote, every_ms=_HOUR_MS, limit=50, most=500),
    Job(name="thumbnails", work=media.delete_thumbnails, every_ms=_HOUR_MS, limit=50, most=500),
    Job(name="unnamed_blobs", work=media.abandon_unnamed, every_ms=_DAY_MS, limit=100, most=2_000),
    Job(name="abandoned_blobs", work=media.delete_abandoned, every_ms=_HOUR_MS, limit=8, most=64),
    Job(name="state_references", work=state.note_references, every_ms=_DAY_MS, limit=64, most=1_000),
    Job(name="state_epochs", work=state.sweep_epochs, every_ms=_DAY_MS, limit=8, most=64),
    Job(name="free_pages", work=free_pages.cut_off, every_ms=_HOUR_MS, limit=16, most=128),
)
_JOBS_BY_NAME: Final = {job.name: job for job in JOBS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What was done in one transaction."""

    job: Job | None
    """The one that did most; None when none was due."""
    used: int
    """How many units of it."""
    next_due_ts: int
    """When there is something to do again; in the past if there still is."""


def find_next_due(db: Db) -> int:
    """When a job is due, by what is stored; 0 if one never ran."""
    (count, due) = db.execute("SELECT COUNT(*), MIN(due_ts) FROM compaction").fetchone()
    return int(due) if count >= len(JOBS) else 0


def work_slice(db: Db, circumstances: Circumstances, limit_of: Callable[[Job], int]) -> Slice:
    """Do a slice of the first job that is due; where one finds nothing to speak of, go on with the next one."""
    stored = {name: (position, due_ts) for name, position, due_ts in db.execute("SELECT * FROM compaction")}
    due_ts = {job.name: stored[job.name][1] if job.name in stored else 0 for job in JOBS}
    done, used = None, 0
    for job in JOBS:
        if due_ts[job.name] > circumstances.now_ms:
            continue
        position = _decode(stored[job.name][0]) if job.name in stored else START
        limit = limit_of(job)
        progress = job.work(db, position, limit, circumstances)
        due_ts[job.name] = _keep(db, job, progress, circumstances.now_ms)
        done, used = job, progress.used
        if progress.position is not None or progress.used * 2 > limit:
            break
    return Slice(job=done, used=used, next_due_ts=min(due_ts.values()))


def _keep(db: Db, job: Job, progress: Progress, now_ms: int) -> int:
    """Note how far the job is; when it is due again."""
    is_over = progress.position is None
    due_ts = now_ms + job.every_ms if is_over else 0
    db.execute(
        "INSERT INTO compaction (job, position, due_ts) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET position = excluded.position, due_ts = excluded.due_ts",
        (job.name, json.dumps(START if is_over else progress.position), due_ts),
    )
    return due_ts


def _decode(position: str) -> Position:
    return tuple(json.loads(position))
