"""Runs in Pyodide: micropip resolves the site's packages, our own wheels among them, and freezes what it found."""

import micropip


async def resolve(wheels: list[str], requirements: list[str]) -> str:
    """A Pyodide lock as JSON: every package with its file's address, hash and dependencies."""
    await micropip.install([*wheels, *requirements])
    return str(micropip.freeze())
