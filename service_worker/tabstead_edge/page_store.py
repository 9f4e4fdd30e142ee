"""The page store as the storage wants it: JavaScript's page file, with its errors told in the core's terms."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from pyodide.ffi import JsException, JsProxy

from tabstead.errors import StorageFull, StorageUnavailable


class PageFile(Protocol):
    """service_worker/page_store/page_file.js, as far as it is used here."""

    size: int
    missed: bool
    pending: bool
    stale: object

    def hold(self) -> None: ...
    def release(self) -> None: ...
    def fault(self) -> Awaitable[bool]: ...
    def commit(self) -> Awaitable[None]: ...
    def reopen(self) -> Awaitable[None]: ...
    def close(self) -> Awaitable[None]: ...
    def figures(self) -> JsProxy: ...
    def findRoom(self) -> Awaitable[float]: ...  # noqa: N802


class BrowserPageStore:
    """A `tabstead.storage.paged_engine.PageStore`."""

    def __init__(self, file: PageFile) -> None:
        self._file = file

    @property
    def size(self) -> int:
        return self._file.size

    @property
    def missed(self) -> bool:
        return self._file.missed

    @property
    def pending(self) -> bool:
        return self._file.pending

    @property
    def stale(self) -> bool:
        return bool(self._file.stale)

    def hold(self) -> None:
        self._file.hold()

    def release(self) -> None:
        self._file.release()

    async def fault(self) -> bool:
        return bool(await _translated(self._file.fault))

    async def commit(self) -> None:
        await _translated(self._file.commit)

    async def reopen(self) -> None:
        await _translated(self._file.reopen)

    async def close(self) -> None:
        await _translated(self._file.close)

    async def find_room(self) -> int:
        """How many bytes the browser says it can still store."""
        room = await _translated(self._file.findRoom)
        return int(min(room, 2.0**53))

    def figures(self) -> Mapping[str, float]:
        figures: Mapping[str, float] = self._file.figures().to_py()
        return figures


async def _translated(work: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await work()
    except JsException as error:
        if error.name == "QuotaExceededError":
            raise StorageFull("This browser gives the server no more storage.") from error
        raise StorageUnavailable(f"The server's storage failed: {error.message}") from error
