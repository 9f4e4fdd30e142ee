"""Cross-signing keys and the signatures that go with them."""

from typing import Any

import pytest

from helpers.homeserver import Client, TestServer
from helpers.key_owner import CrossSigning, DeviceKeys, sign

AUTH = {"type": "m.login.password", "user": "alice", "password": "rosebud"}
UPLOAD = "/v3/keys/device_signing/upload"
SIGNATURES = "/v3/keys/signatures/upload"


@pytest.fixture
async def alice(server: TestServer) -> Client:
    return await server.register("alice", "rosebud")


@pytest.fixture
async def bob(server: TestServer) -> Client:
    return await server.register("bob", "tulip")


async def query(client: Client, owner: Client) -> dict[str, Any]:
    found: dict[str, Any] = await client.post("/v3/keys/query", {"device_keys": {owner.user_id: []}})
    return found


class TestUploadingKeys:
    async def test_the_first_keys_need_no_confirmation(self, alice: Client) -> None:
        identity = CrossSigning.of(alice.user_id)
        await alice.post(UPLOAD, identity.upload)
        found = await query(alice, alice)
        for usage in ("master", "self_signing", "user_signing"):
            shown = found[f"{usage}_keys"][alice.user_id]
            assert shown["keys"] == identity.key_object(usage)["keys"]

    async def test_others_do_not_see_the_user_signing_key(self, alice: Client, bob: Client) -> None:
        await alice.post(UPLOAD, CrossSigning.of(alice.user_id).upload)
        found = await query(bob, alice)
        assert found["user_signing_keys"] == {}
        assert alice.user_id in found["master_keys"] and alice.user_id in found["self_signing_keys"]

    async def test_the_same_keys_again_need_none_either(self, alice: Client) -> None:
        identity = CrossSigning.of(alice.user_id)
        await alice.post(UPLOAD, identity.upload)
        await alice.post(UPLOAD, identity.upload)
        await alice.post(UPLOAD, {"master_key": identity.key_object("master")})

    async def test_other_keys_need_the_password(self, alice: Client) -> None:
        await alice.post(UPLOAD, CrossSigning.of(alice.user_id).upload)
        new = CrossSigning.of(alice.user_id, generation=2)
        answer = await alice.answer("POST", UPLOAD, new.upload)
        assert (answer.status, answer.json["flows"]) == (401, [{"stages": ["m.login.password"]}])
        await alice.post(UPLOAD, {**new.upload, "auth": {**AUTH, "session": answer.json["session"]}})
        found = await query(alice, alice)
        assert found["master_keys"][alice.user_id]["keys"] == new.key_object("master")["keys"]

    async def test_a_master_key_added_to_nothing_but_a_new_subkey_beside_it_needs_the_password(
        self, alice: Client
    ) -> None:
        identity = CrossSigning.of(alice.user_id)
        await alice.post(UPLOAD, {"master_key": identity.key_object("master")})
        assert (await alice.answer("POST", UPLOAD, identity.upload)).status == 401

    async def test_a_new_master_key_ends_the_keys_that_it_has_not_signed(self, alice: Client) -> None:
        await alice.post(UPLOAD, CrossSigning.of(alice.user_id).upload)
        new = CrossSigning.of(alice.user_id, generation=2)
        await alice.post(UPLOAD, {"master_key": new.key_object("master"), "auth": AUTH})
        found = await query(alice, alice)
        assert (found["self_signing_keys"], found["user_signing_keys"]) == ({}, {})

    async def test_subkeys_must_be_signed_by_the_master_key(self, alice: Client) -> None:
        identity, other = CrossSigning.of(alice.user_id), CrossSigning.of(alice.user_id, generation=2)
        body = {**identity.upload, "self_signing_key": other.key_object("self_signing")}
        assert await alice.refused("POST", UPLOAD, body) == (400, "M_INVALID_SIGNATURE")
        unsigned = {**identity.key_object("user_signing"), "signatures": {}}
        body = {**identity.upload, "user_signing_key": unsigned}
        assert await alice.refused("POST", UPLOAD, body) == (400, "M_INVALID_SIGNATURE")
        assert (await query(alice, alice))["master_keys"] == {}

    async def test_subkeys_need_a_master_key(self, alice: Client) -> None:
        body = {"self_signing_key": CrossSigning.of(alice.user_id).key_object("self_signing")}
        assert await alice.refused("POST", UPLOAD, body) == (400, "M_MISSING_PARAM")

    async def test_the_keys_must_be_the_users_and_well_formed(self, alice: Client, bob: Client) -> None:
        identity = CrossSigning.of(alice.user_id)
        assert await bob.refused("POST", UPLOAD, identity.upload) == (400, "M_INVALID_PARAM")
        master = identity.key_object("master")
        for broken in (
            {**master, "usage": ["self_signing"]},
            {**master, "keys": {"ed25519:name": identity.public("master")}},
            {**master, "keys": {}},
        ):
            assert await alice.refused("POST", UPLOAD, {"master_key": broken}) == (400, "M_INVALID_PARAM")
        short = {**master, "keys": {"ed25519:c2hvcnQ": "c2hvcnQ"}}
        assert await alice.refused("POST", UPLOAD, {"master_key": short}) == (400, "M_BAD_JSON")

    async def test_a_key_and_a_device_never_have_the_same_name(self, server: TestServer, alice: Client) -> None:
        identity = CrossSigning.of(alice.user_id)
        login = {"type": "m.login.password", "user": "alice", "password": "rosebud"}
        await server.anonymous().post("/v3/login", {**login, "device_id": identity.public("self_signing")})
        assert await alice.refused("POST", UPLOAD, identity.upload) == (403, "M_FORBIDDEN")
        new = CrossSigning.of(alice.user_id, generation=2)
        await alice.post(UPLOAD, new.upload)
        refused = await server.anonymous().refused("POST", "/v3/login", {**login, "device_id": new.public("master")})
        assert refused == (400, "M_INVALID_PARAM")


class TestSignatures:
    """Alice has a device and cross-signing keys, and so has Bob."""

    @pytest.fixture
    async def hers(self, alice: Client) -> CrossSigning:
        identity = CrossSigning.of(alice.user_id)
        await alice.post("/v3/keys/upload", {"device_keys": DeviceKeys.of(alice).signed})
        await alice.post(UPLOAD, identity.upload)
        return identity

    @pytest.fixture
    async def his(self, bob: Client) -> CrossSigning:
        identity = CrossSigning.of(bob.user_id)
        await bob.post("/v3/keys/upload", {"device_keys": DeviceKeys.of(bob).signed})
        await bob.post(UPLOAD, identity.upload)
        return identity

    async def upload(self, client: Client, owner: str, key_name: str, signed: Any) -> str | None:
        """The errcode of what failed."""
        failures = (await client.post(SIGNATURES, {owner: {key_name: signed}}))["failures"]
        if not failures:
            return None
        errcode: str = failures[owner][key_name]["errcode"]
        return errcode

    async def test_the_self_signing_key_signs_a_device_for_all_to_see(
        self, alice: Client, bob: Client, hers: CrossSigning
    ) -> None:
        signed = hers.sign(DeviceKeys.of(alice).signed, "self_signing")
        assert await self.upload(alice, alice.user_id, alice.device_id, signed) is None
        seen = (await query(bob, alice))["device_keys"][alice.user_id][alice.device_id]
        assert seen["signatures"] == signed["signatures"]

    async def test_a_device_signs_the_master_key_for_all_to_see(
        self, alice: Client, bob: Client, hers: CrossSigning
    ) -> None:
        signed = DeviceKeys.of(alice).sign(hers.key_object("master"))
        assert await self.upload(alice, alice.user_id, hers.public("master"), signed) is None
        seen = (await query(bob, alice))["master_keys"][alice.user_id]
        assert seen["signatures"] == signed["signatures"]

    async def test_whom_alice_has_verified_only_alice_sees(
        self, server: TestServer, alice: Client, bob: Client, hers: CrossSigning, his: CrossSigning
    ) -> None:
        signed = hers.sign(his.key_object("master"), "user_signing")
        assert await self.upload(alice, bob.user_id, his.public("master"), signed) is None
        hers_seen = (await query(alice, bob))["master_keys"][bob.user_id]
        assert hers_seen["signatures"] == signed["signatures"]
        for other in (bob, await server.register("carol")):
            seen = (await query(other, bob))["master_keys"][bob.user_id]
            assert seen["signatures"] == {}

    async def test_a_signature_that_does_not_hold_is_refused(
        self, alice: Client, hers: CrossSigning, his: CrossSigning
    ) -> None:
        device = DeviceKeys.of(alice)
        forged = sign(device.signed, alice.user_id, hers.public("self_signing"), his.key("self_signing"))
        assert await self.upload(alice, alice.user_id, alice.device_id, forged) == "M_INVALID_SIGNATURE"

    async def test_a_signature_by_a_key_that_may_not_sign_this_is_refused(
        self, alice: Client, bob: Client, hers: CrossSigning, his: CrossSigning
    ) -> None:
        wrong = hers.sign(DeviceKeys.of(alice).signed, "user_signing")
        assert await self.upload(alice, alice.user_id, alice.device_id, wrong) == "M_INVALID_SIGNATURE"
        wrong = hers.sign(his.key_object("master"), "self_signing")
        assert await self.upload(alice, bob.user_id, his.public("master"), wrong) == "M_INVALID_SIGNATURE"

    async def test_the_key_must_be_the_one_that_is_known(self, alice: Client, hers: CrossSigning) -> None:
        altered = {**DeviceKeys.of(alice).signed, "algorithms": ["m.none"]}
        signed = hers.sign(altered, "self_signing")
        assert await self.upload(alice, alice.user_id, alice.device_id, signed) == "M_INVALID_PARAM"

    async def test_other_keys_can_not_be_signed(
        self, alice: Client, bob: Client, hers: CrossSigning, his: CrossSigning
    ) -> None:
        signed = hers.sign(DeviceKeys.of(bob).signed, "user_signing")
        assert await self.upload(alice, bob.user_id, bob.device_id, signed) == "M_NOT_FOUND"
        assert await self.upload(alice, "@nobody:tab.test", "NOWHERE", {}) == "M_NOT_FOUND"
        assert await self.upload(alice, alice.user_id, alice.device_id, "text") == "M_BAD_JSON"

    async def test_one_that_fails_does_not_hinder_the_others(self, alice: Client, hers: CrossSigning) -> None:
        signed = hers.sign(DeviceKeys.of(alice).signed, "self_signing")
        body = {alice.user_id: {"NOWHERE": signed, alice.device_id: signed}}
        failures = (await alice.post(SIGNATURES, body))["failures"]
        assert list(failures[alice.user_id]) == ["NOWHERE"]
        seen = (await query(alice, alice))["device_keys"][alice.user_id][alice.device_id]
        assert seen["signatures"] == signed["signatures"]

    async def test_signatures_end_with_the_key_that_they_are_on(
        self, alice: Client, bob: Client, hers: CrossSigning, his: CrossSigning
    ) -> None:
        signed = hers.sign(his.key_object("master"), "user_signing")
        await self.upload(alice, bob.user_id, his.public("master"), signed)
        auth = {"type": "m.login.password", "user": "bob", "password": "tulip"}
        await bob.post(UPLOAD, {**CrossSigning.of(bob.user_id, generation=2).upload, "auth": auth})
        await bob.post(UPLOAD, {**his.upload, "auth": auth})
        assert (await query(alice, bob))["master_keys"][bob.user_id]["signatures"] == {}
