"""The import from its first slice to its last: which phases there are, and what comes before and after them."""

import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from tabstead.errors import ImportRefused, MatrixError, ServerNameMismatch
from tabstead.homeserver import find_server_name, insert_identity
from tabstead.native.dendrite_import.accounts import AccountImport
from tabstead.native.dendrite_import.check import Check
from tabstead.native.dendrite_import.events import EventImport
from tabstead.native.dendrite_import.media import MediaImport
from tabstead.native.dendrite_import.rooms import RoomImport
from tabstead.native.dendrite_import.signing_key import read_signing_key
from tabstead.native.dendrite_import.states import StateImport, StateReader
from tabstead.protocol.room_versions import get_room_version
from tabstead.protocol.signatures import SigningKey
from tabstead.rooms.search_index import index_next
from tabstead.storage.database import Database, Db
from tabstead.storage.dendrite_import.accounts_source import AccountsSource
from tabstead.storage.dendrite_import.media_source import MediaSource
from tabstead.storage.dendrite_import.progress import (
    Progress,
    cut_free_pages,
    delete_progress,
    find_progress,
    insert_history,
    insert_progress,
    update_progress,
)
from tabstead.storage.dendrite_import.source import RoomserverSource
from tabstead.storage.outbound_news import update_outbound_position
from tabstead.storage.positions import select_position

Report: TypeAlias = Callable[[str], None]
"""Is told in a line how far the import is."""

_REPORT_EVERY: Final = 20
"""Slices between two lines of report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where Dendrite's databases are, and its private key; those that are None are not taken."""

    roomserver: Path
    accounts: Path | None = None
    devices: Path | None = None
    keys: Path | None = None
    media: Path | None = None
    media_files: Path | None = None
    """The folder of the media's contents."""
    signing_key: Path | None = None


class _Phase(NamedTuple):
    """`step` does a slice: it takes the position and gives the next one, None when the phase is done."""

    name: str
    step: Callable[[Db, Any, Counter[str]], Any]


async def import_dendrite(sources: Sources, path: Path, server_name: str, report: Report) -> Counter[str]:
    """Import into a new database at `path`, or go on with an import into it; what was taken, by kind.

    Raises ImportRefused, ServerNameMismatch, StorageUnavailable, StorageFull.
    """
    unfinished = path.with_name(f"{path.name}.importing")
    _check_free(path, unfinished)
    with ExitStack() as open_sources:
        source = open_sources.enter_context(closing(RoomserverSource(sources.roomserver)))
        accounts = open_sources.enter_context(closing(AccountsSource(sources.accounts, sources.devices, sources.keys)))
        media = open_sources.enter_context(closing(MediaSource(sources.media, sources.media_files)))
        _check_source(source, server_name)
        signing_key = None if sources.signing_key is None else read_signing_key(sources.signing_key)
        database = await Database.open(unfinished)
        try:
            counts = await _Import(database, source, accounts, media, server_name).run(report)
            await database.write(partial(_finish, server_name=server_name, signing_key=signing_key))
            while await database.write(cut_free_pages):
                continue
        finally:
            await database.close()
    _move(unfinished, path)
    return counts


class _Import:
    def __init__(
        self,
        database: Database,
        source: RoomserverSource,
        accounts: AccountsSource,
        media: MediaSource,
        server_name: str,
    ) -> None:
        self._database = database
        self._source = source
        self._identity = f"{server_name} {source.fingerprint()} {accounts.fingerprint()}"
        self._total = source.count_events()
        reader = StateReader(source)
        states = StateImport(reader)
        rooms, events = RoomImport(source, states), EventImport(source, states)
        people, check = AccountImport(accounts, source, server_name), Check(source, reader)
        self._phases = (
            _Phase("rooms", rooms.take_rooms),
            _Phase("history", self._take_history),
            _Phase("events", events.take_slice),
            _Phase("current states", rooms.take_current),
            _Phase("directory", rooms.take_directory),
            _Phase("words", self._index_words),
            _Phase("accounts", people.take_accounts),
            _Phase("names", people.keep_names),
            _Phase("account data", people.take_account_data),
            _Phase("devices", people.take_devices),
            _Phase("media", MediaImport(media, server_name).take_media),
            _Phase("check of the events", check.check_events),
            _Phase("check of the states", check.check_snapshots),
            _Phase("check of the rooms", check.check_rooms),
        )

    async def run(self, report: Report) -> Counter[str]:
        """Do all slices that are left."""
        progress = await self._database.write(self._begin)
        slices = 0
        while progress.phase < len(self._phases):
            done = await self._database.write(self._do_slice)
            if done.phase != progress.phase or slices % _REPORT_EVERY == 0:
                taken = done.counts["events"] + done.counts["outliers"]
                report(f"{self._phases[progress.phase].name}: {taken} of {self._total} events are taken")
            progress, slices = done, slices + 1
        problems = await self._database.integrity_check()
        if problems:
            raise ImportRefused(f"The import is damaged: {problems[0]}.")
        return progress.counts

    def _begin(self, db: Db) -> Progress:
        if find_server_name(db) is not None:  # it was killed between its last slice and the move
            return Progress(phase=len(self._phases), position=None, source=self._identity, counts=Counter())
        progress = find_progress(db)
        if progress is None:
            insert_progress(db, self._identity)
            progress = find_progress(db)
            assert progress is not None
        elif progress.source != self._identity:
            raise ImportRefused(
                "Dendrite's databases are not as they were when this import began, or not the same ones."
                " Delete the unfinished import to begin anew."
            )
        return progress

    def _do_slice(self, db: Db) -> Progress:
        progress = find_progress(db)
        assert progress is not None
        counts = progress.counts
        position = self._phases[progress.phase].step(db, progress.position, counts)
        phase = progress.phase + 1 if position is None else progress.phase
        update_progress(db, phase, position, counts)
        return Progress(phase=phase, position=position, source=progress.source, counts=counts)

    def _index_words(self, db: Db, position: Any, counts: Counter[str]) -> Any:
        """Index what people can search for; how far that is, the index knows."""
        return True if index_next(db) else None

    def _take_history(self, db: Db, position: Any, counts: Counter[str]) -> Any:
        """Note which events were backfilled."""
        insert_history(db, self._source.select_history())
        counts["pending invites"] = self._source.count_pending_invites()
        return None


def _check_source(source: RoomserverSource, server_name: str) -> None:
    """Whether it can be this server's, and its rooms are of versions that are known."""
    for domain in source.select_local_domains():
        if domain != server_name:
            raise ServerNameMismatch(configured=server_name, stored=domain)
    for room in source.select_rooms():
        try:
            get_room_version(room.room_version)
        except MatrixError as error:
            raise ImportRefused(f"{room.room_id} is of a version that is not known: {room.room_version}.") from error


def _check_free(path: Path, unfinished: Path) -> None:
    """Raises ImportRefused where there is a database already, other than one that was just being moved there."""
    if path.exists():
        if not (unfinished.exists() and unfinished.samefile(path)):
            raise ImportRefused(f"{path} is there already: an import makes a new database.")
        path.unlink()


def _finish(db: Db, *, server_name: str, signing_key: SigningKey | None) -> None:
    """Make a database of the import, unless that was done."""
    if find_server_name(db) is None:
        delete_progress(db)
        insert_identity(db, server_name, signing_key)
        update_outbound_position(db, select_position(db))  # Dendrite has told other servers of it


def _move(unfinished: Path, path: Path) -> None:
    """Give the closed database its name, durably; raises ImportRefused if another came there meanwhile."""
    try:
        os.link(unfinished, path)
    except FileExistsError as error:
        raise ImportRefused(f"{path} has come to be there meanwhile; the import is {unfinished}.") from error
    unfinished.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
