"""Logging in at OpenID Connect providers: a real one in a process of its own, and one that lies."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from helpers.homeserver import Client, TestServer
from helpers.page_reader import Browser, Page
from helpers.ports import free_port
from tabstead.accounts.deactivation import deactivate
from tabstead.configuration import IdentityProvider, Registration, SingleSignOn
from tabstead.native.httpx_outbound import HttpxOutbound
from tabstead.outbound import OutboundRequest, OutboundResponse

REDIRECT = "/_matrix/client/v3/login/sso/redirect"
APP = "https://app.test/#/welcome?x=1"
PEOPLE = [
    {"sub": "1", "preferred_username": "Ren\u00e9e", "name": "Ren\u00e9e R.", "email": "renee@mail.test"},
    {"sub": "2", "preferred_username": "alice", "name": "Another Alice"},
]


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """A provider that knows two people, and asks nobody for a password."""
    port = free_port()
    people = [argument for person in PEOPLE for argument in ("--user-claims", json.dumps(person))]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), "-n", "true", *people]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    while process.poll() is None and not answers(port):
        pass
    yield address
    process.kill()
    process.wait()


def answers(port: int) -> bool:
    try:
        connection = HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/.well-known/openid-configuration")
        return connection.getresponse().status == 200
    except OSError:
        return False


def provider_at(issuer: str, **more: Any) -> IdentityProvider:
    return IdentityProvider(
        id="example", name="Example", issuer=issuer, client_id="tab", client_secret="s3cret", **more
    )


@pytest.fixture
async def server(tmp_path: Path, issuer: str) -> AsyncIterator[TestServer]:
    server = await TestServer.open(tmp_path, outbound=HttpxOutbound(), identity_providers=(provider_at(issuer),))
    yield server
    await server.close()


def sign_in_there(url: str, subject: str) -> str:
    """What a person does at the provider; where they are sent back to."""

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *arguments: Any) -> None:
            return None

    opener = urllib.request.build_opener(NoRedirect)
    body = urlencode({"sub": subject, "action": "authorize"}).encode()
    try:
        opener.open(url, body)
    except urllib.error.HTTPError as answer:
        assert answer.code == 302, answer.read()
        return str(answer.headers["location"])
    raise AssertionError("the provider sent nobody back")


async def come_back(server: TestServer, subject: str = "1", url: str = "", **query: str) -> tuple[Browser, Page]:
    """A browser on the page after a login at the provider."""
    browser = Browser(server)
    await browser.open(f"{url or REDIRECT}?{urlencode({'redirectUrl': APP, **query})}")
    assert browser.left_for is not None
    return browser, await browser.open(sign_in_there(browser.left_for, subject))


async def log_in(server: TestServer, subject: str = "1") -> Client:
    browser, page = await come_back(server, subject)
    await browser.press(page, "Allow")
    token = dict(parse_qsl(browser.left_for_query))["loginToken"]
    granted = await server.anonymous().post("/v3/login", {"type": "m.login.token", "token": token})
    return Client(server=server, user_id=granted["user_id"], access_token=granted["access_token"])


class TestLoggingIn:
    async def test_clients_are_told_of_the_provider(self, server: TestServer) -> None:
        flows = (await server.anonymous().get("/v3/login"))["flows"]
        sso = {"type": "m.login.sso", "identity_providers": [{"id": "example", "name": "Example"}]}
        assert sso in flows

    async def test_the_provider_is_asked_with_pkce_and_a_nonce(self, server: TestServer, issuer: str) -> None:
        browser = Browser(server)
        await browser.open(f"{REDIRECT}/example?{urlencode({'redirectUrl': APP})}")
        assert browser.left_for is not None and browser.left_for.startswith(f"{issuer}/oauth2/authorize?")
        asked = parse_qs(browser.left_for_query)
        assert asked["redirect_uri"] == ["https://tab.test/_matrix/client/web/callback"]
        assert asked["code_challenge_method"] == ["S256"] and len(asked["code_challenge"][0]) == 43
        assert asked["nonce"] and asked["state"] and asked["scope"] == ["openid profile email"]

    async def test_a_new_person_gets_an_account(self, server: TestServer) -> None:
        renee = await log_in(server)
        assert renee.user_id == "@ren=c3=a9e:tab.test"
        profile = await renee.get(f"/v3/profile/{renee.user_id}")
        assert profile["displayname"] == "Ren\u00e9e R."

    async def test_and_the_same_one_the_next_time(self, server: TestServer) -> None:
        assert (await log_in(server)).user_id == (await log_in(server)).user_id

    async def test_a_name_that_is_taken_is_not_given_away(self, server: TestServer) -> None:
        await server.register("alice")
        assert (await log_in(server, "2")).user_id == "@alice2:tab.test"

    async def test_the_client_gets_its_token_once_the_person_agrees(self, server: TestServer) -> None:
        browser, page = await come_back(server)
        assert "app.test" in page.text and browser.cookies
        assert "form-action 'self' https://app.test;" in page.answer.headers["content-security-policy"]
        await browser.press(page, "Allow")
        assert browser.left_for is not None
        assert browser.left_for.startswith("https://app.test/?loginToken=")
        assert browser.left_for.endswith("#/welcome?x=1")

    async def test_or_at_once_where_the_operator_trusts_it(self, tmp_path: Path, issuer: str) -> None:
        trusting = SingleSignOn(trusted_clients=("https://app.test/",))
        server = await TestServer.open(
            tmp_path,
            "trusting.test",
            outbound=HttpxOutbound(),
            identity_providers=(provider_at(issuer),),
            single_sign_on=trusting,
        )
        browser, _ = await come_back(server)
        assert "loginToken=" in browser.left_for_query
        await server.close()

    async def test_a_login_token_lives_for_half_a_minute(self, server: TestServer) -> None:
        browser, page = await come_back(server)
        await browser.press(page, "Allow")
        token = dict(parse_qsl(browser.left_for_query))["loginToken"]
        server.clock.now += 30_000
        body = {"type": "m.login.token", "token": token}
        assert await server.anonymous().refused("POST", "/v3/login", body) == (403, "M_FORBIDDEN")

    async def test_nobody_comes_back_in_anothers_place(self, server: TestServer) -> None:
        """Else somebody could be logged in as somebody else without noticing."""
        attacker = Browser(server)
        await attacker.open(f"{REDIRECT}?{urlencode({'redirectUrl': APP})}")
        assert attacker.left_for is not None
        back = sign_in_there(attacker.left_for, "1")
        assert (await Browser(server).open(back)).answer.status == 403

    async def test_nor_twice(self, server: TestServer) -> None:
        browser = Browser(server)
        await browser.open(f"{REDIRECT}?{urlencode({'redirectUrl': APP})}")
        assert browser.left_for is not None
        back = sign_in_there(browser.left_for, "1")
        await browser.open(back)
        assert (await browser.open(back)).answer.status == 403

    async def test_a_closed_account_stays_closed(self, server: TestServer) -> None:
        renee = await log_in(server)
        local_server = server.homeserver.context.local_server
        await server.write(lambda db: deactivate(db, local_server, renee.user_id, erase=True))
        _, page = await come_back(server)
        assert page.answer.status == 403

    @pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "no url", "https://a b/"])
    async def test_only_to_where_a_browser_can_go(self, server: TestServer, url: str) -> None:
        page = await Browser(server).open(f"{REDIRECT}?{urlencode({'redirectUrl': url})}")
        assert page.answer.status == 400

    async def test_an_unknown_provider_has_a_page(self, server: TestServer) -> None:
        server.validates = False
        page = await Browser(server).open(f"{REDIRECT}/other?{urlencode({'redirectUrl': APP})}")
        assert page.answer.status == 404 and "no such identity provider" in page.text

    async def test_where_several_are_the_person_chooses(self, tmp_path: Path, issuer: str) -> None:
        second = IdentityProvider(id="second", name="Second", issuer=issuer, client_id="tab2", client_secret="x")
        server = await TestServer.open(
            tmp_path, "two.test", outbound=HttpxOutbound(), identity_providers=(provider_at(issuer), second)
        )
        browser = Browser(server)
        page = await browser.open(f"{REDIRECT}?{urlencode({'redirectUrl': APP})}")
        await browser.press(page, "Continue with Second")
        assert parse_qs(browser.left_for_query)["client_id"] == ["tab2"]
        page = await browser.open(sign_in_there(str(browser.left_for), "2"))
        assert "@alice:two.test" in page.text
        await server.close()

    async def test_where_nobody_new_is_let_in(self, tmp_path: Path, issuer: str) -> None:
        server = await TestServer.open(
            tmp_path,
            "closed.test",
            outbound=HttpxOutbound(),
            identity_providers=(provider_at(issuer, registers=False),),
            registration=Registration(open=False),
        )
        _, page = await come_back(server)
        assert page.answer.status == 403 and "You have no account on this server." in page.text
        await server.close()

    async def test_without_cookies_as_in_a_worker(self, tmp_path: Path, issuer: str) -> None:
        server = await TestServer.open(
            tmp_path,
            "worker.test",
            outbound=HttpxOutbound(),
            identity_providers=(provider_at(issuer),),
            has_cookies=False,
        )
        browser, page = await come_back(server)
        assert "Allow" in page.labels and browser.cookies == {}
        await server.close()

    async def test_a_server_that_can_ask_nobody_says_so(self, tmp_path: Path, issuer: str) -> None:
        server = await TestServer.open(tmp_path, "alone.test", identity_providers=(provider_at(issuer),))
        server.validates = False
        page = await Browser(server).open(f"{REDIRECT}?{urlencode({'redirectUrl': APP})}")
        assert page.answer.status == 503 and "can't ask Example" in page.text
        await server.close()


class TestConfirmingAnOperation:
    async def challenge(self, renee: Client) -> Any:
        answer = await renee.answer("POST", "/v3/delete_devices", {"devices": ["GONE"]})
        assert (answer.status, answer.json["flows"]) == (401, [{"stages": ["m.login.sso"]}])
        return answer.json["session"]

    async def confirm(self, server: TestServer, session: str, subject: str) -> Page:
        browser = Browser(server)
        page = await browser.open(f"/_matrix/client/v3/auth/m.login.sso/fallback/web?session={session}")
        assert "remove devices from your account" in page.text
        await browser.press(page, "Confirm with Example")
        return await browser.open(sign_in_there(str(browser.left_for), subject))

    async def test_who_has_no_password_signs_in_once_more(self, server: TestServer) -> None:
        renee = await log_in(server)
        session = await self.challenge(renee)
        done = await self.confirm(server, session, "1")
        assert b"onAuthDone" in done.answer.body
        assert "script-src 'sha256-" in done.answer.headers["content-security-policy"]
        await renee.post("/v3/delete_devices", {"devices": ["GONE"], "auth": {"session": session}})

    async def test_as_nobody_else(self, server: TestServer) -> None:
        renee = await log_in(server)
        session = await self.challenge(renee)
        await log_in(server, "2")
        assert (await self.confirm(server, session, "2")).answer.status == 403
        body = {"devices": ["GONE"], "auth": {"session": session}}
        assert (await renee.answer("POST", "/v3/delete_devices", body)).status == 401


class Liar:
    """An Outbound that answers as a provider would, but for one thing."""

    def __init__(self, **lies: Any) -> None:
        self.lies = lies
        self.key = RSAKey.generate_key(2048, {"kid": "a"})
        self.nonce = ""
        self.redeemed: dict[str, str] = {}

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        path = urlsplit(request.url).path
        said = {
            "/.well-known/openid-configuration": self.discovery,
            "/token": self.tokens,
            "/keys": lambda _: KeySet([self.lies.get("published", self.key)]).as_dict(private=False),
            "/userinfo": lambda _: {"sub": self.lies.get("userinfo_sub", "1"), "preferred_username": "ren"},
        }[path](request)
        return OutboundResponse(status=200, url=request.url, headers={}, body=json.dumps(said).encode())

    def discovery(self, request: OutboundRequest) -> dict[str, Any]:
        base = "https://liar.test"
        return {
            "issuer": self.lies.get("issuer", base),
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/token",
            "jwks_uri": f"{base}/keys",
            "userinfo_endpoint": f"{base}/userinfo",
        }

    def tokens(self, request: OutboundRequest) -> dict[str, Any]:
        self.redeemed = dict(parse_qsl((request.body or b"").decode()))
        claims = {"iss": "https://liar.test", "sub": "1", "aud": "tab", "exp": 4_000_000_000, "nonce": self.nonce}
        claims |= self.lies.get("claims", {})
        header = {"alg": self.lies.get("alg", "RS256"), "kid": "a"}
        if header["alg"] == "none":
            parts = (urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims))
            return {"id_token": f"{'.'.join(parts)}.", "access_token": "x"}
        return {"id_token": jwt.encode(header, claims, self.key), "access_token": "x"}

    async def close(self) -> None:
        """Nothing is open."""


class TestAProviderThatLies:
    async def come_back(self, tmp_path: Path, liar: Liar) -> Page:
        provider = provider_at("https://liar.test")
        server = await TestServer.open(tmp_path, outbound=liar, identity_providers=(provider,))
        server.validates = False
        browser = Browser(server)
        page = await browser.open(f"{REDIRECT}?{urlencode({'redirectUrl': APP})}")
        if browser.left_for is not None:
            asked = dict(parse_qsl(browser.left_for_query))
            liar.nonce = asked["nonce"]
            self.challenge = asked["code_challenge"]
            page = await browser.open(f"/_matrix/client/web/callback?code=c&state={asked['state']}")
        await server.close()
        return page

    async def test_one_that_does_not_is_believed(self, tmp_path: Path) -> None:
        liar = Liar()
        page = await self.come_back(tmp_path, liar)
        assert "@ren:tab.test" in page.text
        verified = sha256(liar.redeemed["code_verifier"].encode()).digest()
        assert urlsafe_b64decode(self.challenge + "=") == verified, "PKCE holds both ends together"

    @pytest.mark.parametrize(
        "lies",
        [
            {"published": RSAKey.generate_key(2048, {"kid": "a"})},
            {"alg": "none"},
            {"claims": {"nonce": "another"}},
            {"claims": {"iss": "https://other.test"}},
            {"claims": {"aud": "somebody else"}},
            {"claims": {"aud": ["tab", "another"]}},
            {"claims": {"exp": 1_000_000_000}},
            {"claims": {"sub": ""}},
            {"userinfo_sub": "2"},
        ],
        ids=lambda lies: json.dumps({name: str(lie)[:20] for name, lie in lies.items()}),
    )
    async def test_one_that_does_is_not(self, tmp_path: Path, lies: dict[str, Any]) -> None:
        page = await self.come_back(tmp_path, Liar(**lies))
        assert page.answer.status == 403

    async def test_nor_is_one_that_calls_itself_another(self, tmp_path: Path) -> None:
        page = await self.come_back(tmp_path, Liar(issuer="https://other.test"))
        assert page.answer.status == 502
