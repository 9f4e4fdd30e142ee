"""Push rules: the defaults with what the user changes of them, and what that does to notifications."""

from typing import Any

import pytest

from helpers.homeserver import Client, Json, quoted

RULES = "/v3/pushrules/global"


def ids(rules: list[Json]) -> list[str]:
    return [rule["rule_id"] for rule in rules if not rule["default"]]


async def test_everyone_has_the_default_rules(alice: Client) -> None:
    everything = await alice.get("/v3/pushrules/")
    assert everything["global"] == await alice.get("/v3/pushrules/global/")
    assert set(everything["global"]) == {"override", "content", "room", "sender", "underride"}

    events = (await alice.sync())["account_data"]["events"]
    assert {"type": "m.push_rules", "content": everything} in events


async def test_a_rule_is_made_changed_and_deleted(alice: Client) -> None:
    await alice.put(f"{RULES}/content/cake", {"pattern": "cake", "actions": ["notify"]})
    assert await alice.get(f"{RULES}/content/cake") == {
        "rule_id": "cake",
        "default": False,
        "enabled": True,
        "pattern": "cake",
        "actions": ["notify"],
    }

    await alice.put(f"{RULES}/content/cake/enabled", {"enabled": False})
    assert await alice.get(f"{RULES}/content/cake/enabled") == {"enabled": False}
    loud = ["notify", {"set_tweak": "highlight"}]
    await alice.put(f"{RULES}/content/cake/actions", {"actions": loud})
    assert await alice.get(f"{RULES}/content/cake/actions") == {"actions": loud}

    await alice.delete(f"{RULES}/content/cake")
    assert await alice.refused("GET", f"{RULES}/content/cake") == (404, "M_NOT_FOUND")


async def test_changes_are_told_and_outlive_a_restart(alice: Client) -> None:
    since = (await alice.sync())["next_batch"]
    await alice.put(f"{RULES}/override/.m.rule.master/enabled", {"enabled": True})
    await alice.put(f"{RULES}/room/{quoted('!a:tab.test')}", {"actions": []})

    await alice.server.restart()

    (event,) = (await alice.sync(since))["account_data"]["events"]
    assert event["type"] == "m.push_rules"
    assert event["content"]["global"]["override"][0]["enabled"] is True
    assert ids(event["content"]["global"]["room"]) == ["!a:tab.test"]
    assert event["content"] == await alice.get("/v3/pushrules/")
    assert len(event["content"]["global"]["underride"]) == 5, "the defaults are all there"


async def test_a_change_that_changes_nothing_is_no_news(alice: Client) -> None:
    await alice.put(f"{RULES}/content/cake", {"pattern": "cake", "actions": ["notify"]})
    since = (await alice.sync())["next_batch"]
    await alice.put(f"{RULES}/content/cake", {"pattern": "cake", "actions": ["notify"]})
    await alice.put(f"{RULES}/content/cake/enabled", {"enabled": True})
    assert "account_data" not in await alice.sync(since)


async def test_rules_have_an_order(alice: Client) -> None:
    async def put(rule_id: str, **query: Any) -> None:
        await alice.put(f"{RULES}/content/{rule_id}", {"pattern": rule_id, "actions": []}, **query)

    for rule_id in ("a", "b"):
        await put(rule_id)
    await put("c", after="b")
    await put("d", before="b")
    await put("a", before="d")

    assert ids((await alice.get("/v3/pushrules/"))["global"]["content"]) == ["a", "d", "b", "c"]


@pytest.mark.parametrize(
    ("method", "rest", "body", "refusal"),
    [
        ("PUT", "content/.mine", {"pattern": "a", "actions": []}, (400, "M_INVALID_PARAM")),
        ("PUT", "content/a", {"actions": []}, (400, "M_MISSING_PARAM")),
        ("PUT", "content/a", {"pattern": "a"}, (400, "M_MISSING_PARAM")),
        ("PUT", "nonsense/a", {"actions": []}, (400, "M_INVALID_PARAM")),
        ("PUT", "content/a?before=nothing", {"pattern": "a", "actions": []}, (404, "M_NOT_FOUND")),
        ("DELETE", "override/.m.rule.master", None, (400, "M_INVALID_PARAM")),
        ("DELETE", "override/nothing", None, (404, "M_NOT_FOUND")),
        ("PUT", "override/nothing/enabled", {"enabled": True}, (404, "M_NOT_FOUND")),
        ("GET", "override/nothing/actions", None, (404, "M_NOT_FOUND")),
    ],
)
async def test_what_is_refused(
    alice: Client, method: str, rest: str, body: Json | None, refusal: tuple[int, str]
) -> None:
    path, _, query = rest.partition("?")
    parameters = dict([query.split("=")]) if query else {}
    assert await alice.refused(method, f"{RULES}/{path}", body, **parameters) == refusal


async def test_no_gateway_is_posted_to(alice: Client) -> None:
    assert await alice.get("/v3/pushers") == {"pushers": []}


async def test_rules_of_ones_own_decide_what_counts(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    await bob.put(f"{RULES}/room/{quoted(room_id)}", {"actions": []})
    await bob.put(f"{RULES}/content/cake", {"pattern": "cake", "actions": ["notify", {"set_tweak": "highlight"}]})

    await alice.send(room_id, "bread")
    await alice.send(room_id, "more CAKE!")

    counts = (await bob.sync())["rooms"]["join"][room_id]["unread_notifications"]
    assert counts == {"notification_count": 1, "highlight_count": 1}


async def test_the_notifications_are_listed(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    first = await alice.send(room_id, "one")
    await alice.send(room_id, {"body": "you!", "m.mentions": {"user_ids": [bob.user_id]}})
    await alice.send(room_id, "three")
    await bob.post(f"/v3/rooms/{room_id}/receipt/m.read/{quoted(first)}")

    page = await bob.get("/v3/notifications", limit=2)
    rest = await bob.get("/v3/notifications", **{"from": page["next_token"]})
    listed = page["notifications"] + rest["notifications"]

    assert [(item["event"]["content"]["body"], item["read"]) for item in listed] == [
        ("three", False),
        ("you!", False),
        ("one", True),
    ]
    assert all(item["room_id"] == room_id and "notify" in item["actions"] for item in listed)
    assert "next_token" not in rest
    loud = (await bob.get("/v3/notifications", only="highlight"))["notifications"]
    assert [item["event"]["content"]["body"] for item in loud] == ["you!"]
    assert (await alice.get("/v3/notifications"))["notifications"] == []
    assert await bob.refused("GET", "/v3/notifications", **{"from": "x"}) == (400, "M_INVALID_PARAM")


async def test_an_invite_is_a_notification(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="private_chat")
    await alice.invite(room_id, bob)

    (notification,) = (await bob.get("/v3/notifications"))["notifications"]

    assert notification["event"]["content"]["membership"] == "invite"
