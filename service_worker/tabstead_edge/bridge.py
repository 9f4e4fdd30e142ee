"""The door between JavaScript and the homeserver: one call per request, and no JavaScript object stays behind.

A request comes as plain values and is answered through a callback, exactly once. Its coroutine starts running within
the call (an eager task); most requests are answered before the call returns, only those that wait go on in the loop.
"""

import asyncio
import json
import logging
import random
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, NoReturn, Protocol

from pyodide.ffi import JsBuffer, to_js

from tabstead.errors import MatrixError, StorageUnavailable
from tabstead.homeserver import Homeserver, find_server_name
from tabstead.http import DispatchKey, Request, Response, json_response
from tabstead.storage.database import Database
from tabstead.storage.events import count_events
from tabstead_edge.configuration import parse_settings
from tabstead_edge.outbound import Fetch, FetchOutbound
from tabstead_edge.page_store import BrowserPageStore, PageFile
from tabstead_edge.thumbnailer import Canvas, CanvasThumbnailer

logger = logging.getLogger(__name__)

DATABASE_PATH: Final = "/data/homeserver.db"


class Respond(Protocol):
    """JavaScript's end of an answer: a status, the headers as a JSON object, the body as a Uint8Array."""

    def __call__(self, status: int, headers: str, body: Any, /) -> None: ...


class Bridge:
    """An open homeserver, as JavaScript sees it."""

    def __init__(self, homeserver: Homeserver) -> None:
        self.homeserver = homeserver
        self._following = asyncio.ensure_future(homeserver.follow())
        self.server_name = homeserver.context.configuration.server_name
        self._tasks: set[asyncio.Task[Response]] = set()

    def handle(  # noqa: PLR0917
        self,
        method: str,
        target: str,
        headers: str,
        body: JsBuffer | None,
        client: str,
        dispatch_key: str,
        is_exact: bool,
        respond: Respond,
    ) -> None:
        """Answer one request. `target` is path and query, `headers` a JSON object with names in lower case."""
        path, _, query_string = target.partition("?")
        request = Request(
            method=method,
            path=path,
            query_string=query_string,
            headers=json.loads(headers),
            body=body.to_bytes() if body else b"",
            client_address=client,
            dispatch_key=DispatchKey(value=dispatch_key, exact=is_exact) if dispatch_key else None,
        )
        loop = asyncio.get_running_loop()
        task = asyncio.Task(self._answer(request), loop=loop, eager_start=True)
        if task.done():
            _send(task.result(), respond)
            return
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda done: _send(done.result(), respond))

    async def _answer(self, request: Request) -> Response:
        """The homeserver's answer, or an error response: never an exception, so that no request is left hanging."""
        try:
            return await self.homeserver.handle(request)
        except MatrixError as error:
            return json_response(error.to_json(), error.status, error.headers())
        except BaseException:
            logger.exception("%s %s escaped", request.method, request.path)
            return json_response({"errcode": "M_UNKNOWN", "error": "The server failed to answer."}, 500)

    def drain(self) -> None:
        """Let every parked `/sync` answer with what it has."""
        self.homeserver.drain()

    def warm_up(self) -> None:
        """Load PyNaCl, which can't be in the snapshot, before the first signature has to wait 0.1 s for it."""
        import nacl.bindings  # noqa: F401

    async def status(self) -> str:
        """What a person may want to know, as a JSON object (service_worker/messages.js, Status)."""
        database = self.homeserver.context.database
        statistics = await database.statistics()
        events = await database.read(count_events)
        return json.dumps({"events": events, "bytesStored": statistics.size})

    @property
    def compaction_is_due(self) -> bool:
        return self.homeserver.compactor.is_due

    async def compact(self, seconds: float) -> bool:
        """Compact the database between requests, for about so long. Whether more is to be done."""
        return await self.homeserver.compactor.run(seconds)

    async def close(self) -> None:
        """End the homeserver; what was acknowledged is durable already."""
        await self.homeserver.close()


def _send(response: Response, respond: Respond) -> None:
    respond(response.status, json.dumps(dict(response.headers)), to_js(response.body))


async def open_bridge(  # noqa: PLR0917
    configuration: str,
    host: str,
    base_url: str,
    page_file: PageFile,
    canvas: Canvas,
    fetch: Fetch,
    progress: Callable[[float], object],
) -> Bridge:
    """Bring the homeserver in a page file to life. `configuration` is the text of `tabstead.json`.

    `progress` is told what share of an older database has been brought into today's form.

    A database keeps its server's name wherever it is taken; the site's `host` names a new one, unless the file does.
    """
    random.seed()  # the snapshot holds one state for everyone
    signal.signal(signal.SIGINT, _interrupt)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    settings = parse_settings(configuration)
    page_store = BrowserPageStore(page_file)
    database = await Database.open(DATABASE_PATH, page_store=page_store, progress=progress)
    server_name = settings.server_name or await database.read(find_server_name) or host
    homeserver = await Homeserver.open(
        configuration=settings.build_configuration(server_name=server_name, base_url=base_url),
        database=database,
        now_ms=_now_ms,
        thumbnailer=CanvasThumbnailer(canvas),
        outbound=FetchOutbound(fetch),
    )
    homeserver.compactor.find_room = page_store.find_room
    sys.modules["__main__"].__dict__["homeserver"] = homeserver  # a developer's code runs there
    return Bridge(homeserver)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """JavaScript's watchdog raises SIGINT where one step has held the worker for too long."""
    raise StorageUnavailable("This request took too long and was stopped.")
