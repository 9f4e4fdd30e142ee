"""Measures one layout on one workload: `python -m state_layouts.figures LAYOUT WORKLOAD SCALE` prints a line of JSON.

Sizes are those of SQLite's pages after VACUUM. The database is in memory, so that times are those of the layout. Every
state that is read is compared with the plain map.
"""

import gc
import json
import sqlite3
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Final

from state_layouts import LAYOUTS
from state_layouts.layout import Addition, Layout, difference
from state_layouts.workloads import SETTINGS, History, workload

PAGE: Final = 4096
READS: Final = 50
POINTS: Final = 500
DIRTY_SAMPLES: Final = 300
DIRTY_BYTES: Final = 3_000_000_000
"""How much may be compared to count changed pages; a big database gets fewer samples."""


def measure(layout_name: str, workload_name: str, scale: float) -> dict[str, Any]:
    history = workload(workload_name, scale)
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute(f"PRAGMA page_size = {PAGE}")
    layout = LAYOUTS[layout_name](db, history.tuples)
    began = time.perf_counter()
    snapshots, pages, changed = fill(layout, history)
    seconds = time.perf_counter() - began
    figures = {
        "layout": layout_name,
        "workload": workload_name,
        "members": history.joined - len(SETTINGS),
        "snapshots": len(snapshots),
        "seconds": round(seconds, 1),
        "pages per event": pages,
        "bytes per event": changed,
        **read_figures(layout, history, snapshots),
    }
    figures["bytes per snapshot"] = round(size_of(layout) / len(snapshots), 1)
    return figures


def fill(layout: Layout, history: History) -> tuple[list[int], float, int]:
    """Add all; the snapshots, and the pages and bytes that an event changes, over the later half of the events."""
    snapshots: list[int] = []
    samples: list[tuple[int, int]] = []
    count = len(history.steps)
    after_joins = max(history.joined, count // 2)
    sampled = set(Random(5).sample(range(after_joins, count), min(DIRTY_SAMPLES, count - after_joins)))
    layout.db.execute("BEGIN")
    for number, (step, before, after) in enumerate(history.states()):
        addition = Addition(
            base=None if step.base is None else snapshots[step.base],
            changes=step.changes,
            before=before,
            after=after,
            resolved=step.resolved,
        )
        if number not in sampled or _is_enough(layout.db, len(samples)):
            snapshots.append(layout.add(addition))
            continue
        layout.db.execute("COMMIT")
        earlier = layout.db.serialize()
        snapshots.append(layout.add(addition))
        samples.append(_changed(earlier, layout.db.serialize()))
        layout.db.execute("BEGIN")
    layout.db.execute("COMMIT")
    pages, changed = (sum(column) / len(samples) for column in zip(*samples, strict=True))
    return snapshots, round(pages, 2), round(changed)


def _is_enough(db: sqlite3.Connection, samples: int) -> bool:
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    return bool(samples * pages * PAGE > DIRTY_BYTES)


def _changed(before: bytes, after: bytes) -> tuple[int, int]:
    """Pages and bytes that differ. The first page is left out: each commit of anything counts up in it."""
    pages = changed = 0
    for at in range(PAGE, len(after), PAGE):
        old, new = before[at : at + PAGE], after[at : at + PAGE]
        if old != new:
            pages += 1
            changed += sum(one != other for one, other in zip(old.ljust(PAGE, b"\0"), new, strict=True))
    return pages, changed


def read_figures(layout: Layout, history: History, snapshots: list[int]) -> dict[str, Any]:
    random = Random(11)
    chosen = sorted(random.randrange(1, len(snapshots)) for _ in range(READS))
    others = [random.randrange(1, len(snapshots)) for _ in chosen]
    states = {number: history.state_of(number) for number in {*chosen, *others, *(number - 1 for number in chosen)}}
    wrong = sum(layout.read(snapshots[number]) != states[number] for number in chosen)
    points = [(number, random.choice(list(states[number]))) for number in random.choices(chosen, k=POINTS)]
    if not wrong:
        assert all(layout.find(snapshots[number], key) == states[number][key] for number, key in points[:READS])
        for old, new in zip(others, chosen, strict=True):
            assert layout.diff(snapshots[old], snapshots[new]) == difference(states[old], states[new])
    timed = {
        "full read": _times(lambda number: layout.read(snapshots[number]), chosen),
        "point read": _times(lambda point: layout.find(snapshots[point[0]], point[1]), _fewer(layout, points)),
        "adjacent difference": _times(lambda number: layout.diff(snapshots[number - 1], snapshots[number]), chosen),
        "random difference": _times(
            lambda pair: layout.diff(snapshots[pair[0]], snapshots[pair[1]]), list(zip(others, chosen, strict=True))
        ),
    }
    tracemalloc.start()
    layout.diff(snapshots[others[0]], snapshots[chosen[-1]])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"wrong states": round(wrong / len(chosen), 3), "ms": timed, "peak KB": round(peak / 1000)}


def _fewer(layout: Layout, points: list[Any]) -> list[Any]:
    """As many point reads as take no longer than a read of each state, where they read whole states."""
    return points[:READS] if type(layout).find is Layout.find else points


def _times(read: Callable[[Any], object], arguments: Iterable[Any]) -> dict[str, float]:
    """p50 and p99 in milliseconds of CPU time; Pyodide only knows the clock's, which passes for others, too."""
    times = []
    gc.collect()
    gc.disable()
    for argument in arguments:
        began = time.process_time()
        read(argument)
        times.append((time.process_time() - began) * 1000)
    gc.enable()
    times.sort()
    return {"p50": round(times[len(times) // 2], 4), "p99": round(times[len(times) * 99 // 100], 4)}


def size_of(layout: Layout) -> int:
    """The bytes of the layout's tables and their indexes. They are gone then."""
    whole = _vacuumed(layout.db)
    for table in layout.tables:
        layout.db.execute(f"DROP TABLE {table}")
    return whole - _vacuumed(layout.db)


def _vacuumed(db: sqlite3.Connection) -> int:
    db.execute("VACUUM")
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    return int(pages) * PAGE


def measure_as_json(layout_name: str, workload_name: str, scale: float) -> str:
    return json.dumps(measure(layout_name, workload_name, scale))


if __name__ == "__main__":
    print(measure_as_json(sys.argv[1], sys.argv[2], float(sys.argv[3])))
