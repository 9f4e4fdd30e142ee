"""The OAuth 2.0 API: registering a client, the user's consent in a browser, tokens, devices without a browser."""

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from helpers.homeserver import Answer, Client, TestServer
from helpers.key_owner import CrossSigning
from helpers.page_reader import Browser, Page
from tabstead.configuration import OAuth, Policy, Registration

OAUTH = "/_matrix/client/oauth2"
FORM = {"content-type": "application/x-www-form-urlencoded"}
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
WEB = {
    "client_name": "Example",
    "client_uri": "https://example.com/",
    "redirect_uris": ["https://app.example.com/back?a=1"],
    "grant_types": ["authorization_code", "refresh_token", DEVICE_GRANT, "urn:example:unknown"],
    "response_types": ["code", "token"],
    "token_endpoint_auth_method": "none",
    "tos_uri": "https://example.com/tos",
    "client_name#fr": "Exemple",
}
NATIVE = {
    **WEB,
    "application_type": "native",
    "redirect_uris": ["com.example.app:/back", "http://127.0.0.1/back", "http://[::1]/back"],
}


def scope(device: str = "PHONE") -> str:
    return f"urn:matrix:client:api:* urn:matrix:client:device:{device}"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[TestServer]:
    server = await TestServer.open(tmp_path)
    await server.register("alice", "rosebud")
    yield server
    await server.close()


async def register(server: TestServer, metadata: dict[str, Any] = WEB) -> str:
    answer = await server.anonymous().answer("POST", f"{OAUTH}/registration", metadata)
    assert answer.status == 201, answer.body
    return str(answer.json["client_id"])


async def post(server: TestServer, path: str, **fields: str) -> Answer:
    return await server.anonymous().answer("POST", f"{OAUTH}/{path}", urlencode(fields).encode(), headers=FORM)


def authorization(client_id: str, /, **changes: str) -> str:
    fields = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": WEB["redirect_uris"][0],
        "scope": scope(),
        "state": "st&te",
        "response_mode": "query",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return f"{OAUTH}/authorize?{urlencode({name: value for name, value in fields.items() if value})}"


async def sign_in(browser: Browser, address: str, password: str = "rosebud") -> Page:
    return await browser.submit(await browser.open(address), username="alice", password=password)


async def authorize(server: TestServer, client_id: str, **changes: str) -> str:
    """The code that a user's consent comes to."""
    browser = Browser(server)
    consent = await sign_in(browser, authorization(client_id, **changes))
    await browser.press(consent, "Allow")
    assert browser.left_for is not None
    parts = urlsplit(browser.left_for)
    fields = parse_qs(parts.fragment or parts.query)
    assert fields["state"] == ["st&te"]
    return fields["code"][0]


async def redeem(server: TestServer, client_id: str, code: str, **changes: str) -> Answer:
    fields = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": code,
        "redirect_uri": WEB["redirect_uris"][0],
        "code_verifier": VERIFIER,
        **changes,
    }
    return await post(server, "token", **fields)


async def log_in(server: TestServer, device: str = "PHONE") -> tuple[str, dict[str, Any]]:
    """A client's id and its tokens."""
    client_id = await register(server)
    answer = await redeem(server, client_id, await authorize(server, client_id, scope=scope(device)))
    assert answer.status == 200, answer.body
    return client_id, answer.json


def holder(server: TestServer, tokens: dict[str, Any]) -> Client:
    return Client(server=server, user_id="@alice:tab.test", access_token=tokens["access_token"])


class TestDiscovery:
    async def test_the_metadata_names_every_endpoint(self, server: TestServer) -> None:
        metadata = await server.anonymous().get("/v1/auth_metadata")
        assert metadata["issuer"] == "https://tab.test/"
        assert metadata["authorization_endpoint"] == f"https://tab.test{OAUTH}/authorize"
        assert metadata["grant_types_supported"] == ["authorization_code", "refresh_token", DEVICE_GRANT]
        assert metadata["code_challenge_methods_supported"] == ["S256"]
        assert metadata["prompt_values_supported"] == ["create"]
        assert "org.matrix.device_delete" in metadata["account_management_actions_supported"]

    async def test_a_server_may_do_without(self, tmp_path: Path) -> None:
        server = await TestServer.open(tmp_path, "legacy.test", oauth=OAuth(enabled=False))
        assert await server.anonymous().refused("GET", "/v1/auth_metadata") == (404, "M_UNRECOGNIZED")
        assert (await post(server, "token", grant_type="refresh_token")).status == 404
        await server.close()


class TestRegisteringAClient:
    async def test_what_is_understood_is_kept(self, server: TestServer) -> None:
        answer = await server.anonymous().answer("POST", f"{OAUTH}/registration", WEB)
        assert answer.json["grant_types"] == ["authorization_code", "refresh_token", DEVICE_GRANT]
        assert answer.json["response_types"] == ["code"]
        assert answer.json["application_type"] == "web"
        assert "client_name#fr" not in answer.json

    async def test_equal_metadata_is_the_same_client(self, server: TestServer) -> None:
        assert await register(server) == await register(server, {**WEB, "client_name#de": "Beispiel"})
        assert await register(server) != await register(server, {**WEB, "client_name": "Another"})

    @pytest.mark.parametrize(
        "uri",
        [
            "https://example.com/callback#fragment",
            "http://example.com/callback",
            "http://localhost/",
            "https://app.com/callback",
            "https://notexample.com/",
            "https://user@example.com/",
            "javascript:alert(1)",
            "https://example.com:port/",
            "",
        ],
    )
    async def test_redirect_uris_of_the_web(self, server: TestServer, uri: str) -> None:
        answer = await server.anonymous().answer("POST", f"{OAUTH}/registration", {**WEB, "redirect_uris": [uri]})
        assert (answer.status, answer.json["error"]) == (400, "invalid_redirect_uri")

    @pytest.mark.parametrize(
        "uri",
        [
            "com.example.app:/callback",
            "com.example:/",
            "com.example:callback",
            "http://localhost/callback",
            "http://127.0.0.1/callback",
            "http://[::1]/callback",
            "https://example.com/x",
        ],
    )
    async def test_redirect_uris_of_native_clients(self, server: TestServer, uri: str) -> None:
        await register(server, {**NATIVE, "redirect_uris": [uri]})

    @pytest.mark.parametrize(
        "uri",
        [
            "example:/callback",
            "com.example.app://callback",
            "https://localhost/callback",
            "http://localhost:1234/callback",
            "com.examples:/x",
            "http://example.com/",
        ],
    )
    async def test_and_what_they_can_not_be(self, server: TestServer, uri: str) -> None:
        answer = await server.anonymous().answer("POST", f"{OAUTH}/registration", {**NATIVE, "redirect_uris": [uri]})
        assert (answer.status, answer.json["error"]) == (400, "invalid_redirect_uri")

    @pytest.mark.parametrize(
        "change",
        [
            {"client_uri": None},
            {"client_uri": "http://example.com/"},
            {"application_type": "desktop"},
            {"tos_uri": "https://elsewhere.com/"},
            {"token_endpoint_auth_method": "client_secret_basic"},
        ],
    )
    async def test_metadata_that_is_wrong(self, server: TestServer, change: dict[str, Any]) -> None:
        answer = await server.anonymous().answer("POST", f"{OAUTH}/registration", {**WEB, **change})
        assert (answer.status, answer.json["error"]) == (400, "invalid_client_metadata")


class TestAuthorizing:
    async def test_the_user_signs_in_and_allows_it(self, server: TestServer) -> None:
        _, tokens = await log_in(server)
        assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 300, scope())
        alice = holder(server, tokens)
        who = await alice.get("/v3/account/whoami")
        assert who == {"user_id": "@alice:tab.test", "device_id": "PHONE", "is_guest": False}
        assert (await alice.get("/v3/devices/PHONE"))["display_name"] == "Example"

    async def test_the_consent_page_says_who_wants_what(self, server: TestServer) -> None:
        consent = await sign_in(Browser(server), authorization(await register(server)))
        for said in ("@alice:tab.test", "Example", "PHONE", "app.example.com"):
            assert said in consent.text
        policy = consent.answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "form-action 'self' https://app.example.com;" in policy

    async def test_the_answer_may_be_in_the_fragment(self, server: TestServer) -> None:
        client_id = await register(server)
        code = await authorize(server, client_id, response_mode="fragment")
        assert (await redeem(server, client_id, code)).status == 200

    async def test_a_native_client_listens_on_any_port(self, server: TestServer) -> None:
        client_id = await register(server, NATIVE)
        here = "http://127.0.0.1:49152/back"
        code = await authorize(server, client_id, redirect_uri=here)
        assert (await redeem(server, client_id, code, redirect_uri=here)).status == 200

    async def test_the_user_may_refuse(self, server: TestServer) -> None:
        browser = Browser(server)
        await browser.press(await sign_in(browser, authorization(await register(server))), "Cancel")
        assert parse_qs(browser.left_for_query)["error"] == ["access_denied"]
        assert parse_qs(browser.left_for_query)["a"] == ["1"], "the redirect URI's own query stays"

    async def test_a_wrong_password_may_be_typed_again(self, server: TestServer) -> None:
        browser = Browser(server)
        page = await sign_in(browser, authorization(await register(server)), "wrong")
        assert page.answer.status == 403 and "The user name or the password is wrong." in page.text
        assert "Allow" in (await browser.submit(page, username="alice", password="rosebud")).labels

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"response_type": "token"}, "unsupported_response_type"),
            ({"response_mode": "form_post"}, "invalid_request"),
            ({"code_challenge": ""}, "invalid_request"),
            ({"code_challenge_method": "plain"}, "invalid_request"),
            ({"scope": "openid"}, "invalid_scope"),
            ({"scope": "urn:matrix:client:api:*"}, "invalid_scope"),
            ({"scope": scope("A") + " urn:matrix:client:device:B"}, "invalid_scope"),
        ],
    )
    async def test_what_is_wrong_is_told_to_the_client(
        self, server: TestServer, change: dict[str, str], error: str
    ) -> None:
        browser = Browser(server)
        await browser.open(authorization(await register(server), **change))
        assert parse_qs(browser.left_for_query)["error"] == [error]
        assert parse_qs(browser.left_for_query)["state"] == ["st&te"]

    @pytest.mark.parametrize("change", [{"redirect_uri": "https://evil.test/"}, {"client_id": "tsc_made_up"}])
    async def test_but_nobody_is_sent_where_no_client_registered(
        self, server: TestServer, change: dict[str, str]
    ) -> None:
        browser = Browser(server)
        page = await browser.open(authorization(await register(server), **change))
        assert (page.answer.status, browser.left_for) == (400, None)

    async def test_whoever_sent_the_user_can_not_go_on_in_their_name(self, server: TestServer) -> None:
        attacker, victim = Browser(server), Browser(server)
        page = await attacker.open(authorization(await register(server)))
        visit = page.forms[0].fields["visit"]
        await victim.submit(page, username="alice", password="rosebud")
        page.forms[0].action, page.forms[0].fields = "consent", {"visit": visit, "decision": "allow"}
        assert (await attacker.submit(page)).answer.status == 404

    async def test_a_form_of_another_site_is_refused(self, server: TestServer) -> None:
        answer = await server.anonymous().answer(
            "POST", "/_matrix/client/web/consent", b"visit=x", headers={**FORM, "sec-fetch-site": "cross-site"}
        )
        assert answer.status == 403

    async def test_what_clients_say_of_themselves_is_text(self, server: TestServer) -> None:
        client_id = await register(server, {**WEB, "client_name": "<script>alert(1)</script>"})
        consent = await sign_in(Browser(server), authorization(client_id))
        assert b"<script>" not in consent.answer.body and "<script>alert(1)</script>" in consent.text


class TestCreatingAnAccount:
    async def test_a_client_may_ask_for_it(self, server: TestServer) -> None:
        browser = Browser(server)
        page = await browser.open(authorization(await register(server), prompt="create"))
        consent = await browser.submit(page, username="bob", password="tulip")
        assert "@bob:tab.test" in consent.text
        await server.log_in("bob", "tulip")

    async def test_a_name_that_is_taken_is_said_on_the_page(self, server: TestServer) -> None:
        browser = Browser(server)
        page = await browser.open(authorization(await register(server), prompt="create"))
        again = await browser.submit(page, username="alice", password="tulip")
        assert "This user name is taken." in again.text

    async def test_what_the_operator_requires_is_asked_for(self, tmp_path: Path) -> None:
        terms = (Policy(id="privacy", version="1", name="Privacy", url="https://tab.test/privacy"),)
        registration = Registration(requires_token=True, tokens=("abc",), terms=terms)
        server = await TestServer.open(tmp_path, "strict.test", registration=registration)
        browser = Browser(server)
        page = await browser.open(authorization(await register(server), prompt="create"))
        page = await browser.submit(page, username="bob", password="tulip", token="abc")
        assert "All documents have to be accepted." in page.text
        page = await browser.submit(page, username="bob", password="tulip", token="wrong", accept="privacy")
        assert "registration token" in page.text
        page = await browser.submit(page, username="bob", password="tulip", token="abc", accept="privacy")
        assert "Allow" in page.labels
        await server.close()

    async def test_a_closed_server_only_signs_in(self, tmp_path: Path) -> None:
        server = await TestServer.open(tmp_path, "closed.test", registration=Registration(open=False))
        page = await Browser(server).open(authorization(await register(server), prompt="create"))
        assert page.labels == ["Sign in"]
        assert (await server.anonymous().get("/v1/auth_metadata"))["prompt_values_supported"] == []
        await server.close()


class TestTokens:
    @pytest.mark.parametrize(
        "change",
        [{"code_verifier": "w" * 43}, {"redirect_uri": "https://example.com/"}, {"code": "made up"}],
    )
    async def test_a_code_is_good_with_its_own_parameters_alone(
        self, server: TestServer, change: dict[str, str]
    ) -> None:
        client_id = await register(server)
        code = await authorize(server, client_id)
        answer = await redeem(server, client_id, **{"code": code, **change})
        assert (answer.status, answer.json["error"]) == (400, "invalid_grant")

    async def test_once_and_for_a_minute(self, server: TestServer) -> None:
        client_id = await register(server)
        code = await authorize(server, client_id)
        assert (await redeem(server, client_id, code)).status == 200
        assert (await redeem(server, client_id, code)).json["error"] == "invalid_grant"
        late = await authorize(server, client_id)
        server.clock.now += 60_000
        assert (await redeem(server, client_id, late)).json["error"] == "invalid_grant"

    async def test_a_failed_attempt_uses_the_code_up(self, server: TestServer) -> None:
        client_id = await register(server)
        code = await authorize(server, client_id)
        assert (await redeem(server, client_id, code, code_verifier="w" * 43)).status == 400
        assert (await redeem(server, client_id, code)).status == 400

    async def refresh(self, server: TestServer, client_id: str, token: str) -> Answer:
        return await post(server, "token", grant_type="refresh_token", client_id=client_id, refresh_token=token)

    async def test_they_are_refreshed(self, server: TestServer) -> None:
        client_id, tokens = await log_in(server)
        server.clock.now += tokens["expires_in"] * 1000
        refused = await holder(server, tokens).answer("GET", "/v3/account/whoami")
        assert (refused.status, refused.json["soft_logout"]) == (401, True)
        fresh = await self.refresh(server, client_id, tokens["refresh_token"])
        assert fresh.headers["cache-control"] == "no-store"
        await holder(server, fresh.json).get("/v3/account/whoami")

    async def test_a_client_that_lost_the_answer_refreshes_again(self, server: TestServer) -> None:
        client_id, tokens = await log_in(server)
        await self.refresh(server, client_id, tokens["refresh_token"])
        again = await self.refresh(server, client_id, tokens["refresh_token"])
        await holder(server, again.json).get("/v3/account/whoami")

    async def test_an_old_token_that_is_used_after_all_ends_the_session(self, server: TestServer) -> None:
        client_id, tokens = await log_in(server)
        fresh = (await self.refresh(server, client_id, tokens["refresh_token"])).json
        await holder(server, fresh).get("/v3/account/whoami")
        stolen = await self.refresh(server, client_id, tokens["refresh_token"])
        assert (stolen.status, stolen.json["error"]) == (400, "invalid_grant")
        assert await holder(server, fresh).refused("GET", "/v3/account/whoami") == (401, "M_UNKNOWN_TOKEN")

    async def test_each_api_refreshes_its_own(self, server: TestServer) -> None:
        _, tokens = await log_in(server)
        body = {"refresh_token": tokens["refresh_token"]}
        assert await server.anonymous().refused("POST", "/v3/refresh", body) == (401, "M_UNKNOWN_TOKEN")

    @pytest.mark.parametrize("which", ["access_token", "refresh_token"])
    async def test_giving_one_back_ends_both_and_the_device(self, server: TestServer, which: str) -> None:
        client_id, tokens = await log_in(server)
        assert (await post(server, "revoke", token=tokens[which], client_id=client_id)).status == 200
        assert await holder(server, tokens).refused("GET", "/v3/account/whoami") == (401, "M_UNKNOWN_TOKEN")
        assert (await self.refresh(server, client_id, tokens["refresh_token"])).status == 400
        assert (await post(server, "revoke", token=tokens[which])).status == 200

    async def test_a_known_device_is_taken_over(self, server: TestServer) -> None:
        _, first = await log_in(server)
        _, second = await log_in(server)
        assert await holder(server, first).refused("GET", "/v3/account/whoami") == (401, "M_UNKNOWN_TOKEN")
        assert (await holder(server, second).get("/v3/account/whoami"))["device_id"] == "PHONE"

    async def test_errors_are_those_of_the_standard(self, server: TestServer) -> None:
        assert (await post(server, "token", grant_type="password")).json["error"] == "unsupported_grant_type"
        assert (await post(server, "token")).json["error"] == "invalid_request"
        unknown = await post(server, "token", grant_type="refresh_token", client_id="x", refresh_token="y")
        assert (unknown.status, unknown.json["error"]) == (401, "invalid_client")
        client_id = await register(server, {**WEB, "grant_types": ["authorization_code"]})
        denied = await post(server, "token", grant_type="refresh_token", client_id=client_id, refresh_token="y")
        assert denied.json["error"] == "unauthorized_client"
        wrong = await server.anonymous().answer("POST", f"{OAUTH}/token", json.dumps({"grant_type": "x"}).encode())
        assert wrong.json["error"] == "invalid_request"


class TestADeviceWithoutABrowser:
    async def begin(self, server: TestServer) -> tuple[str, dict[str, Any]]:
        client_id = await register(server)
        return client_id, (await post(server, "device", client_id=client_id, scope=scope("TV"))).json

    async def poll(self, server: TestServer, client_id: str, begun: dict[str, Any]) -> Answer:
        code = begun["device_code"]
        return await post(server, "token", grant_type=DEVICE_GRANT, client_id=client_id, device_code=code)

    async def test_the_user_allows_it_elsewhere(self, server: TestServer) -> None:
        client_id, begun = await self.begin(server)
        assert (begun["interval"], begun["expires_in"]) == (5, 1200)
        waiting = await self.poll(server, client_id, begun)
        assert (waiting.status, waiting.json["error"]) == (400, "authorization_pending")
        assert (await self.poll(server, client_id, begun)).json["error"] == "slow_down"
        browser = Browser(server)
        consent = await sign_in(browser, begun["verification_uri_complete"])
        assert begun["user_code"] in consent.text and "TV" in consent.text
        done = await browser.press(consent, "Allow")
        assert "goes on by itself" in done.text
        tokens = (await self.poll(server, client_id, begun)).json
        assert (await holder(server, tokens).get("/v3/account/whoami"))["device_id"] == "TV"
        assert (await self.poll(server, client_id, begun)).json["error"] == "invalid_grant"

    async def test_the_code_can_be_typed(self, server: TestServer) -> None:
        _, begun = await self.begin(server)
        browser = Browser(server)
        page = await browser.open(begun["verification_uri"])
        wrong = await browser.submit(page, user_code="XXXX-XXXX")
        assert wrong.answer.status == 404 and "This code is not known" in wrong.text
        typed = begun["user_code"].lower().replace("-", " ")
        assert "Sign in" in (await browser.submit(wrong, user_code=typed)).labels

    async def test_the_user_may_refuse(self, server: TestServer) -> None:
        client_id, begun = await self.begin(server)
        browser = Browser(server)
        await browser.press(await sign_in(browser, begun["verification_uri_complete"]), "Cancel")
        assert (await self.poll(server, client_id, begun)).json["error"] == "access_denied"

    async def test_a_code_expires(self, server: TestServer) -> None:
        client_id, begun = await self.begin(server)
        server.clock.now += begun["expires_in"] * 1000
        assert (await self.poll(server, client_id, begun)).json["error"] == "expired_token"

    async def test_the_device_code_is_the_clients_own(self, server: TestServer) -> None:
        _, begun = await self.begin(server)
        another = await register(server, {**WEB, "client_name": "Another"})
        assert (await self.poll(server, another, begun)).json["error"] == "invalid_grant"


class TestTheAccountPage:
    account = "/_matrix/client/web/account"

    async def open(self, server: TestServer, query: str = "") -> tuple[Browser, Page]:
        browser = Browser(server)
        return browser, await sign_in(browser, f"{self.account}{query}")

    async def test_it_leads_to_all_that_can_be_done(self, server: TestServer) -> None:
        _, page = await self.open(server)
        expected = ["Your name", "Your devices", "Change your password", "Replace your keys", "Close your account"]
        assert page.labels == expected

    async def test_the_name_is_changed_in_rooms_too(self, server: TestServer) -> None:
        alice = await server.log_in("alice", "rosebud")
        room_id = await alice.create_room()
        browser, page = await self.open(server, "?action=org.matrix.profile")
        await browser.submit(page, displayname="Alice A.")
        assert (await alice.state(room_id, "m.room.member", alice.user_id))["displayname"] == "Alice A."

    async def test_a_client_leads_to_a_device(self, server: TestServer) -> None:
        await log_in(server)
        browser, page = await self.open(server, "?action=org.matrix.device_view&device_id=PHONE")
        assert "PHONE" in page.text
        page = await browser.submit(page, display_name="Telephone")
        assert "Telephone" in page.text

    async def test_or_to_its_end(self, server: TestServer) -> None:
        _, tokens = await log_in(server)
        browser, page = await self.open(server, "?action=org.matrix.device_delete&device_id=PHONE")
        await browser.press(page, "Sign it out")
        assert await holder(server, tokens).refused("GET", "/v3/account/whoami") == (401, "M_UNKNOWN_TOKEN")

    async def test_an_account_is_closed_with_the_password_alone(self, server: TestServer) -> None:
        browser, page = await self.open(server, "?action=org.matrix.account_deactivate")
        label = "Close my account for good"
        assert (await browser.press(page, label, password="wrong")).answer.status == 403
        closed = await browser.press(page, label, password="rosebud")
        assert "Your account is closed" in closed.text
        login = {"type": "m.login.password", "user": "alice", "password": "rosebud"}
        assert await server.anonymous().refused("POST", "/v3/login", login) == (403, "M_USER_DEACTIVATED")

    async def test_the_password_is_changed(self, server: TestServer) -> None:
        browser, page = await self.open(server)
        page = await browser.press(page, "Change your password")
        await browser.submit(page, password="rosebud", new_password="daisy")
        await server.log_in("alice", "daisy")

    async def test_operations_of_the_legacy_api_are_left_to_it(self, server: TestServer) -> None:
        _, tokens = await log_in(server)
        alice = holder(server, tokens)
        refused = await alice.refused("POST", "/v3/delete_devices", {"devices": ["PHONE"]})
        assert refused == (403, "M_FORBIDDEN")
        assert (await alice.get("/v3/capabilities"))["capabilities"]["m.get_login_token"] == {"enabled": False}

    async def test_new_keys_want_the_users_leave(self, server: TestServer) -> None:
        _, tokens = await log_in(server)
        alice = holder(server, tokens)
        path = "/v3/keys/device_signing/upload"
        first, second = (CrossSigning.of(alice.user_id, generation).upload for generation in (1, 2))
        await alice.post(path, first)
        challenge = await alice.answer("POST", path, second)
        assert challenge.json["flows"] == [{"stages": ["m.oauth"]}]
        url = challenge.json["params"]["m.oauth"]["url"]
        body = {**second, "auth": {"session": challenge.json["session"]}}
        assert (await alice.answer("POST", path, body)).status == 401
        browser = Browser(server)
        page = await sign_in(browser, url)
        await browser.press(page, "Allow it for ten minutes", password="rosebud")
        await alice.post(path, body)
