"""How each operation of the Server-Server API is called well and badly."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from conformance.server_world import ServerWorld
from helpers.homeserver import Answer
from helpers.peer_rooms import FEDERATION, OwnRoom, Signed, make, quoted
from tabstead.protocol.signatures import SigningKey, sign_json

Call = Callable[[ServerWorld], Awaitable[Answer]]


@dataclass(frozen=True, kw_only=True)
class Case:
    good: Call
    bad: Call
    refusal: tuple[int, str]
    """Status and errcode that the bad call is answered with."""
    status: int = 200
    """Of the good call."""
    is_there: bool = True
    """A server that is no policy server says so to anybody, whatever they send."""


V1: Final = f"{FEDERATION}/v1"
V2: Final = f"{FEDERATION}/v2"
NOWHERE: Final = "!nowhere:nowhere.test"


def get(operation_id: str, target: str) -> Call:
    """A GET of a target that is always the same."""
    return lambda world: world.ask(operation_id, "GET", target)


def post(operation_id: str, target: str, content: Any) -> Call:
    return lambda world: world.ask(operation_id, "POST", target, content)


def put(operation_id: str, target: str, content: Any) -> Call:
    return lambda world: world.ask(operation_id, "PUT", target, content)


def in_room(operation_id: str, name: str, query: str = "") -> Call:
    """A GET about a room that both are in; `{latest}` in the query is its latest event."""

    async def call(world: ServerWorld) -> Answer:
        room = await world.shared_room()
        await world.alice.send(room.room_id, "hello")
        asked = query.format(latest=quoted(room.latest.event_id), now=int(time.time() * 1000))
        return await world.ask(operation_id, "GET", f"{V1}/{name}/{quoted(room.room_id)}{asked}")

    return call


async def get_event(world: ServerWorld) -> Answer:
    room = await world.shared_room()
    event_id = await world.alice.send(room.room_id, "hello")
    answer = await world.ask("getEvent", "GET", f"{V1}/event/{quoted(event_id)}")
    assert [pdu["content"]["body"] for pdu in answer.json["pdus"]] == ["hello"]
    return answer


async def get_event_of_others(world: ServerWorld) -> Answer:
    event_id = await world.alice.send(await world.room(), "hello")
    return await world.ask("getEvent", "GET", f"{V1}/event/{quoted(event_id)}")


async def get_event_auth(world: ServerWorld) -> Answer:
    room = await world.shared_room()
    return await world.ask("getEventAuth", "GET", f"{V1}/event_auth/{quoted(room.room_id, room.latest.event_id)}")


async def get_missing_events(world: ServerWorld) -> Answer:
    room = await world.shared_room()
    hello = await world.alice.send(room.room_id, "hello")
    last = await world.alice.send(room.room_id, "good bye")
    body = {"earliest_events": [room.latest.event_id], "latest_events": [last], "limit": 10}
    answer = await world.ask(
        "getMissingPreviousEvents", "POST", f"{V1}/get_missing_events/{quoted(room.room_id)}", body
    )
    assert [pdu["content"]["body"] for pdu in answer.json["events"]] == ["hello"], hello
    return answer


async def get_missing_events_of_nothing(world: ServerWorld) -> Answer:
    room = await world.shared_room()
    body = {"earliest_events": 3}
    return await world.ask("getMissingPreviousEvents", "POST", f"{V1}/get_missing_events/{quoted(room.room_id)}", body)


async def download(world: ServerWorld) -> Answer:
    return await world.ask("getContent", "GET", f"{V1}/media/download/{await world.upload()}")


async def download_thumbnail(world: ServerWorld) -> Answer:
    target = f"{V1}/media/thumbnail/{await world.upload()}?width=32&height=32"
    return await world.ask("getContentThumbnail", "GET", target)


async def download_unsized_thumbnail(world: ServerWorld) -> Answer:
    return await world.ask("getContentThumbnail", "GET", f"{V1}/media/thumbnail/{await world.upload()}?width=32")


async def invite_v1(world: ServerWorld) -> Answer:
    room = OwnRoom(world.peer, world.user(), "1")
    invite = room.add("m.room.member", {"membership": "invite"}, world.alice.user_id)
    shown = [{key: room.events[0].pdu[key] for key in ("type", "state_key", "content", "sender")}]
    body = {**invite.pdu, "unsigned": {"invite_room_state": shown}}
    return await world.ask("sendInviteV1", "PUT", f"{V1}/invite/{quoted(room.room_id, invite.event_id)}", body)


def build_invite(world: ServerWorld) -> tuple[OwnRoom, Signed, dict[str, Any]]:
    room = OwnRoom(world.peer, world.user())
    invite = room.add("m.room.member", {"membership": "invite"}, world.alice.user_id)
    body = {"room_version": "11", "event": invite.pdu, "invite_room_state": [room.events[0].pdu]}
    return room, invite, body


async def invite_v2(world: ServerWorld) -> Answer:
    room, invite, body = build_invite(world)
    answer = await world.ask("sendInviteV2", "PUT", f"{V2}/invite/{quoted(room.room_id, invite.event_id)}", body)
    assert answer.json["event"]["signatures"].keys() == {world.peer.name, world.server.name}
    return answer


async def invite_to_no_version(world: ServerWorld) -> Answer:
    room, invite, body = build_invite(world)
    body["room_version"] = "none"
    return await world.ask("sendInviteV2", "PUT", f"{V2}/invite/{quoted(room.room_id, invite.event_id)}", body)


def template(operation_id: str, membership: str, **options: Any) -> Call:
    """make_join, make_knock."""

    async def call(world: ServerWorld) -> Answer:
        room_id = await world.room(**options)
        target = f"{V1}/make_{membership}/{quoted(room_id, world.user())}?ver=11&ver=12"
        return await world.ask(operation_id, "GET", target)

    return call


def template_for_another(operation_id: str, membership: str) -> Call:
    """Of a user who is not the peer's."""

    async def call(world: ServerWorld) -> Answer:
        target = f"{V1}/make_{membership}/{quoted(await world.room(), '@mallory:other.test')}?ver=12"
        return await world.ask(operation_id, "GET", target)

    return call


async def make_leave(world: ServerWorld) -> Answer:
    room = await world.shared_room()
    return await world.ask("makeLeave", "GET", f"{V1}/make_leave/{quoted(room.room_id, room.user_id)}")


async def send_join(world: ServerWorld) -> Answer:
    room_id = await world.room()
    _, join = await make(world.peer, world.server, "join", room_id, world.user())
    return await world.ask("sendJoinV2", "PUT", f"{V2}/send_join/{quoted(room_id, join.event_id)}", join.pdu)


def send_another_event(operation_id: str, path: str, membership: str, **options: Any) -> Call:
    """The event is not the one that the path names."""

    async def call(world: ServerWorld) -> Answer:
        room_id = await world.room(**options)
        _, event = await make(world.peer, world.server, membership, room_id, world.user())
        return await world.ask(operation_id, "PUT", f"{path}/{quoted(room_id, '$' + 'a' * 43)}", event.pdu)

    return call


async def send_knock(world: ServerWorld) -> Answer:
    room_id = await world.room(**KNOCKABLE)
    _, knock = await make(world.peer, world.server, "knock", room_id, world.user())
    return await world.ask("sendKnock", "PUT", f"{V1}/send_knock/{quoted(room_id, knock.event_id)}", knock.pdu)


async def send_leave(world: ServerWorld) -> Answer:
    room = await world.shared_room()
    _, leave = await make(world.peer, world.server, "leave", room.room_id, room.user_id)
    target = f"{V2}/send_leave/{quoted(room.room_id, leave.event_id)}"
    return await world.ask("sendLeaveV2", "PUT", target, leave.pdu)


async def send_no_leave(world: ServerWorld) -> Answer:
    room = await world.shared_room()
    message = room.build("m.room.message", {"body": "hello"})
    target = f"{V2}/send_leave/{quoted(room.room_id, message.event_id)}"
    return await world.ask("sendLeaveV2", "PUT", target, message.pdu)


async def query_own_keys(world: ServerWorld) -> Answer:
    return await world.ask("perspectivesKeyQuery", "GET", f"/_matrix/key/v2/query/{quoted(world.peer.name)}")


async def query_keys_in_bulk(world: ServerWorld) -> Answer:
    body = {"server_keys": {world.peer.name: {"ed25519:peer": {"minimum_valid_until_ts": 0}}}}
    answer = await world.ask("bulkPerspectivesKeyQuery", "POST", "/_matrix/key/v2/query", body)
    assert [told["server_name"] for told in answer.json["server_keys"]] == [world.peer.name]
    return answer


async def exchange_openid_token(world: ServerWorld) -> Answer:
    path = f"/v3/user/{quoted(world.alice.user_id)}/openid/request_token"
    token = (await world.alice.post(path))["access_token"]
    return await world.ask("exchangeOpenIdToken", "GET", f"{V1}/openid/userinfo?access_token={token}")


async def query_directory(world: ServerWorld) -> Answer:
    name = f"room{time.time_ns()}"
    await world.room(room_alias_name=name)
    alias = quoted(f"#{name}:{world.server.name}")
    return await world.ask("queryRoomDirectory", "GET", f"{V1}/query/directory?room_alias={alias}")


async def query_no_alias(world: ServerWorld) -> Answer:
    alias = quoted(f"#none:{world.server.name}")
    return await world.ask("queryRoomDirectory", "GET", f"{V1}/query/directory?room_alias={alias}")


async def query_profile(world: ServerWorld) -> Answer:
    return await world.ask("queryProfile", "GET", f"{V1}/query/profile?user_id={quoted(world.alice.user_id)}")


async def query_info(world: ServerWorld) -> Answer:
    """Of any type: a profile is one."""
    return await world.ask("queryInfo", "GET", f"{V1}/query/profile?user_id={quoted(world.alice.user_id)}")


async def query_nobodys_profile(world: ServerWorld) -> Answer:
    user_id = quoted(f"@nobody:{world.server.name}")
    return await world.ask("queryProfile", "GET", f"{V1}/query/profile?user_id={user_id}")


async def get_hierarchy(world: ServerWorld) -> Answer:
    child = await world.room()
    space = await world.shared_room(creation_content={"type": "m.space"})
    await world.alice.send_state(space.room_id, "m.space.child", {"via": [world.server.name]}, child)
    answer = await world.ask("getSpaceHierarchy", "GET", f"{V1}/hierarchy/{quoted(space.room_id)}")
    assert [room["room_id"] for room in answer.json["children"]] == [child]
    return answer


async def exchange_invite(world: ServerWorld) -> Answer:
    """Alice has invited an address; the peer's user turns out to be whose it is."""
    room_id, user_id = await world.room(), world.user()
    public_key = IDENTITY_KEY.verify_key.encode()
    invitation = {"display_name": "e…", "key_validity_url": "https://id.test/valid", "public_key": public_key}
    content = {**invitation, "public_keys": [{"public_key": public_key}]}
    await world.alice.send_state(room_id, "m.room.third_party_invite", content, "token")
    body = exchanged(world, room_id, user_id)
    return await world.ask(
        "exchangeThirdPartyInvite", "PUT", f"{V1}/exchange_third_party_invite/{quoted(room_id)}", body
    )


async def exchange_no_invite(world: ServerWorld) -> Answer:
    room_id = await world.room()
    body = exchanged(world, room_id, world.user())
    return await world.ask(
        "exchangeThirdPartyInvite", "PUT", f"{V1}/exchange_third_party_invite/{quoted(room_id)}", body
    )


def exchanged(world: ServerWorld, room_id: str, user_id: str) -> dict[str, Any]:
    """The invite to be made, for whom the identity server has vouched."""
    signed = sign_json({"mxid": user_id, "token": "token"}, "id.test", IDENTITY_KEY)
    return {
        "type": "m.room.member",
        "room_id": room_id,
        "sender": world.alice.user_id,
        "state_key": user_id,
        "content": {"membership": "invite", "third_party_invite": {"display_name": "e…", "signed": signed}},
    }


async def bind(world: ServerWorld) -> Answer:
    body = {"medium": "email", "address": "alice@example.test", "mxid": world.alice.user_id, "invites": []}
    return await world.ask("onBindThirdPartyIdentifier", "PUT", f"{V1}/3pid/onbind", body)


async def send_transaction(world: ServerWorld) -> Answer:
    room = await world.shared_room()
    message = room.build("m.room.message", {"msgtype": "m.text", "body": "hello"})
    body = transaction(world, [message.pdu])
    answer = await world.ask("sendTransaction", "PUT", f"{V1}/send/{time.time_ns()}", body)
    assert answer.json == {"pdus": {message.event_id: {}}}
    return answer


async def send_too_much(world: ServerWorld) -> Answer:
    return await world.ask("sendTransaction", "PUT", f"{V1}/send/{time.time_ns()}", transaction(world, [{}] * 51))


def transaction(world: ServerWorld, pdus: list[Any]) -> dict[str, Any]:
    return {"origin": world.peer.name, "origin_server_ts": int(time.time() * 1000), "pdus": pdus}


async def get_devices(world: ServerWorld) -> Answer:
    await world.upload_keys()
    answer = await world.ask("getUserDevices", "GET", f"{V1}/user/devices/{quoted(world.alice.user_id)}")
    assert [device["device_id"] for device in answer.json["devices"]] == [world.alice.device_id]
    return answer


async def get_nobodys_devices(world: ServerWorld) -> Answer:
    return await world.ask("getUserDevices", "GET", f"{V1}/user/devices/{quoted('@nobody:' + world.server.name)}")


async def claim_keys(world: ServerWorld) -> Answer:
    await world.upload_keys()
    wanted = {world.alice.user_id: {world.alice.device_id: "signed_curve25519"}}
    answer = await world.ask("claimUserEncryptionKeys", "POST", f"{V1}/user/keys/claim", {"one_time_keys": wanted})
    assert answer.json["one_time_keys"].keys() == {world.alice.user_id}
    return answer


async def query_keys(world: ServerWorld) -> Answer:
    await world.upload_keys()
    body = {"device_keys": {world.alice.user_id: []}}
    answer = await world.ask("queryUserEncryptionKeys", "POST", f"{V1}/user/keys/query", body)
    assert answer.json["device_keys"].keys() == {world.alice.user_id}
    return answer


KNOCKABLE: Final[Mapping[str, Any]] = {
    "initial_state": [{"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}]
}
IDENTITY_KEY: Final = SigningKey(key_id="ed25519:0", seed=b"\3" * 32)
POLICY: Final = post("askPolicyServerToSign", "/_matrix/policy/v1/sign", {"type": "m.room.message"})

CASES: Final[Mapping[str, Case]] = {
    "getWellKnown": Case(
        good=get("getWellKnown", "/.well-known/matrix/server"),
        bad=get("getWellKnown", "/.well-known/matrix/server/"),
        refusal=(404, "M_UNRECOGNIZED"),
    ),
    "getVersion": Case(
        good=get("getVersion", f"{V1}/version"),
        bad=get("getVersion", f"{V1}/version/"),
        refusal=(404, "M_UNRECOGNIZED"),
    ),
    "getServerKey": Case(
        good=get("getServerKey", "/_matrix/key/v2/server"),
        bad=get("getServerKey", "/_matrix/key/v2/server/"),
        refusal=(404, "M_UNRECOGNIZED"),
    ),
    "perspectivesKeyQuery": Case(
        good=query_own_keys,
        bad=get("perspectivesKeyQuery", "/_matrix/key/v2/query/no%20name"),
        refusal=(400, "M_INVALID_PARAM"),
    ),
    "bulkPerspectivesKeyQuery": Case(
        good=query_keys_in_bulk,
        bad=post("bulkPerspectivesKeyQuery", "/_matrix/key/v2/query", {"server_keys": []}),
        refusal=(400, "M_BAD_JSON"),
    ),
    "backfillRoom": Case(
        good=in_room("backfillRoom", "backfill", "?v={latest}&limit=5"),
        bad=in_room("backfillRoom", "backfill", "?limit=5"),
        refusal=(400, "M_MISSING_PARAM"),
    ),
    "getMissingPreviousEvents": Case(
        good=get_missing_events, bad=get_missing_events_of_nothing, refusal=(400, "M_BAD_JSON")
    ),
    "getContent": Case(good=download, bad=get("getContent", f"{V1}/media/download/none"), refusal=(404, "M_NOT_FOUND")),
    "getContentThumbnail": Case(
        good=download_thumbnail, bad=download_unsized_thumbnail, refusal=(400, "M_MISSING_PARAM")
    ),
    "getEventAuth": Case(
        good=get_event_auth,
        bad=get("getEventAuth", f"{V1}/event_auth/{quoted(NOWHERE, '$none')}"),
        refusal=(404, "M_NOT_FOUND"),
    ),
    "getRoomState": Case(
        good=in_room("getRoomState", "state", "?event_id={latest}"),
        bad=in_room("getRoomState", "state"),
        refusal=(400, "M_MISSING_PARAM"),
    ),
    "getRoomStateIds": Case(
        good=in_room("getRoomStateIds", "state_ids", "?event_id={latest}"),
        bad=in_room("getRoomStateIds", "state_ids", "?event_id=$none"),
        refusal=(404, "M_NOT_FOUND"),
    ),
    "getEvent": Case(good=get_event, bad=get_event_of_others, refusal=(403, "M_FORBIDDEN")),
    "getEventByTimestamp": Case(
        good=in_room("getEventByTimestamp", "timestamp_to_event", "?ts={now}&dir=b"),
        bad=in_room("getEventByTimestamp", "timestamp_to_event", "?ts=now&dir=b"),
        refusal=(400, "M_INVALID_PARAM"),
    ),
    "sendInviteV1": Case(
        good=invite_v1,
        bad=put("sendInviteV1", f"{V1}/invite/{quoted(NOWHERE, '$none')}", {}),
        refusal=(400, "M_INVALID_PARAM"),
    ),
    "sendInviteV2": Case(good=invite_v2, bad=invite_to_no_version, refusal=(400, "M_INCOMPATIBLE_ROOM_VERSION")),
    "makeJoin": Case(
        good=template("makeJoin", "join"),
        bad=template_for_another("makeJoin", "join"),
        refusal=(403, "M_FORBIDDEN"),
    ),
    "sendJoinV2": Case(
        good=send_join,
        bad=send_another_event("sendJoinV2", f"{V2}/send_join", "join"),
        refusal=(400, "M_INVALID_PARAM"),
    ),
    "makeKnock": Case(
        good=template("makeKnock", "knock", **KNOCKABLE),
        bad=template("makeKnock", "knock"),
        refusal=(403, "M_FORBIDDEN"),
    ),
    "sendKnock": Case(
        good=send_knock,
        bad=send_another_event("sendKnock", f"{V1}/send_knock", "knock", **KNOCKABLE),
        refusal=(400, "M_INVALID_PARAM"),
    ),
    "makeLeave": Case(good=make_leave, bad=template_for_another("makeLeave", "leave"), refusal=(403, "M_FORBIDDEN")),
    "sendLeaveV2": Case(good=send_leave, bad=send_no_leave, refusal=(400, "M_INVALID_PARAM")),
    "exchangeOpenIdToken": Case(
        good=exchange_openid_token,
        bad=get("exchangeOpenIdToken", f"{V1}/openid/userinfo?access_token=none"),
        refusal=(401, "M_UNKNOWN_TOKEN"),
    ),
    "getPublicRooms": Case(
        good=get("getPublicRooms", f"{V1}/publicRooms?limit=3"),
        bad=get("getPublicRooms", f"{V1}/publicRooms?limit=three"),
        refusal=(400, "M_INVALID_PARAM"),
    ),
    "queryPublicRooms": Case(
        good=post("queryPublicRooms", f"{V1}/publicRooms", {"filter": {"generic_search_term": "no such"}}),
        bad=post("queryPublicRooms", f"{V1}/publicRooms", {"filter": "no such"}),
        refusal=(400, "M_BAD_JSON"),
    ),
    "queryInfo": Case(
        good=query_info,
        bad=get("queryInfo", f"{V1}/query/org.example.none"),
        refusal=(404, "M_UNRECOGNIZED"),
    ),
    "queryRoomDirectory": Case(good=query_directory, bad=query_no_alias, refusal=(404, "M_NOT_FOUND")),
    "queryProfile": Case(good=query_profile, bad=query_nobodys_profile, refusal=(404, "M_NOT_FOUND")),
    "askPolicyServerToSign": Case(good=POLICY, status=404, bad=POLICY, refusal=(404, "M_UNRECOGNIZED"), is_there=False),
    "getSpaceHierarchy": Case(
        good=get_hierarchy,
        bad=get("getSpaceHierarchy", f"{V1}/hierarchy/{quoted(NOWHERE)}"),
        refusal=(404, "M_NOT_FOUND"),
    ),
    "exchangeThirdPartyInvite": Case(good=exchange_invite, bad=exchange_no_invite, refusal=(403, "M_FORBIDDEN")),
    "onBindThirdPartyIdentifier": Case(
        good=bind,
        bad=put("onBindThirdPartyIdentifier", f"{V1}/3pid/onbind", {"medium": "email"}),
        refusal=(400, "M_MISSING_PARAM"),
    ),
    "sendTransaction": Case(good=send_transaction, bad=send_too_much, refusal=(400, "M_BAD_JSON")),
    "getUserDevices": Case(good=get_devices, bad=get_nobodys_devices, refusal=(404, "M_NOT_FOUND")),
    "claimUserEncryptionKeys": Case(
        good=claim_keys,
        bad=post("claimUserEncryptionKeys", f"{V1}/user/keys/claim", {}),
        refusal=(400, "M_MISSING_PARAM"),
    ),
    "queryUserEncryptionKeys": Case(
        good=query_keys,
        bad=post("queryUserEncryptionKeys", f"{V1}/user/keys/query", {"device_keys": []}),
        refusal=(400, "M_BAD_JSON"),
    ),
}
