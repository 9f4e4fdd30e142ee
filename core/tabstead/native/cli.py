"""The command `tabstead`.

`tabstead serve --config FILE` binds its ports first, then opens the database, then says "listening on URL" on
standard output, a line per port; from the first such line on, connections are answered. SIGTERM and SIGINT end it:
those who wait for news are answered, running requests are finished, the database is closed, and the exit code is 0.
A wrong configuration is exit code 2, a port or a database that can't be opened is 1.

`tabstead import-dendrite --config FILE --roomserver FILE` moves a server from Dendrite into a new database; begun again
after it was killed, it goes on. See docs/moving-from-dendrite.md.

`tabstead rotate-signing-key --config FILE` gives the server a new signing key; the old one is published as retired.
`tabstead add-retired-key` publishes one that it had before.
"""

import argparse
import asyncio
import logging
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from hypercorn.asyncio import serve
from hypercorn.config import Config

from tabstead.errors import BadJson, InvalidConfiguration, ServerNameMismatch, TabsteadError
from tabstead.homeserver import Homeserver, rotate_signing_key
from tabstead.native.asgi import Application
from tabstead.native.https_transport import build_https_transport
from tabstead.native.httpx_outbound import HttpxOutbound
from tabstead.native.pillow_thumbnailer import PillowThumbnailer
from tabstead.native.smtp_mailer import SmtpMailer
from tabstead.native.toml_configuration import Listen, Settings, read_settings
from tabstead.protocol.signatures import decode_verify_key
from tabstead.storage.database import Database, Db
from tabstead.storage.retired_signing_keys import insert_retired_key

T = TypeVar("T")

_MAX_HEAD_BYTES: Final = 64 * 1024
"""Of a request's line and headers: a filter may be in the query."""

SHUTDOWN_SECONDS: Final = 5
"""How long running requests may take to finish once the server was told to end."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    options = _build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        options.run(read_settings(options.config), options)
    except InvalidConfiguration as error:
        for problem in error.problems:
            print(f"tabstead: {options.config}: {problem}", file=sys.stderr)
        return 2
    except ServerNameMismatch as error:
        print(f"tabstead: {options.config}: {error}", file=sys.stderr)
        return 2
    except (TabsteadError, OSError) as error:
        print(f"tabstead: {error}", file=sys.stderr)
        return 1
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tabstead", description="A Matrix homeserver.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve_command = commands.add_parser("serve", help="run the homeserver until SIGTERM or SIGINT")
    serve_command.set_defaults(run=lambda settings, _: asyncio.run(serve_homeserver(settings)))
    import_command = commands.add_parser(
        "import-dendrite", help="make a new database of a Dendrite server's, which must not run meanwhile"
    )
    import_command.set_defaults(run=_import_dendrite)
    rotate_command = commands.add_parser(
        "rotate-signing-key", help="sign with a new key from the next start on; the server must not run meanwhile"
    )
    rotate_command.set_defaults(run=lambda settings, _: asyncio.run(_rotate_signing_key(settings)))
    retired_command = commands.add_parser(
        "add-retired-key", help="publish a key that the server signed with before, on other software for instance"
    )
    retired_command.set_defaults(run=lambda settings, options: asyncio.run(_add_retired_key(settings, options)))
    retired_command.add_argument("--key-id", required=True, metavar="ID", help="such as ed25519:a_1")
    retired_command.add_argument("--key", required=True, metavar="BASE64", help="its public half")
    retired_command.add_argument(
        "--expired-ts", type=int, required=True, metavar="MS", help="when it was last used, in ms since 1970"
    )
    for command in (serve_command, import_command, rotate_command, retired_command):
        command.add_argument(
            "--config", type=Path, required=True, metavar="FILE", help="the configuration, see docs/configuration.md"
        )
    import_command.add_argument(
        "--roomserver", type=Path, required=True, metavar="FILE", help="Dendrite's database of rooms"
    )
    for name, meaning in (
        ("accounts", "its database of accounts"),
        ("devices", "its database of devices; needs the accounts and the keys"),
        ("keys", "its database of the devices' keys"),
        ("media", "its database of media; needs the folder of their files"),
        ("media-files", "the folder that its configuration has as base_path of the media"),
        ("signing-key", "its matrix_key.pem: the server keeps its signing key"),
    ):
        import_command.add_argument(f"--{name}", type=Path, metavar="FILE", help=meaning)
    return parser


async def _rotate_signing_key(settings: Settings) -> None:
    key = await _change(settings, lambda db: rotate_signing_key(db, settings.server_name, _now_ms()))
    print(f"new signing key: {key.key_id}")


async def _add_retired_key(settings: Settings, options: argparse.Namespace) -> None:
    try:
        key = decode_verify_key(options.key_id, options.key)
    except BadJson as error:
        raise InvalidConfiguration([error.sentence]) from error
    await _change(settings, lambda db: insert_retired_key(db, key, options.expired_ts))
    print(f"retired key: {key.key_id}")


async def _change(settings: Settings, work: Callable[[Db], T]) -> T:
    """Change the server's database while it does not run."""
    if not settings.database.path.exists():
        raise FileNotFoundError(f"{settings.database.path} does not exist")
    database = await Database.open(settings.database.path)
    try:
        return await database.write(work)
    finally:
        await database.close()


def _import_dendrite(settings: Settings, options: argparse.Namespace) -> None:
    """Import, saying on standard output how far it is and what was taken in the end."""
    from tabstead.native.dendrite_import import Sources, import_dendrite

    sources = Sources(
        roomserver=options.roomserver,
        accounts=options.accounts,
        devices=options.devices,
        keys=options.keys,
        media=options.media,
        media_files=options.media_files,
        signing_key=options.signing_key,
    )
    counts = asyncio.run(
        import_dendrite(sources, settings.database.path, settings.server_name, lambda line: print(line, flush=True))
    )
    for kind, count in sorted(counts.items()):
        print(f"{count:>9} {kind}")
    print(f"finished: {settings.database.path}")


async def serve_homeserver(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError, StorageUnavailable, DatabaseTooNew when it can't begin."""
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    sockets = _listen(settings.listen)
    homeserver = await _open_homeserver(settings)
    for scheme, listener in sockets.items():
        print(f"listening on {scheme}://{_shown_address(listener)}", flush=True)
    server_config = _build_server_config(settings.listen, sockets)
    serving = asyncio.ensure_future(
        serve(Application(homeserver), server_config, shutdown_trigger=end.wait)  # type: ignore[arg-type]
    )
    homeserver.compactor.find_room = partial(_find_room, settings)
    compacting = asyncio.ensure_future(homeserver.compactor.run_always())
    following = asyncio.ensure_future(homeserver.follow())
    ending = asyncio.ensure_future(end.wait())
    await asyncio.wait((serving, ending), return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    following.cancel()
    compacting.cancel()
    homeserver.drain()
    try:
        async with asyncio.timeout(SHUTDOWN_SECONDS):
            await serving
    except TimeoutError:
        logging.getLogger(__name__).warning("ended while requests were still running")
    finally:
        await homeserver.close()


async def _find_room(settings: Settings) -> int:
    """How many bytes the disk of the database has left."""
    return shutil.disk_usage(Path(settings.database.path).parent).free


async def _open_homeserver(settings: Settings) -> Homeserver:
    allowed = settings.outbound.parse_allowed_networks()
    database = await Database.open(settings.database.path)
    try:
        return await Homeserver.open(
            configuration=settings.build_configuration(),
            database=database,
            now_ms=_now_ms,
            thumbnailer=PillowThumbnailer(),
            outbound=HttpxOutbound(allowed),
            mailer=SmtpMailer(settings.email) if settings.email.smtp_host is not None else None,
            transport=build_https_transport(_now_ms, allowed, settings.federation.certificate_authorities)
            if settings.federation.enabled
            else None,
        )
    except BaseException:
        await database.close()
        raise


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _listen(listen: Listen) -> dict[str, socket.socket]:
    """Listening sockets by scheme. Connections queue up from here on."""
    ports = {"http": listen.chosen_http_port, "https": listen.https_port}
    return {scheme: _bind(listen.host, port) for scheme, port in ports.items() if port is not None}


def _bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=100)
    except OSError as error:
        raise OSError(f"can't listen on {host} port {port}: {error.strerror}") from error


def _shown_address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _build_server_config(listen: Listen, sockets: dict[str, socket.socket]) -> Config:
    """Hypercorn's configuration; it takes the sockets over."""
    addresses = {scheme: f"fd://{listener.detach()}" for scheme, listener in sockets.items()}
    config = Config()
    config.loglevel = "WARNING"
    config.include_server_header = False
    config.graceful_timeout = SHUTDOWN_SECONDS
    config.keep_alive_timeout = 60
    config.h11_max_incomplete_size = _MAX_HEAD_BYTES
    if "https" in addresses:
        config.certfile, config.keyfile = str(listen.tls_certificate), str(listen.tls_key)
        config.bind = addresses["https"]
        config.insecure_bind = [addresses["http"]] if "http" in addresses else []
    else:
        config.bind = addresses["http"]
    return config
