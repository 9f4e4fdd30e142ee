"""Runs in Pyodide just before the memory snapshot: imports whatever the worker will need in every life.

Nothing here may leave a JavaScript object, a pending task or an extension module behind: none of them can be in a
snapshot.
"""

import gc
import importlib
import sqlite3
import sys


def load(zips: list[str], modules: list[str]) -> int:
    """Import `modules`, found in `zips`, and so all that they import; the number of modules then loaded."""
    sys.path[1:1] = zips
    for name in modules:
        importlib.import_module(name)
    sqlite3.connect(":memory:").close()
    for name in ("nacl", "js"):
        if name in sys.modules:
            raise ImportError(f"{name} was imported for the snapshot; import it in the function that uses it")
    gc.collect()
    return len(sys.modules)
