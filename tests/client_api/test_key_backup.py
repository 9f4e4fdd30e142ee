"""Server-side backups of room keys."""

from typing import Any

import pytest

from helpers.homeserver import Client, TestServer

ALGORITHM = "m.megolm_backup.v1.curve25519-aes-sha2"
ROOM, OTHER_ROOM = "!a:tab.test", "!b:tab.test"
VERSIONS, KEYS = "/v3/room_keys/version", "/v3/room_keys/keys"


def key(text: str = "x", *, verified: bool = False, index: int = 0, forwarded: int = 0) -> dict[str, Any]:
    return {
        "first_message_index": index,
        "forwarded_count": forwarded,
        "is_verified": verified,
        "session_data": {"ciphertext": text},
    }


async def new_backup(client: Client) -> str:
    body = {"algorithm": ALGORITHM, "auth_data": {"public_key": "abc"}}
    version: str = (await client.post(VERSIONS, body))["version"]
    return version


class TestVersions:
    async def test_there_is_none_at_first(self, alice: Client) -> None:
        assert await alice.refused("GET", VERSIONS) == (404, "M_NOT_FOUND")
        assert await alice.refused("GET", f"{VERSIONS}/1") == (404, "M_NOT_FOUND")
        assert await alice.refused("GET", KEYS, version="1") == (404, "M_NOT_FOUND")

    async def test_the_newest_is_the_current_one(self, alice: Client) -> None:
        first, second = await new_backup(alice), await new_backup(alice)
        assert (await alice.get(VERSIONS))["version"] == second
        assert await alice.get(f"{VERSIONS}/{first}") == {
            "version": first,
            "algorithm": ALGORITHM,
            "auth_data": {"public_key": "abc"},
            "etag": "0",
            "count": 0,
        }

    async def test_a_deleted_one_is_gone_and_its_number_is_not_given_again(self, alice: Client) -> None:
        first, second = await new_backup(alice), await new_backup(alice)
        await alice.delete(f"{VERSIONS}/{second}")
        await alice.delete(f"{VERSIONS}/{second}")
        assert await alice.refused("GET", f"{VERSIONS}/{second}") == (404, "M_NOT_FOUND")
        assert (await alice.get(VERSIONS))["version"] == first
        assert await new_backup(alice) not in {first, second}

    @pytest.mark.parametrize("version", ["7", "x", "-1", "１", "9" * 30])
    async def test_one_that_never_was_can_not_be_deleted(self, alice: Client, version: str) -> None:
        assert await alice.refused("DELETE", f"{VERSIONS}/{version}") == (404, "M_NOT_FOUND")

    async def test_the_auth_data_may_change_but_not_the_algorithm(self, alice: Client) -> None:
        version = await new_backup(alice)
        path, body = f"{VERSIONS}/{version}", {"algorithm": ALGORITHM, "auth_data": {"public_key": "def"}}
        await alice.put(path, {**body, "version": version})
        assert (await alice.get(VERSIONS))["auth_data"] == {"public_key": "def"}
        assert await alice.refused("PUT", path, {**body, "algorithm": "other"}) == (400, "M_INVALID_PARAM")
        assert await alice.refused("PUT", path, {**body, "version": "9"}) == (400, "M_INVALID_PARAM")
        assert await alice.refused("PUT", f"{VERSIONS}/9", body) == (404, "M_NOT_FOUND")

    async def test_everybody_has_their_own(self, server: TestServer, alice: Client) -> None:
        version = await new_backup(alice)
        bob = await server.register("bob")
        assert await bob.refused("GET", f"{VERSIONS}/{version}") == (404, "M_NOT_FOUND")


class TestKeys:
    async def test_they_are_stored_and_read_all_by_room_and_by_session(self, alice: Client) -> None:
        version = await new_backup(alice)
        stored = await alice.put(
            KEYS,
            {
                "rooms": {
                    ROOM: {"sessions": {"s1": key("one"), "s2": key("two")}},
                    OTHER_ROOM: {"sessions": {"s1": key("three")}},
                }
            },
            version=version,
        )
        assert stored == {"etag": "1", "count": 3}
        found = await alice.get(KEYS, version=version)
        assert found["rooms"][OTHER_ROOM] == {"sessions": {"s1": key("three")}}
        assert await alice.get(f"{KEYS}/{ROOM}", version=version) == {"sessions": {"s1": key("one"), "s2": key("two")}}
        assert await alice.get(f"{KEYS}/{ROOM}/s2", version=version) == key("two")

    async def test_rooms_and_sessions_are_stored_singly_too(self, alice: Client) -> None:
        version = await new_backup(alice)
        await alice.put(f"{KEYS}/{ROOM}", {"sessions": {"s1": key("one")}}, version=version)
        stored = await alice.put(f"{KEYS}/{ROOM}/s%2F2", key("two"), version=version)
        assert stored == {"etag": "2", "count": 2}
        assert await alice.get(f"{KEYS}/{ROOM}/s%2F2", version=version) == key("two")

    async def test_what_is_not_there_is_empty_or_missing(self, alice: Client) -> None:
        version = await new_backup(alice)
        assert await alice.get(KEYS, version=version) == {"rooms": {}}
        assert await alice.get(f"{KEYS}/{ROOM}", version=version) == {"sessions": {}}
        assert await alice.refused("GET", f"{KEYS}/{ROOM}/s1", version=version) == (404, "M_NOT_FOUND")

    async def test_they_are_deleted_by_session_by_room_and_all(self, alice: Client) -> None:
        version = await new_backup(alice)
        sessions = {"sessions": {"s1": key(), "s2": key()}}
        await alice.put(KEYS, {"rooms": {ROOM: sessions, OTHER_ROOM: sessions}}, version=version)
        assert (await alice.request("DELETE", f"{KEYS}/{ROOM}/s1", version=version))["count"] == 3
        assert (await alice.request("DELETE", f"{KEYS}/{OTHER_ROOM}", version=version))["count"] == 1
        last = await alice.request("DELETE", KEYS, version=version)
        assert last == {"etag": "4", "count": 0}
        assert await alice.request("DELETE", KEYS, version=version) == last

    async def test_only_the_newest_version_is_written_to(self, alice: Client) -> None:
        old, new = await new_backup(alice), await new_backup(alice)
        answer = await alice.answer("PUT", f"{KEYS}/{ROOM}/s1", key(), version=old)
        assert (answer.status, answer.json["errcode"]) == (403, "M_WRONG_ROOM_KEYS_VERSION")
        assert answer.json["current_version"] == new

    async def test_without_a_backup_or_a_version_nothing_is_stored(self, alice: Client) -> None:
        assert await alice.refused("PUT", f"{KEYS}/{ROOM}/s1", key(), version="1") == (404, "M_NOT_FOUND")
        assert await alice.refused("PUT", f"{KEYS}/{ROOM}/s1", key()) == (400, "M_MISSING_PARAM")

    @pytest.mark.parametrize("field", ["first_message_index", "forwarded_count", "is_verified", "session_data"])
    async def test_an_incomplete_key_is_refused(self, alice: Client, field: str) -> None:
        version, broken = await new_backup(alice), key()
        del broken[field]
        refused = await alice.refused("PUT", f"{KEYS}/{ROOM}/s1", broken, version=version)
        assert refused == (400, "M_MISSING_PARAM")

    async def test_numbers_that_no_session_has_are_refused(self, alice: Client) -> None:
        version = await new_backup(alice)
        for broken in (key(index=-1), key(forwarded=2**70)):
            refused = await alice.refused("PUT", f"{KEYS}/{ROOM}/s1", broken, version=version)
            assert refused == (400, "M_BAD_JSON")


class TestTheBetterKeyStays:
    """ "The server will choose to either keep the existing key or replace it.\""""

    @pytest.mark.parametrize(
        ("worse", "better"),
        [
            (key("w"), key("b", verified=True)),
            (key("w"), key("b", verified=True, index=9, forwarded=9)),
            (key("w", index=2), key("b", index=1)),
            (key("w", index=2), key("b", index=1, forwarded=9)),
            (key("w", forwarded=2), key("b", forwarded=1)),
            (key("w", verified=True, index=2), key("b", verified=True, index=1)),
        ],
    )
    async def test_whichever_comes_first(self, alice: Client, worse: dict[str, Any], better: dict[str, Any]) -> None:
        version = await new_backup(alice)
        for session_id, keys in (("s1", (worse, better)), ("s2", (better, worse))):
            for one in keys:
                await alice.put(f"{KEYS}/{ROOM}/{session_id}", one, version=version)
            assert await alice.get(f"{KEYS}/{ROOM}/{session_id}", version=version) == better

    async def test_an_equal_key_changes_nothing(self, alice: Client) -> None:
        version = await new_backup(alice)
        first = await alice.put(f"{KEYS}/{ROOM}/s1", key("first"), version=version)
        assert await alice.put(f"{KEYS}/{ROOM}/s1", key("second"), version=version) == first
        assert await alice.get(f"{KEYS}/{ROOM}/s1", version=version) == key("first")
