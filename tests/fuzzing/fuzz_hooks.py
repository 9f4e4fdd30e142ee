"""Schemathesis's hooks: who asks, and that half of what is asked for is really there.

All choices are drawn from what schemathesis generated, so a seed gives the same requests again.
"""

import json
import os
import zlib
from pathlib import Path
from typing import Any, Final

import schemathesis
from fuzz_world import register

WORLD: Final = json.loads(Path(os.environ["FUZZ_WORLD"]).read_text())
LONGEST_WAIT_MS: Final = 20
WAITING: Final = frozenset({"timeout", "timeout_ms"})
ENDS_TOKENS: Final = frozenset({"logout", "logout_all", "deactivateAccount", "deleteDevice", "deleteDevices"})
MODERATES: Final = frozenset({"setAdminLockUser", "setAdminSuspendUser"})


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: Any) -> Any:
    """Name what is there, every other time."""
    if not isinstance(path_parameters, dict):
        return path_parameters
    found = {name: _known(WORLD["path"], name, value) for name, value in path_parameters.items()}
    if _operation_id(context.operation) in MODERATES and "userId" in found:
        found["userId"] = WORLD["victim"]  # else the others would soon be locked out
    return found


@schemathesis.hook
def map_query(context: Any, query: Any) -> Any:
    """The same of the query."""
    if not isinstance(query, dict):
        return query
    return {name: _known(WORLD["query"], name, value) for name, value in query.items()}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Ask as somebody, one time in eight as nobody, and wait for nothing; what ends a session ends one of its own."""
    draw = zlib.crc32(repr((case.path, case.path_parameters, case.query, case.body)).encode())
    if _operation_id(case.operation) in ENDS_TOKENS:
        token = register(WORLD["url"], f"throwaway{draw}{os.urandom(4).hex()}").token
    else:
        token = None if draw % 8 == 0 else WORLD["tokens"][draw % len(WORLD["tokens"])]
    if isinstance(case.query, dict):
        case.query = {name: _short(value) if name in WAITING else value for name, value in case.query.items()}
    if token is not None:
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}


def _operation_id(operation: Any) -> str:
    return str(operation.definition.raw.get("operationId"))


def _known(known: dict[str, list[str]], name: str, value: Any) -> Any:
    draw = zlib.crc32(repr(value).encode())
    return known[name][draw // 2 % len(known[name])] if name in known and draw % 2 else value


def _short(value: Any) -> Any:
    """The value, if it is no number; else one that is soon over."""
    try:
        return int(value) % LONGEST_WAIT_MS
    except (TypeError, ValueError):
        return value
