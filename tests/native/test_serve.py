"""`tabstead serve` as an operator meets it: a child process, a port, signals."""

import http.client
import json
import socket
import sqlite3
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.native_server import NativeServer

TLS = Path(__file__).parent / "tls"
"""A certificate for localhost that nobody else trusts, and its key."""

Serve = Callable[[], NativeServer]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a server on a free port; each call again on the same database."""
    configuration = tmp_path / "tabstead.toml"
    configuration.write_text('server_name = "localhost"\n[listen]\nhttp_port = 0\n[registration]\nopen = true\n')
    servers: list[NativeServer] = []

    def start() -> NativeServer:
        servers.append(NativeServer(configuration))
        return servers[-1]

    yield start
    for server in servers:
        server.process.kill()
        server.process.communicate()


def get(server: NativeServer, path: str) -> tuple[int, object]:
    connection = http.client.HTTPConnection(*server.address)
    connection.request("GET", path)
    response = connection.getresponse()
    body = json.loads(response.read())
    connection.close()
    return response.status, body


def stop(server: NativeServer) -> int:
    server.process.terminate()
    return server.process.wait(timeout=30)


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tabstead", *arguments], capture_output=True, text=True, timeout=30, check=False
    )


def test_it_answers_from_the_line_on_that_names_its_port(serve: Serve) -> None:
    status, body = get(serve(), "/_matrix/client/versions")
    assert status == 200
    assert isinstance(body, dict)
    assert "v1.19" in body["versions"]


def test_sigterm_ends_it_cleanly(serve: Serve) -> None:
    server = serve()
    idle = socket.create_connection(server.address)  # a connection that is kept alive holds nothing up
    get(server, "/_matrix/client/versions")
    assert stop(server) == 0
    idle.close()


def test_https_and_http_are_served_side_by_side(tmp_path: Path) -> None:
    file = tmp_path / "tabstead.toml"
    file.write_text(
        'server_name = "localhost"\n[listen]\nhttp_port = 0\nhttps_port = 0\n'
        f'tls_certificate = "{TLS / "certificate.pem"}"\ntls_key = "{TLS / "key.pem"}"\n'
    )
    server = NativeServer(file)
    try:
        assert server.url.startswith("http://")
        assert get(server, "/_matrix/client/versions")[0] == 200
        secure_url = server.read_url()
        assert secure_url.startswith("https://")
        trust = ssl.create_default_context(cafile=TLS / "certificate.pem")
        with urllib.request.urlopen(f"{secure_url}/_matrix/client/versions", context=trust) as response:
            assert response.status == 200
        assert stop(server) == 0
    finally:
        server.process.kill()
        server.process.communicate()


def test_a_new_signing_key_is_published_with_the_old_one_retired(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    _, before = get(server, "/_matrix/key/v2/server")
    stop(server)
    rotated = run("rotate-signing-key", "--config", str(tmp_path / "tabstead.toml"))
    assert rotated.returncode == 0, rotated.stderr
    _, after = get(serve(), "/_matrix/key/v2/server")
    assert isinstance(before, dict) and isinstance(after, dict)
    ((old_id, old),) = before["verify_keys"].items()
    assert old_id not in after["verify_keys"]
    assert rotated.stdout == f"new signing key: {next(iter(after['verify_keys']))}\n"
    assert after["old_verify_keys"][old_id]["key"] == old["key"]


def test_a_key_of_other_software_is_published_as_retired(serve: Serve, tmp_path: Path) -> None:
    stop(serve())
    configuration = ("--config", str(tmp_path / "tabstead.toml"), "--key-id", "ed25519:a_1", "--expired-ts", "1234")
    assert run("add-retired-key", *configuration, "--key", "too short").returncode == 2
    assert run("add-retired-key", *configuration, "--key", "A" * 43).returncode == 0
    _, published = get(serve(), "/_matrix/key/v2/server")
    assert isinstance(published, dict)
    assert published["old_verify_keys"] == {"ed25519:a_1": {"key": "A" * 43, "expired_ts": 1234}}


def test_there_is_no_key_to_rotate_where_no_server_was(tmp_path: Path) -> None:
    (tmp_path / "tabstead.toml").write_text('server_name = "localhost"')
    assert run("rotate-signing-key", "--config", str(tmp_path / "tabstead.toml")).returncode == 1


def test_who_waits_for_news_is_answered_when_the_server_ends(serve: Serve) -> None:
    server = serve()
    connection = http.client.HTTPConnection(*server.address)
    account = json.dumps({"username": "alice", "auth": {"type": "m.login.dummy"}})
    connection.request("POST", "/_matrix/client/v3/register", account)
    headers = {"authorization": f"Bearer {json.loads(connection.getresponse().read())['access_token']}"}
    connection.request("GET", "/_matrix/client/v3/sync", headers=headers)
    since = json.loads(connection.getresponse().read())["next_batch"]
    connection.request("GET", f"/_matrix/client/v3/sync?since={since}&timeout=600000", headers=headers)
    get(server, "/_matrix/client/versions")  # by now the server has the request
    assert stop(server) == 0
    response = connection.getresponse()
    assert response.status == 200
    assert "rooms" not in json.loads(response.read()), "there was no news"
    connection.close()


def test_a_big_upload_in_chunks_and_a_head_request_pass_the_real_server(serve: Serve) -> None:
    server = serve()
    connection = http.client.HTTPConnection(*server.address)
    account = json.dumps({"username": "alice", "auth": {"type": "m.login.dummy"}})
    connection.request("POST", "/_matrix/client/v3/register", account)
    token = json.loads(connection.getresponse().read())["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    chunk = bytes(range(256)) * 4096
    connection.request("POST", "/_matrix/media/v3/upload", iter([chunk] * 12), headers, encode_chunked=True)
    name = json.loads(connection.getresponse().read())["content_uri"].removeprefix("mxc://")
    for method, body in (("GET", chunk * 12), ("HEAD", b"")):
        connection.request(method, f"/_matrix/client/v1/media/download/{name}", headers=headers)
        response = connection.getresponse()
        assert response.headers["content-length"] == str(12 * len(chunk))
        assert response.read() == body
    connection.close()


def test_the_signing_key_survives_a_restart(serve: Serve, tmp_path: Path) -> None:
    def signing_key() -> bytes:
        with sqlite3.connect(tmp_path / "tabstead.db") as db:
            key: bytes = db.execute("SELECT value FROM server_facts WHERE name = 'signing_key_seed'").fetchone()[0]
            return key

    assert stop(serve()) == 0
    first = signing_key()
    assert stop(serve()) == 0
    assert signing_key() == first


def test_a_database_keeps_its_server_name(serve: Serve, tmp_path: Path) -> None:
    assert stop(serve()) == 0
    file = tmp_path / "tabstead.toml"
    file.write_text('server_name = "another.example"\n[listen]\nhttp_port = 0\n')
    ended = run("serve", "--config", str(file))
    assert ended.returncode == 2
    assert "server_name is another.example, but the database is that of localhost." in ended.stderr


def test_a_wrong_configuration_is_exit_code_2_and_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text('server_name = "localhost"\n[listen]\nhtp_port = 0\n')
    ended = run("serve", "--config", str(file))
    assert ended.returncode == 2
    assert "listen.htp_port is not an option. Did you mean listen.http_port?" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_in_use_is_exit_code_1_and_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file = tmp_path / "taken.toml"
        file.write_text(f'server_name = "localhost"\n[listen]\nhttp_port = {port}\n')
        ended = run("serve", "--config", str(file))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"tabstead: can't listen on 127.0.0.1 port {port}")


def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "tabstead.toml"
    file.write_text('server_name = "localhost"\n[listen]\nhttp_port = 0\n')
    with sqlite3.connect(tmp_path / "tabstead.db") as db:
        db.execute("PRAGMA user_version = 9999")
    ended = run("serve", "--config", str(file))
    assert ended.returncode == 1
    assert "schema version 9999" in ended.stderr
    assert "listening" not in ended.stdout


@pytest.mark.parametrize("path", ["/_matrix/client/nowhere", "/_matrix/client/%2e%2e/versions"])
def test_an_unknown_path_is_a_matrix_error(serve: Serve, path: str) -> None:
    assert get(serve(), path) == (404, {"errcode": "M_UNRECOGNIZED", "error": "This path is not known."})
