"""Profile fields."""

from typing import Any

import pytest

from helpers.homeserver import Client, TestServer

PROFILE = "/v3/profile/@alice:tab.test"


class TestFields:
    async def test_what_is_set_can_be_read_by_anybody(self, server: TestServer, alice: Client) -> None:
        await alice.put(f"{PROFILE}/displayname", {"displayname": "Alice Liddell"})
        await alice.put(f"{PROFILE}/avatar_url", {"avatar_url": "mxc://tab.test/hat"})
        await alice.put(f"{PROFILE}/m.tz", {"m.tz": "Europe/London"})
        assert await server.anonymous().get(PROFILE) == {
            "displayname": "Alice Liddell",
            "avatar_url": "mxc://tab.test/hat",
            "m.tz": "Europe/London",
        }
        assert await server.anonymous().get(f"{PROFILE}/m.tz") == {"m.tz": "Europe/London"}

    @pytest.mark.parametrize("value", [None, 7, "text", ["a", {"b": 1}], {}, False])
    async def test_a_field_of_ones_own_holds_any_json(self, alice: Client, value: Any) -> None:
        await alice.put(f"{PROFILE}/org.example.pet", {"org.example.pet": value})
        assert await alice.get(f"{PROFILE}/org.example.pet") == {"org.example.pet": value}
        await alice.delete(f"{PROFILE}/org.example.pet")
        assert await alice.refused("GET", f"{PROFILE}/org.example.pet") == (404, "M_NOT_FOUND")
        await alice.delete(f"{PROFILE}/org.example.pet")

    async def test_nothing_was_set_yet_or_the_user_does_not_exist(self, alice: Client) -> None:
        assert await alice.get(PROFILE) == {}
        assert await alice.refused("GET", f"{PROFILE}/displayname") == (404, "M_NOT_FOUND")
        assert await alice.refused("GET", "/v3/profile/@nobody:tab.test") == (404, "M_NOT_FOUND")

    async def test_an_empty_name_or_picture_is_none(self, alice: Client) -> None:
        for name, value in (("displayname", "Alice"), ("avatar_url", "mxc://tab.test/hat")):
            await alice.put(f"{PROFILE}/{name}", {name: value})
            await alice.put(f"{PROFILE}/{name}", {name: ""})
        assert await alice.get(PROFILE) == {}

    async def test_nobody_writes_into_anothers_profile(self, server: TestServer, alice: Client) -> None:
        bob = await server.register("bob")
        refused = await bob.refused("PUT", f"{PROFILE}/displayname", {"displayname": "Mallory"})
        assert refused == (403, "M_FORBIDDEN")
        assert await bob.refused("DELETE", f"{PROFILE}/displayname") == (403, "M_FORBIDDEN")

    async def test_a_guest_has_a_name_but_no_more(self, server: TestServer) -> None:
        guest = await server.register_guest()
        path = f"/v3/profile/{guest.user_id}"
        await guest.put(f"{path}/displayname", {"displayname": "A visitor"})
        refused = await guest.refused("PUT", f"{path}/m.tz", {"m.tz": "Europe/London"})
        assert refused == (403, "M_GUEST_ACCESS_FORBIDDEN")

    @pytest.mark.parametrize(
        ("name", "value", "errcode"),
        [
            ("displayname", 7, "M_BAD_JSON"),
            ("displayname", "x" * 257, "M_INVALID_PARAM"),
            ("avatar_url", "https://example.org/hat.png", "M_INVALID_PARAM"),
            ("m.tz", ["Europe/London"], "M_BAD_JSON"),
            ("Org.Example", "x", "M_INVALID_PARAM"),
            ("9lives", "x", "M_INVALID_PARAM"),
            ("org.example." + "x" * 244, "x", "M_KEY_TOO_LARGE"),
            ("org.example.large", "x" * 65536, "M_PROFILE_TOO_LARGE"),
        ],
    )
    async def test_what_does_not_fit_is_refused(self, alice: Client, name: str, value: Any, errcode: str) -> None:
        assert await alice.refused("PUT", f"{PROFILE}/{name}", {name: value}) == (400, errcode)
        assert await alice.get(PROFILE) == {}

    async def test_the_limit_is_on_the_whole_profile(self, alice: Client) -> None:
        await alice.put(f"{PROFILE}/org.example.a", {"org.example.a": "x" * 40_000})
        refused = await alice.refused("PUT", f"{PROFILE}/org.example.b", {"org.example.b": "x" * 40_000})
        assert refused == (400, "M_PROFILE_TOO_LARGE")
        assert list(await alice.get(PROFILE)) == ["org.example.a"]

    async def test_the_body_must_hold_the_field(self, alice: Client) -> None:
        refused = await alice.refused("PUT", f"{PROFILE}/displayname", {"display_name": "Alice"})
        assert refused == (400, "M_MISSING_PARAM")


class TestRoomsAreTold:
    async def test_member_events_follow_name_and_picture(self, server: TestServer, alice: Client) -> None:
        await alice.put(f"{PROFILE}/displayname", {"displayname": "Alice"})
        room_id = await alice.create_room()
        await alice.put(f"{PROFILE}/avatar_url", {"avatar_url": "mxc://tab.test/hat"})
        member = await alice.state(room_id, "m.room.member", alice.user_id)
        assert (member["membership"], member["displayname"]) == ("join", "Alice")
        assert member["avatar_url"] == "mxc://tab.test/hat"
        await alice.delete(f"{PROFILE}/displayname")
        assert "displayname" not in await alice.state(room_id, "m.room.member", alice.user_id)

    async def test_no_event_is_sent_for_the_same_name_or_another_field(self, alice: Client) -> None:
        await alice.put(f"{PROFILE}/displayname", {"displayname": "Alice"})
        room_id = await alice.create_room()
        before = (await alice.messages(room_id, "f", limit=100))["chunk"]
        await alice.put(f"{PROFILE}/displayname", {"displayname": "Alice"})
        await alice.put(f"{PROFILE}/m.tz", {"m.tz": "Europe/London"})
        assert len((await alice.messages(room_id, "f", limit=100))["chunk"]) == len(before)
