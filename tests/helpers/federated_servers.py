"""Homeservers that federate over real TLS on this machine: `tabstead serve` and Synapse, as child processes.

    servers = FederatedServers(folder)
    one, two = servers.start_tabstead(), servers.start_tabstead()
    synapse = servers.start_synapse()           # skips the test where Synapse is not set up
    alice = await one.register("alice")         # a helpers.homeserver.Client, as in a test within one process
    two.kill(); two.start()                     # its database is where it was
    await eventually(lambda: alice.state(room_id, "m.room.topic"))
    servers.stop()

A server's name is `localhost` and its port; an authority made on the spot vouches for it, and they trust nobody else.
Nobody is rate limited, no notary is asked, and a server that was away is asked again after a second.
"""

import asyncio
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, cast

import httpx
import pytest

from helpers import client_server_api, server_server_api
from helpers.authority import Authority
from helpers.homeserver import Answer, Client, TestServer
from helpers.ports import free_port
from tabstead.http import Request

T = TypeVar("T")

SYNAPSE: Final = Path(__file__).parents[2] / ".venv-synapse"
SHARED_SECRET: Final = "known to the test"

_FOR_SERVERS: Final = ("/_matrix/federation/", "/_matrix/key/", "/_matrix/policy/", "/.well-known/matrix/server")
_START_SECONDS: Final = 60
_ANSWER_SECONDS: Final = 60
_UNLIMITED: Final = {"per_second": 1e6, "burst_count": 1e6}
_TABSTEAD: Final = """
server_name = "{name}"
[listen]
https_port = {port}
tls_certificate = "{certificate}"
tls_key = "{key}"
[database]
path = "tabstead.db"
[registration]
shared_secret = "{secret}"
[rate_limits]
enabled = false
[outbound]
allowed_networks = ["127.0.0.0/8", "::1/128"]
[federation]
certificate_authorities = "{authority}"
"""


class Kind(Protocol):
    """A kind of homeserver: how one is set up in a folder, and the command that runs it."""

    validates: bool

    def set_up(self, folder: Path, authority: Authority, port: int) -> list[str]: ...


class FederatedServers:
    """All of them; `stop` ends them, however they fare."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.authority = Authority(folder)
        self._servers: list[FederatedServer] = []

    def start_tabstead(self, configuration: str = "") -> "FederatedServer":
        """A Tabstead, with more lines of its configuration: tables of their own, or keys of `[federation]`."""
        return self._start(Tabstead(configuration))

    def start_synapse(self, **configuration: Any) -> "FederatedServer":
        if not has_synapse():
            pytest.skip("Synapse is not set up: build_scripts/setup --with synapse")
        return self._start(Synapse(configuration))

    def stop(self) -> None:
        for server in self._servers:
            server.kill()

    def _start(self, kind: Kind) -> "FederatedServer":
        folder = self._folder / f"server_{len(self._servers)}"
        folder.mkdir()
        server = FederatedServer(folder, self.authority, kind)
        self._servers.append(server)
        server.start()
        return server


class FederatedServer:
    """One homeserver. Its log is beside its database."""

    def __init__(self, folder: Path, authority: Authority, kind: Kind) -> None:
        self.port = free_port()
        self.name = f"localhost:{self.port}"
        self.url = f"https://localhost:{self.port}"
        self._folder = folder
        self._log = folder / "log.txt"
        self._trust = authority.trusting()
        self._validates = kind.validates
        self._command = kind.set_up(folder, authority, self.port)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, the first time or again, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._folder, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while not self._is_answering():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"{self.name} does not start:\n{self._log.read_text()[-5000:]}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, as a machine does whose power fails."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self) -> None:
        """End it as an operator does."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()

    @property
    def folder(self) -> Path:
        """Where its database is."""
        return self._folder

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text()

    async def handle(self, request: Request) -> Answer:
        """What it answers, over HTTPS; Tabstead's answers are validated."""
        url = f"{self.url}{request.path}" + (f"?{request.query_string}" if request.query_string else "")
        async with httpx.AsyncClient(verify=self._trust, timeout=_ANSWER_SECONDS, trust_env=False) as client:
            response = await client.request(
                request.method, url, headers=dict(request.headers), content=request.body or None
            )
        answer = Answer(status=response.status_code, headers=dict(response.headers), body=response.content)
        if self._validates:
            check = server_server_api.check if request.path.startswith(_FOR_SERVERS) else client_server_api.check
            check(request, answer)
        return answer

    def anonymous(self) -> Client:
        """A client that is not logged in."""
        return Client(server=cast(TestServer, self))

    async def register(self, localpart: str, *, is_admin: bool = False) -> Client:
        """A new user with a first device; the password is the localpart."""
        path = "/_synapse/admin/v1/register"
        stranger = self.anonymous()
        nonce = (await stranger.get(path))["nonce"]
        parts = (nonce, localpart, localpart, "admin" if is_admin else "notadmin")
        mac = hmac.new(SHARED_SECRET.encode(), "\0".join(parts).encode(), hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": localpart, "password": localpart, "admin": is_admin, "mac": mac}
        return self._logged_in(await stranger.post(path, body))

    async def log_in(self, localpart: str) -> Client:
        """Another device of a user."""
        identifier = {"type": "m.id.user", "user": localpart}
        body = {"type": "m.login.password", "identifier": identifier, "password": localpart}
        return self._logged_in(await self.anonymous().post("/v3/login", body))

    def _logged_in(self, granted: dict[str, Any]) -> Client:
        return Client(
            server=cast(TestServer, self),
            user_id=granted["user_id"],
            device_id=granted["device_id"],
            access_token=granted["access_token"],
        )

    def _is_answering(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"{self.url}/_matrix/client/versions", context=self._trust, timeout=5
            ) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


class Tabstead:
    """`tabstead serve`."""

    validates = True

    def __init__(self, configuration: str) -> None:
        self._configuration = configuration

    def set_up(self, folder: Path, authority: Authority, port: int) -> list[str]:
        issued = authority.issue("localhost")
        text = _TABSTEAD.format(
            name=f"localhost:{port}",
            port=port,
            certificate=issued.certificate,
            key=issued.key,
            secret=SHARED_SECRET,
            authority=authority.file,
        )
        configuration = folder / "tabstead.toml"
        configuration.write_text(text + self._configuration)
        return [sys.executable, "-m", "tabstead", "serve", "--config", str(configuration)]


class Synapse:
    """One process on SQLite."""

    validates = False

    def __init__(self, configuration: dict[str, Any]) -> None:
        self._configuration = configuration

    def set_up(self, folder: Path, authority: Authority, port: int) -> list[str]:
        configuration = folder / "homeserver.yaml"  # JSON is YAML, too
        configuration.write_text(json.dumps(_synapse_configuration(folder, authority, port) | self._configuration))
        (folder / "log.yaml").write_text(json.dumps(_SYNAPSE_LOG))
        command = [str(SYNAPSE / "bin" / "python"), "-m", "synapse.app.homeserver", "-c", str(configuration)]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run([*command, "--generate-keys"], cwd=folder, env=environment, check=True, capture_output=True)
        return command


def has_synapse() -> bool:
    return (SYNAPSE / ".setup").exists()


async def eventually(find: Callable[[], Awaitable[T | None]], seconds: float = 60) -> T:
    """What `find` finds once it finds anything that is true; a failed assertion in it counts as nothing yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = await find()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            found = None
        if found:
            return found
        assert time.monotonic() < deadline, "it did not come"
        await asyncio.sleep(0.1)


_SYNAPSE_LOG: Final = {
    "version": 1,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stderr"}},
    "root": {"level": "INFO", "handlers": ["console"]},
}


def _synapse_configuration(folder: Path, authority: Authority, port: int) -> dict[str, Any]:
    issued = authority.issue("localhost")
    listener = {
        "port": port,
        "type": "http",
        "tls": True,
        "bind_addresses": ["127.0.0.1"],
        "resources": [{"names": ["client", "federation"]}],
    }
    return {
        "server_name": f"localhost:{port}",
        "report_stats": False,
        "pid_file": str(folder / "pid"),
        "signing_key_path": str(folder / "signing.key"),
        "media_store_path": str(folder / "media"),
        "log_config": str(folder / "log.yaml"),
        "macaroon_secret_key": "of no use to anybody",
        "form_secret": "likewise",
        "listeners": [listener],
        "tls_certificate_path": str(issued.certificate),
        "tls_private_key_path": str(issued.key),
        "database": {"name": "sqlite3", "args": {"database": str(folder / "homeserver.db")}},
        "caches": {"sync_response_cache_duration": "0s"},
        "registration_shared_secret": SHARED_SECRET,
        "bcrypt_rounds": 4,
        "trusted_key_servers": [],
        "suppress_key_server_warning": True,
        "federation_custom_ca_list": [str(authority.file)],
        "ip_range_blacklist": [],
        "federation_ip_range_blacklist": [],
        "federation": {
            "client_timeout": "10s",
            "max_short_retries": 0,
            "destination_min_retry_interval": "1s",
            "destination_retry_multiplier": 1,
            "destination_max_retry_interval": "1s",
        },
        "allow_public_rooms_over_federation": True,
        "allow_device_name_lookup_over_federation": True,
        "rc_message": _UNLIMITED,
        "rc_registration": _UNLIMITED,
        "rc_login": {"address": _UNLIMITED, "account": _UNLIMITED, "failed_attempts": _UNLIMITED},
        "rc_joins": {"local": _UNLIMITED, "remote": _UNLIMITED},
        "rc_joins_per_room": _UNLIMITED,
        "rc_room_creation": _UNLIMITED,
        "rc_invites": {"per_room": _UNLIMITED, "per_user": _UNLIMITED, "per_issuer": _UNLIMITED},
        "rc_presence": {"per_user": _UNLIMITED},
        "rc_media_create": _UNLIMITED,
        "remote_media_download_burst_count": "1G",
        "rc_federation": {"window_size": 1000, "sleep_limit": 100000, "sleep_delay": 1, "reject_limit": 100000},
    }
