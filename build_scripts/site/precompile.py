"""Runs in Pyodide: turns Python sources into zips of bytecode, which start several times faster than sources.

The bytecode is "unchecked": Python never looks for the sources again. Equal sources give equal bytes.
"""

import importlib._bootstrap_external
import importlib.util
import io
import zipfile
from collections.abc import Iterable

from pyodide.ffi import JsBuffer

_EPOCH = (1980, 1, 1, 0, 0, 0)


def read_zip(data: JsBuffer) -> list[tuple[str, bytes]]:
    """Name and contents of every file in a zip."""
    with zipfile.ZipFile(io.BytesIO(data.to_bytes())) as archive:
        return [(entry.filename, archive.read(entry)) for entry in archive.infolist() if not entry.is_dir()]


def precompile(files: Iterable[tuple[str, JsBuffer]], location: str) -> bytes:
    """A zip of `files`, each `.py` replaced by its bytecode; `location` is where tracebacks say it lies."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in sorted((name, buffer.to_bytes()) for name, buffer in files):
            is_source = name.endswith(".py")
            contents = _bytecode(f"{location}/{name}", data) if is_source else data
            entry = zipfile.ZipInfo(f"{name}c" if is_source else name, _EPOCH)
            archive.writestr(entry, contents, zipfile.ZIP_DEFLATED, 9)
    return target.getvalue()


def _bytecode(path: str, source: bytes) -> bytes:
    code = compile(source, path, "exec", dont_inherit=True)
    to_pyc = importlib._bootstrap_external._code_to_hash_pyc  # type: ignore[attr-defined]
    return bytes(to_pyc(code, importlib.util.source_hash(source), False))
