"""Sending: transactions, state, redactions, and what the rules say no to."""

from helpers.homeserver import Client, TestServer, quoted


async def test_a_transaction_id_is_sent_once_per_device_and_path(server: TestServer) -> None:
    alice = await server.register("alice", password="password one")
    room_id = await alice.create_room()
    first = await alice.send(room_id, "hello", transaction_id="one")

    assert await alice.send(room_id, "hello", transaction_id="one") == first
    assert await alice.send(room_id, "something else", transaction_id="one") == first
    assert await alice.send(room_id, {"body": "x"}, "m.other", transaction_id="one") != first
    phone = await server.log_in("alice", "password one")
    assert await phone.send(room_id, "hello", transaction_id="one") != first

    await server.restart()
    assert await alice.send(room_id, "hello", transaction_id="one") == first
    sent = await alice.put(f"/r0/rooms/{room_id}/send/m.room.message/one", {"body": "hello"})
    assert sent["event_id"] == first


async def test_only_the_device_that_sent_it_learns_the_transaction_id(server: TestServer) -> None:
    alice = await server.register("alice", password="password one")
    phone = await server.log_in("alice", "password one")
    room_id = await alice.create_room()
    event_id = await alice.send(room_id, "hello", transaction_id="mine")

    path = f"/v3/rooms/{room_id}/event/{quoted(event_id)}"
    assert (await alice.get(path))["unsigned"]["transaction_id"] == "mine"
    assert "transaction_id" not in (await phone.get(path))["unsigned"]


async def test_what_a_message_looks_like_to_clients(server: TestServer, alice: Client) -> None:
    room_id = await alice.create_room()
    event_id = await alice.send(room_id, "hello", transaction_id="t")
    server.clock.now += 5000
    event = await alice.get(f"/v3/rooms/{room_id}/event/{quoted(event_id)}")

    age = event["unsigned"].pop("age")
    assert age >= 5000
    ts = event.pop("origin_server_ts")
    assert ts + age <= server.clock.now
    assert event == {
        "type": "m.room.message",
        "event_id": event_id,
        "room_id": room_id,
        "sender": alice.user_id,
        "content": {"msgtype": "m.text", "body": "hello"},
        "unsigned": {"membership": "join", "transaction_id": "t"},
    }


async def test_nobody_sends_to_a_room_they_are_not_in(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    path = f"/v3/rooms/{room_id}/send/m.room.message/1"

    assert await bob.refused("PUT", path, {"body": "hi"}) == (403, "M_FORBIDDEN")
    assert await bob.refused("PUT", "/v3/rooms/!nowhere/send/m.room.message/1", {}) == (403, "M_FORBIDDEN")
    assert await alice.server.anonymous().refused("PUT", path, {}) == (401, "M_MISSING_TOKEN")


async def test_what_is_no_event_is_refused(alice: Client) -> None:
    room_id = await alice.create_room()
    path = f"/v3/rooms/{room_id}/send/m.room.message/"
    for number, (body, refusal) in enumerate(
        [
            ({"body": "x" * 70_000}, (413, "M_TOO_LARGE")),
            ({"n": 1.5}, (400, "M_BAD_JSON")),
            ({"n": 2**53}, (400, "M_BAD_JSON")),
            (b'{"n": "\\ud800"}', (400, "M_BAD_JSON")),
            (b"[]", (400, "M_BAD_JSON")),
            (b"{", (400, "M_NOT_JSON")),
            (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, (400, "M_BAD_JSON")),
        ]
    ):
        assert await alice.refused("PUT", f"{path}{number}", body) == refusal
    long_type = f"/v3/rooms/{room_id}/send/{'t' * 256}/1"
    assert await alice.refused("PUT", long_type, {}) == (413, "M_TOO_LARGE")
    assert await alice.send(room_id, "still well")


async def test_state_is_set_and_read_with_and_without_a_key(alice: Client) -> None:
    room_id = await alice.create_room()
    base = f"/v3/rooms/{room_id}/state"
    first = await alice.put(f"{base}/m.room.topic", {"topic": "one"})
    second = await alice.put(f"{base}/m.room.topic/", {"topic": "two"})
    await alice.put(f"{base}/org.example.thing/key", {"value": 1})

    assert first != second
    assert await alice.get(f"{base}/m.room.topic") == {"topic": "two"}
    assert await alice.get(f"{base}/m.room.topic/") == {"topic": "two"}
    assert await alice.get(f"{base}/org.example.thing/key") == {"value": 1}
    assert await alice.refused("GET", f"{base}/org.example.thing") == (404, "M_NOT_FOUND")
    whole = await alice.get(f"{base}/m.room.topic", format="event")
    assert whole["event_id"] == second["event_id"]
    assert whole["unsigned"]["prev_content"] == {"topic": "one"}
    assert await alice.refused("GET", f"{base}/m.room.topic", format="xml") == (400, "M_INVALID_PARAM")


async def test_the_same_state_again_is_the_same_event(alice: Client) -> None:
    room_id = await alice.create_room()
    first = await alice.send_state(room_id, "m.room.name", {"name": "Same"})

    assert await alice.send_state(room_id, "m.room.name", {"name": "Same"}) == first


async def test_state_needs_power_and_a_users_key_is_theirs(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)

    assert await bob.refused("PUT", f"/v3/rooms/{room_id}/state/m.room.name", {"name": "x"}) == (403, "M_FORBIDDEN")
    own = f"/v3/rooms/{room_id}/state/org.example/{quoted(bob.user_id)}"
    assert await alice.refused("PUT", own, {}) == (403, "M_FORBIDDEN")
    create = f"/v3/rooms/{room_id}/state/m.room.create"
    assert await alice.refused("PUT", create, {"room_version": "11"}) == (403, "M_FORBIDDEN")


async def test_a_redaction_takes_the_content_away(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    words = await bob.send(room_id, "regrettable")
    redaction = await bob.redact(room_id, words, reason="sorry")

    event = await alice.get(f"/v3/rooms/{room_id}/event/{quoted(words)}")
    assert event["content"] == {}
    because = event["unsigned"]["redacted_because"]
    assert because["event_id"] == redaction
    assert because["content"] == {"reason": "sorry", "redacts": words}
    assert because["redacts"] == words


async def test_others_words_are_redacted_with_power_alone(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    hers, his = await alice.send(room_id, "hers"), await bob.send(room_id, "his")

    path = f"/v3/rooms/{room_id}/redact/{quoted(hers)}/1"
    assert await bob.refused("PUT", path, {}) == (403, "M_FORBIDDEN")
    unknown = f"/v3/rooms/{room_id}/redact/{quoted('$unknown')}/1"
    assert await bob.refused("PUT", unknown, {}) == (403, "M_FORBIDDEN")
    send = f"/v3/rooms/{room_id}/send/m.room.redaction/2"
    assert await bob.refused("PUT", send, {"redacts": hers}) == (403, "M_FORBIDDEN")
    other = await alice.create_room()
    elsewhere = f"/v3/rooms/{other}/redact/{quoted(his)}/1"
    assert await alice.refused("PUT", elsewhere, {}) == (400, "M_UNKNOWN")
    await alice.redact(room_id, his)
    assert (await alice.get(f"/v3/rooms/{room_id}/event/{quoted(his)}"))["content"] == {}


async def test_redactions_by_send_in_old_and_new_rooms(alice: Client) -> None:
    for version in ("10", "11"):
        room_id = await alice.create_room(room_version=version)
        words = await alice.send(room_id, "words")
        redaction = await alice.send(room_id, {"redacts": words, "reason": "r"}, "m.room.redaction")

        shown = await alice.get(f"/v3/rooms/{room_id}/event/{quoted(redaction)}")
        assert shown["redacts"] == words
        assert shown["content"] == {"redacts": words, "reason": "r"}
        assert (await alice.get(f"/v3/rooms/{room_id}/event/{quoted(words)}"))["content"] == {}


async def test_a_redacted_state_still_rules(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    state = await alice.get(f"/v3/rooms/{room_id}/state/m.room.join_rules", format="event")
    await alice.redact(room_id, state["event_id"])

    assert await alice.state(room_id, "m.room.join_rules") == {"join_rule": "public"}
    await bob.join(room_id)


async def test_a_user_says_a_thing_about_an_event_once(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    words = await alice.send(room_id, "words")
    thumb = {"m.relates_to": {"rel_type": "m.annotation", "event_id": words, "key": "👍"}}
    first = await bob.send(room_id, thumb, "m.reaction")

    path = f"/v3/rooms/{room_id}/send/m.reaction/again"
    assert await bob.refused("PUT", path, thumb) == (400, "M_DUPLICATE_ANNOTATION")
    await alice.send(room_id, thumb, "m.reaction")
    await bob.redact(room_id, first)
    await bob.send(room_id, thumb, "m.reaction")


async def test_canonical_aliases_must_point_to_the_room(alice: Client) -> None:
    room_id = await alice.create_room(room_alias_name="here")
    other = await alice.create_room(room_alias_name="there")
    path = f"/v3/rooms/{room_id}/state/m.room.canonical_alias"

    assert await alice.refused("PUT", path, {"alias": "#there:tab.test"}) == (400, "M_BAD_ALIAS")
    assert await alice.refused("PUT", path, {"alt_aliases": ["#none:tab.test"]}) == (400, "M_BAD_ALIAS")
    assert await alice.refused("PUT", path, {"alias": "no alias"}) == (400, "M_INVALID_PARAM")
    await alice.put(path, {"alias": "#here:tab.test", "alt_aliases": ["#here:tab.test"]})
    await alice.put(path, {})
    assert other != room_id
