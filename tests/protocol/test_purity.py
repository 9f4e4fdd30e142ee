"""The protocol is pure: it computes on what it is given, and reaches for nothing else.

That nothing is imported on the way is the import contract's to say (`lint-imports`); this is what a contract can't see.
"""

import ast
from pathlib import Path

import pytest

import tabstead.protocol

MODULES = sorted(Path(*tabstead.protocol.__path__).rglob("*.py"))
ALLOWED_IMPORTS = {
    "tabstead.errors", "tabstead.protocol",
    "collections", "dataclasses", "enum", "functools", "hashlib", "heapq", "itertools", "json", "math", "operator",
    "re", "types", "typing", "unicodedata",
    "canonicaljson", "signedjson", "unpaddedbase64",
}  # fmt: skip
IMPURE_BUILTINS = {"open", "print", "input", "exec", "eval", "compile", "breakpoint", "__import__", "globals"}


def name(path: Path) -> str:
    return str(path.relative_to(Path(*tabstead.protocol.__path__)))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_imports_what_computes_and_nothing_else(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module))
    assert not [module for module in imported if not is_allowed(module)]


def is_allowed(module: str) -> bool:
    parts = module.split(".")
    return any(".".join(parts[:length]) in ALLOWED_IMPORTS for length in range(1, len(parts) + 1))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_calls_no_builtin_that_reaches_outside(path: Path) -> None:
    names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
    assert names.isdisjoint(IMPURE_BUILTINS)


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "signatures.py"], ids=name)
def test_keys_are_touched_in_one_module_alone(path: Path) -> None:
    assert "signedjson" not in path.read_text()
