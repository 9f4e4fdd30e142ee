"""Bridged networks, of which there are none, and what only application services may do."""

import pytest

from helpers.homeserver import Client, quoted


async def test_no_protocol_is_known(alice: Client) -> None:
    assert await alice.get("/v3/thirdparty/protocols") == {}
    for kind in ("protocol", "location", "user"):
        assert await alice.refused("GET", f"/v3/thirdparty/{kind}/irc", channel="#matrix") == (404, "M_NOT_FOUND")


async def test_no_room_and_no_user_is_bridged(alice: Client) -> None:
    await alice.create_room(room_alias_name="square")
    assert await alice.refused("GET", "/v3/thirdparty/location", alias="#square:tab.test") == (404, "M_NOT_FOUND")
    assert await alice.refused("GET", "/v3/thirdparty/user", userid=alice.user_id) == (404, "M_NOT_FOUND")


@pytest.mark.parametrize(("kind", "name"), [("location", "alias"), ("user", "userid")])
async def test_what_is_looked_up_must_be_an_identifier(alice: Client, kind: str, name: str) -> None:
    assert await alice.refused("GET", f"/v3/thirdparty/{kind}") == (400, "M_MISSING_PARAM")
    assert await alice.refused("GET", f"/v3/thirdparty/{kind}", **{name: "nonsense"}) == (400, "M_INVALID_PARAM")


async def test_users_are_no_application_services(alice: Client) -> None:
    room_id = await alice.create_room()
    listing = f"/v3/directory/list/appservice/irc/{quoted(room_id)}"
    assert await alice.refused("PUT", listing, {"visibility": "public"}) == (403, "M_FORBIDDEN")
    assert await alice.refused("POST", "/v1/appservice/irc/ping", {}) == (403, "M_FORBIDDEN")
