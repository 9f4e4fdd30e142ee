"""Moves a homeserver from Dendrite, with its rooms and its people, into a new database.

The import is built beside the database's place, as `<name>.importing`, and moved there when it is finished and checked:
until then no homeserver can open it. It goes on slice by slice, each a transaction that also notes how far it got, so
that one which was killed at any point is begun again with the same command and goes on after its last slice.

Dendrite must not run meanwhile: an import goes on only with the databases that it began with.
"""

from tabstead.native.dendrite_import.importer import Sources, import_dendrite

__all__ = ["Sources", "import_dendrite"]
