"""Finds the extension modules of PyNaCl, which can't be imported from a zip as everything else is.

They are files of their own in the interpreter's file system, laid there at every start. Loading one is synchronous (a
worker may compile wasm synchronously), so that a plain `import nacl` works anywhere, when it is first needed.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import Final

FOLDER: Final = "/lib/side_modules"
_SUFFIX: Final = ".cpython-314-wasm32-emscripten.so"
_PATHS: Final = {
    "_cffi_backend": f"{FOLDER}/_cffi_backend{_SUFFIX}",
    "nacl._sodium": f"{FOLDER}/nacl/_sodium{_SUFFIX}",
}


class SideModuleFinder:
    """Knows the few extension modules by name."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        location = _PATHS.get(name)
        if location is None:
            return None
        return spec_from_file_location(name, location, loader=ExtensionFileLoader(name, location))


def install() -> None:
    """Ask for the side modules before searching the path."""
    if SideModuleFinder not in sys.meta_path:
        sys.meta_path.insert(0, SideModuleFinder)


install()
