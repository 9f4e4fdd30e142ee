"""Writes Dendrite 0.4.0's databases of accounts, devices and device keys."""

import json
import sqlite3
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Final

BEGIN_MS: Final = 1_620_000_000_000

ACCOUNTS_SCHEMA: Final = """
CREATE TABLE account_accounts (
    localpart TEXT NOT NULL PRIMARY KEY, created_ts BIGINT NOT NULL, password_hash TEXT, appservice_id TEXT,
    is_deactivated BOOLEAN DEFAULT 0);
CREATE TABLE account_profiles (localpart TEXT NOT NULL PRIMARY KEY, display_name TEXT, avatar_url TEXT);
CREATE TABLE account_data (
    localpart TEXT NOT NULL, room_id TEXT, type TEXT NOT NULL, content TEXT NOT NULL,
    PRIMARY KEY (localpart, room_id, type));
CREATE TABLE account_threepid (
    threepid TEXT NOT NULL, medium TEXT NOT NULL DEFAULT 'email', localpart TEXT NOT NULL,
    PRIMARY KEY (threepid, medium));
"""

DEVICES_SCHEMA: Final = """
CREATE TABLE device_devices (
    access_token TEXT PRIMARY KEY, session_id INTEGER, device_id TEXT, localpart TEXT, created_ts BIGINT,
    display_name TEXT, last_seen_ts BIGINT, ip TEXT, user_agent TEXT, UNIQUE (localpart, device_id));
"""

KEYS_SCHEMA: Final = """
CREATE TABLE keyserver_device_keys (
    user_id TEXT NOT NULL, device_id TEXT NOT NULL, ts_added_secs BIGINT NOT NULL, key_json TEXT NOT NULL,
    stream_id BIGINT NOT NULL, display_name TEXT, UNIQUE (user_id, device_id));
CREATE TABLE keyserver_one_time_keys (
    user_id TEXT NOT NULL, device_id TEXT NOT NULL, key_id TEXT NOT NULL, algorithm TEXT NOT NULL,
    ts_added_secs BIGINT NOT NULL, key_json TEXT NOT NULL, UNIQUE (user_id, device_id, key_id, algorithm));
"""

MEDIA_SCHEMA: Final = """
CREATE TABLE mediaapi_media_repository (
    media_id TEXT NOT NULL, media_origin TEXT NOT NULL, content_type TEXT NOT NULL, file_size_bytes INTEGER NOT NULL,
    creation_ts INTEGER NOT NULL, upload_name TEXT NOT NULL, base64hash TEXT NOT NULL, user_id TEXT NOT NULL);
"""


def write_people(folder: Path, user_id: str, *, password_hash: str | None, access_token: str) -> dict[str, Path]:
    """Databases of one account and its one device with keys; by what the import calls them."""
    localpart = user_id[1:].partition(":")[0]
    paths = {name: folder / f"{name}.db" for name in ("accounts", "devices", "keys")}
    with sqlite3.connect(paths["accounts"]) as db:
        db.executescript(ACCOUNTS_SCHEMA)
        db.execute("INSERT INTO account_accounts VALUES (?, ?, ?, NULL, 0)", (localpart, BEGIN_MS, password_hash))
        db.execute("INSERT INTO account_accounts VALUES ('gone', ?, NULL, NULL, 1)", (BEGIN_MS,))
        db.execute("INSERT INTO account_profiles VALUES (?, 'A Name', 'mxc://tab.test/a')", (localpart,))
        db.execute("INSERT INTO account_data VALUES (?, '', 'org.example', '{\"kept\":true}')", (localpart,))
        db.execute("INSERT INTO account_data VALUES (?, '', 'm.push_rules', '{\"global\":{}}')", (localpart,))
        db.execute("INSERT INTO account_threepid VALUES ('name@example.org', 'email', ?)", (localpart,))
    with sqlite3.connect(paths["devices"]) as db:
        db.executescript(DEVICES_SCHEMA)
        db.execute(
            "INSERT INTO device_devices VALUES (?, 1, 'DEVICE', ?, ?, 'A phone', ?, '127.0.0.1', 'curl')",
            (access_token, localpart, BEGIN_MS, BEGIN_MS),
        )
    keys = {"user_id": user_id, "device_id": "DEVICE", "algorithms": [], "keys": {"ed25519:DEVICE": "key"}}
    with sqlite3.connect(paths["keys"]) as db:
        db.executescript(KEYS_SCHEMA)
        db.execute(
            "INSERT INTO keyserver_device_keys VALUES (?, 'DEVICE', 0, ?, 1, 'A phone')",
            (user_id, json.dumps({**keys, "signatures": {}})),
        )
        for number in range(3):
            db.execute(
                "INSERT INTO keyserver_one_time_keys VALUES (?, 'DEVICE', ?, 'signed_curve25519', ?, ?)",
                (user_id, f"AAAA{number}", number, json.dumps({"key": f"key {number}", "signatures": {}})),
            )
    return paths


def write_media(folder: Path, user_id: str, contents: dict[str, bytes]) -> dict[str, Path]:
    """Media by their names, and one of another server; what the import calls them. An empty content has no file."""
    paths = {"media": folder / "media.db", "media_files": folder / "media_store"}
    with sqlite3.connect(paths["media"]) as db:
        db.executescript(MEDIA_SCHEMA)
        for name, content in {**contents, "theirs": b""}.items():
            named = urlsafe_b64encode(sha256(content).digest()).decode().rstrip("=")
            origin = "elsewhere.test" if name == "theirs" else user_id.partition(":")[2]
            db.execute(
                "INSERT INTO mediaapi_media_repository VALUES (?, ?, 'text/plain', ?, ?, ?, ?, ?)",
                (f"id_of_{name}", origin, len(content), BEGIN_MS, name, named, user_id),
            )
            if content:
                path = paths["media_files"] / named[:1] / named[1:2] / named[2:] / "file"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    return paths
