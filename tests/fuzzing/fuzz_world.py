"""What is there to be asked for: users, a room with events, an upload, a key backup, and so on."""

import hashlib
import hmac
from typing import Any, Final
from urllib.parse import quote

import requests

Json = dict[str, Any]
RED_PIXEL: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


class Person:
    """A user with an access token."""

    def __init__(self, url: str, granted: Json) -> None:
        self.url, self.token = url, granted["access_token"]
        self.user_id, self.device_id = granted["user_id"], granted["device_id"]

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Json:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        answer = requests.request(method, self.url + path, json=body, headers=headers, timeout=20, **options)
        answer.raise_for_status()
        found: Json = answer.json()
        return found


def register(url: str, localpart: str) -> Person:
    """A user without a password."""
    body = {"username": localpart, "auth": {"type": "m.login.dummy"}}
    return Person(url, requests.post(url + "/_matrix/client/v3/register", json=body, timeout=20).json())


def build_world(url: str, secret: str) -> Json:
    """Furnish the server: tokens to ask with, and for each path parameter the values that name something."""
    alice, bob, admin = register(url, "alice"), register(url, "bob"), _register_admin(url, secret)
    victim = register(url, "victim")
    client = "/_matrix/client/v3"
    room = alice.ask("POST", f"{client}/createRoom", {"preset": "public_chat", "room_alias_name": "square"})["room_id"]
    space = alice.ask("POST", f"{client}/createRoom", {"creation_content": {"type": "m.space"}})["room_id"]
    bob.ask("POST", f"{client}/join/{quote(room)}", {})
    alice.ask("PUT", f"{client}/rooms/{space}/state/m.space.child/{quote(room)}", {"via": ["fuzz.test"]})
    message = {"msgtype": "m.text", "body": "hello"}
    event = alice.ask("PUT", f"{client}/rooms/{room}/send/m.room.message/1", message)["event_id"]
    thread = {**message, "m.relates_to": {"rel_type": "m.thread", "event_id": event}}
    reply = bob.ask("PUT", f"{client}/rooms/{room}/send/m.room.message/1", thread)["event_id"]
    upload = "/_matrix/media/v3/upload?filename=red.png"
    media = alice.ask("POST", upload, data=RED_PIXEL, headers={"Content-Type": "image/png"})["content_uri"]
    sync_filter = alice.ask("POST", f"{client}/user/{quote(alice.user_id)}/filter", {})["filter_id"]
    backup = {"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "abc"}}
    version = alice.ask("POST", f"{client}/room_keys/version", backup)["version"]
    rule = {"pattern": "cake", "actions": ["notify"]}
    alice.ask("PUT", f"{client}/pushrules/global/content/cake", rule)
    alice.ask("PUT", f"{client}/user/{quote(alice.user_id)}/account_data/org.example.note", {"text": "Milk"})
    alice.ask("PUT", f"{client}/profile/{quote(alice.user_id)}/displayname", {"displayname": "Alice"})
    token = alice.ask("GET", f"{client}/sync")["next_batch"]
    return {
        "url": url,
        "tokens": [alice.token, bob.token, admin.token],
        "victim": victim.user_id,
        "path": {
            "userId": [alice.user_id, bob.user_id, admin.user_id],
            "roomId": [room, space],
            "roomIdOrAlias": [room, "#square:fuzz.test"],
            "roomAlias": ["#square:fuzz.test"],
            "eventId": [event, reply],
            "eventType": ["m.room.message", "m.room.name", "m.room.member", "m.reaction"],
            "stateKey": ["", alice.user_id],
            "deviceId": [bob.device_id],
            "serverName": ["fuzz.test"],
            "mediaId": [media.rpartition("/")[2]],
            "filterId": [sync_filter],
            "version": [version],
            "kind": ["content", "override", "underride", "sender", "room"],
            "ruleId": ["cake", ".m.rule.master"],
            "type": ["org.example.note", "m.direct"],
            "keyName": ["displayname", "avatar_url", "m.tz"],
            "receiptType": ["m.read", "m.read.private", "m.fully_read"],
            "relType": ["m.thread", "m.annotation"],
        },
        "query": {
            "from": [token, "t1"],
            "to": [token],
            "since": [token],
            "at": [token],
            "version": [version],
            "dir": ["b", "f"],
            "user_id": [bob.user_id],
            "room_id": [room],
            "alias": ["#square:fuzz.test"],
            "userid": [bob.user_id],
            "filter": [sync_filter, '{"lazy_load_members": true}', '{"room": {"timeline": {"limit": 3}}}'],
            "format": ["event", "content"],
        },
    }


def _register_admin(url: str, secret: str) -> Person:
    path = url + "/_synapse/admin/v1/register"
    nonce = requests.get(path, timeout=20).json()["nonce"]
    message = b"\0".join([nonce.encode(), b"admin", b"rosebud", b"admin"])
    mac = hmac.new(secret.encode(), message, hashlib.sha1).hexdigest()
    body = {"nonce": nonce, "username": "admin", "password": "rosebud", "admin": True, "mac": mac}
    return Person(url, requests.post(path, json=body, timeout=20).json())
