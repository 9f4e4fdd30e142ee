"""Runs in Pyodide just before the memory snapshot: imports whatever the worker will need in every life.

Nothing here may leave a JavaScript object, a pending task or an extension module behind: none of them can be in a
snapshot. Nor may a source of randomness that was used: everybody would draw the same numbers from it. (`random` is
seeded again in every life, by tabstead_edge.bridge; SQLite seeds its own when first used, `secrets` asks the browser.)
"""

import gc
import importlib
import random
import sys


def load(zips: list[str], modules: list[str]) -> int:
    """Import `modules`, found in `zips`, and so all that they import; the number of modules then loaded."""
    sys.path[1:1] = zips
    for name in modules:
        importlib.import_module(name)
    for name in ("nacl", "js"):
        if name in sys.modules:
            raise ImportError(f"{name} was imported for the snapshot; import it in the function that uses it")
    random.seed(0)
    gc.collect()
    return len(sys.modules)
