"""Email addresses: proving them, adding them, logging in and getting a new password with them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from helpers.homeserver import Answer, Client, TestServer
from helpers.mailbox import Mailbox
from tabstead.configuration import Registration

ADDRESS = "alice@mail.test"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
async def server(tmp_path: Path, mailbox: Mailbox) -> AsyncIterator[TestServer]:
    server = await TestServer.open(tmp_path, mailer=mailbox)
    yield server
    await server.close()


@pytest.fixture
async def alice(server: TestServer) -> Client:
    return await server.register("alice", "rosebud")


def password(secret: str = "rosebud") -> dict[str, Any]:
    return {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "alice"}, "password": secret}


def asked(email: str = ADDRESS, secret: str = "s3cret", attempt: int = 1, **more: Any) -> dict[str, Any]:
    return {"email": email, "client_secret": secret, "send_attempt": attempt, **more}


async def ask(client: Client, path: str, body: dict[str, Any] | None = None) -> str:
    """The session of a validation."""
    return str((await client.post(f"/v3/{path}/email/requestToken", body or asked()))["sid"])


async def press(client: Client, link: str) -> Answer:
    """Open a link as a browser does, and press the button."""
    shown = await client.answer("GET", link.partition("?")[0], **dict(parse_qsl(urlsplit(link).query)))
    assert shown.status == 200 and shown.headers["content-type"] == "text/html; charset=utf-8"
    form = urlencode(parse_qsl(urlsplit(link).query)).encode()
    return await client.answer("POST", link.partition("?")[0], form, headers=FORM)


async def add_address(client: Client, mailbox: Mailbox, email: str = ADDRESS) -> None:
    sid = await ask(client, "account/3pid", asked(email))
    await press(client, mailbox.link())
    await client.post("/v3/account/3pid/add", {"sid": sid, "client_secret": "s3cret", "auth": password()})


class TestProving:
    async def test_the_link_proves_the_address_once_it_is_confirmed(
        self, server: TestServer, alice: Client, mailbox: Mailbox
    ) -> None:
        sid = await ask(alice, "account/3pid", asked("Alice@Mail.Test"))
        assert mailbox.mails[0].to == ADDRESS
        body = {"sid": sid, "client_secret": "s3cret", "auth": password()}
        assert await alice.refused("POST", "/v3/account/3pid/add", body) == (400, "M_THREEPID_AUTH_FAILED")
        confirmed = await press(server.anonymous(), mailbox.link())
        assert b"Thank you" in confirmed.body
        await alice.post("/v3/account/3pid/add", body)
        listed = (await alice.get("/v3/account/3pid"))["threepids"]
        assert [(entry["medium"], entry["address"]) for entry in listed] == [("email", ADDRESS)]
        assert listed[0]["validated_at"] < listed[0]["added_at"]

    async def test_looking_at_the_link_confirms_nothing(
        self, server: TestServer, alice: Client, mailbox: Mailbox
    ) -> None:
        sid = await ask(alice, "account/3pid")
        link = mailbox.link()
        await server.anonymous().answer("GET", link.partition("?")[0], **dict(parse_qsl(urlsplit(link).query)))
        body = {"sid": sid, "client_secret": "s3cret", "auth": password()}
        assert await alice.refused("POST", "/v3/account/3pid/add", body) == (400, "M_THREEPID_AUTH_FAILED")

    async def test_an_email_is_sent_again_only_for_a_higher_attempt(self, alice: Client, mailbox: Mailbox) -> None:
        first = await ask(alice, "account/3pid", asked(attempt=1))
        assert await ask(alice, "account/3pid", asked(attempt=1)) == first
        assert len(mailbox.mails) == 1
        assert await ask(alice, "account/3pid", asked(attempt=2)) == first
        assert len(mailbox.mails) == 2
        assert await ask(alice, "account/3pid", asked(secret="another", attempt=1)) != first

    async def test_an_email_that_could_not_be_sent_is_tried_again(self, alice: Client, mailbox: Mailbox) -> None:
        mailbox.is_broken = True
        path = "/v3/account/3pid/email/requestToken"
        assert (await alice.answer("POST", path, asked())).status == 503
        mailbox.is_broken = False
        await ask(alice, "account/3pid")
        assert len(mailbox.mails) == 1

    async def test_the_secret_and_the_purpose_must_be_the_same(self, alice: Client, mailbox: Mailbox) -> None:
        sid = await ask(alice, "account/3pid")
        await press(alice, mailbox.link())
        body = {"sid": sid, "client_secret": "guessed", "auth": password()}
        assert await alice.refused("POST", "/v3/account/3pid/add", body) == (400, "M_THREEPID_AUTH_FAILED")
        registering = await ask(alice, "register", asked("other@mail.test"))
        await press(alice, mailbox.link())
        body = {"sid": registering, "client_secret": "s3cret", "auth": password()}
        assert await alice.refused("POST", "/v3/account/3pid/add", body) == (400, "M_THREEPID_AUTH_FAILED")

    async def test_a_link_is_forgotten_after_a_day(self, server: TestServer, alice: Client, mailbox: Mailbox) -> None:
        await ask(alice, "account/3pid")
        server.clock.now += 24 * 60 * 60 * 1000
        link = mailbox.link()
        shown = await alice.answer("GET", link.partition("?")[0], **dict(parse_qsl(urlsplit(link).query)))
        assert shown.status == 404

    async def test_the_browser_is_sent_on_where_the_client_wants_it(self, alice: Client, mailbox: Mailbox) -> None:
        await ask(alice, "account/3pid", asked(next_link="https://app.test/done?x=1"))
        confirmed = await press(alice, mailbox.link())
        assert (confirmed.status, confirmed.headers["location"]) == (303, "https://app.test/done?x=1")
        path = "/v3/account/3pid/email/requestToken"
        assert await alice.refused("POST", path, asked(next_link="javascript:alert(1)")) == (400, "M_INVALID_PARAM")

    @pytest.mark.parametrize(
        "email", ["", "alice", "a@b@c", "a b@c.d", "a@b\r\nBcc: x@y.z", "<a@b.c>", "a@" + "b" * 300]
    )
    async def test_what_is_no_address_gets_no_email(self, alice: Client, mailbox: Mailbox, email: str) -> None:
        refused = await alice.refused("POST", "/v3/account/3pid/email/requestToken", asked(email))
        assert refused == (400, "M_INVALID_PARAM")
        assert mailbox.mails == []


class TestKeeping:
    async def test_an_address_is_one_accounts_alone(self, server: TestServer, alice: Client, mailbox: Mailbox) -> None:
        await add_address(alice, mailbox)
        bob = await server.register("bob")
        refused = await bob.refused("POST", "/v3/account/3pid/email/requestToken", asked(secret="bobs"))
        assert refused == (400, "M_THREEPID_IN_USE")

    async def test_it_goes_when_its_owner_wants(self, alice: Client, mailbox: Mailbox) -> None:
        await add_address(alice, mailbox)
        body = {"medium": "email", "address": "ALICE@mail.test"}
        assert await alice.post("/v3/account/3pid/delete", body) == {"id_server_unbind_result": "no-support"}
        assert await alice.get("/v3/account/3pid") == {"threepids": []}

    async def test_and_with_the_account(self, server: TestServer, alice: Client, mailbox: Mailbox) -> None:
        await add_address(alice, mailbox)
        await alice.post("/v3/account/deactivate", {"auth": password()})
        assert await server.read(lambda db: db.execute("SELECT * FROM third_party_ids").fetchall()) == []

    async def test_the_older_way_wants_a_validated_address_too(self, alice: Client, mailbox: Mailbox) -> None:
        sid = await ask(alice, "account/3pid")
        body = {"three_pid_creds": {"sid": sid, "client_secret": "s3cret"}}
        assert await alice.refused("POST", "/v3/account/3pid", body) == (403, "M_THREEPID_AUTH_FAILED")
        await press(alice, mailbox.link())
        await alice.post("/v3/account/3pid", body)
        assert len((await alice.get("/v3/account/3pid"))["threepids"]) == 1

    async def test_nothing_is_bound_at_identity_servers(self, alice: Client) -> None:
        body = {"client_secret": "a", "sid": "b", "id_server": "id.test", "id_access_token": "c"}
        assert await alice.refused("POST", "/v3/account/3pid/bind", body) == (400, "M_SERVER_NOT_TRUSTED")
        body = {"medium": "email", "address": ADDRESS}
        assert await alice.post("/v3/account/3pid/unbind", body) == {"id_server_unbind_result": "no-support"}

    @pytest.mark.parametrize("path", ["register", "account/password", "account/3pid"])
    async def test_phone_numbers_are_not_supported(self, alice: Client, path: str) -> None:
        body = {"client_secret": "a", "country": "GB", "phone_number": "07700900001", "send_attempt": 1}
        refused = await alice.refused("POST", f"/v3/{path}/msisdn/requestToken", body)
        assert refused == (400, "M_THREEPID_MEDIUM_NOT_SUPPORTED")

    async def test_nor_is_email_without_a_mail_server(self, tmp_path: Path) -> None:
        server = await TestServer.open(tmp_path, "mute.test")
        refused = await server.anonymous().refused("POST", "/v3/register/email/requestToken", asked())
        assert refused == (400, "M_THREEPID_MEDIUM_NOT_SUPPORTED")
        await server.close()


class TestLoggingIn:
    async def test_an_address_names_its_user(self, server: TestServer, alice: Client, mailbox: Mailbox) -> None:
        await add_address(alice, mailbox)
        identifier = {"type": "m.id.thirdparty", "medium": "email", "address": "Alice@mail.test"}
        ways = [{"identifier": identifier}, {"medium": "email", "address": ADDRESS}]
        for way in ways:
            body = {"type": "m.login.password", "password": "rosebud", **way}
            assert (await server.anonymous().post("/v3/login", body))["user_id"] == alice.user_id

    async def test_also_to_confirm_an_operation(self, alice: Client, mailbox: Mailbox) -> None:
        await add_address(alice, mailbox)
        identifier = {"type": "m.id.thirdparty", "medium": "email", "address": ADDRESS}
        auth = {"type": "m.login.password", "identifier": identifier, "password": "rosebud"}
        await alice.post("/v3/delete_devices", {"devices": [], "auth": auth})

    async def test_a_phone_number_is_nobodys(self, server: TestServer, alice: Client) -> None:
        identifier = {"type": "m.id.phone", "country": "GB", "phone": "07700 900001"}
        body = {"type": "m.login.password", "identifier": identifier, "password": "rosebud"}
        assert await server.anonymous().refused("POST", "/v3/login", body) == (403, "M_FORBIDDEN")
        body = {**body, "identifier": {"type": "m.id.magic"}}
        assert await server.anonymous().refused("POST", "/v3/login", body) == (400, "M_UNKNOWN")


class TestANewPassword:
    async def test_the_address_is_enough(self, server: TestServer, alice: Client, mailbox: Mailbox) -> None:
        await add_address(alice, mailbox)
        forgetful = server.anonymous()
        sid = await ask(forgetful, "account/password", asked(secret="another"))
        creds = {"type": "m.login.email.identity", "threepid_creds": {"sid": sid, "client_secret": "another"}}
        challenge = await forgetful.answer("POST", "/v3/account/password", {"new_password": "daisy"})
        assert challenge.json["flows"] == [{"stages": ["m.login.email.identity"]}]
        auth = {**creds, "session": challenge.json["session"]}
        waiting = await forgetful.answer("POST", "/v3/account/password", {"new_password": "daisy", "auth": auth})
        assert (waiting.status, waiting.json["errcode"]) == (401, "M_UNAUTHORIZED")
        await press(forgetful, mailbox.link())
        await forgetful.post("/v3/account/password", {"new_password": "daisy", "auth": auth})
        await server.log_in("alice", "daisy")
        assert await alice.refused("GET", "/v3/account/whoami") == (401, "M_UNKNOWN_TOKEN")

    async def test_devices_may_stay(self, server: TestServer, alice: Client, mailbox: Mailbox) -> None:
        await add_address(alice, mailbox)
        sid = await ask(server.anonymous(), "account/password", asked(secret="another"))
        await press(server.anonymous(), mailbox.link())
        creds = {"sid": sid, "client_secret": "another"}
        auth = {"type": "m.login.email.identity", "threepid_creds": creds}
        body = {"new_password": "daisy", "logout_devices": False, "auth": auth}
        await server.anonymous().post("/v3/account/password", body)
        await alice.get("/v3/account/whoami")
        again = await server.anonymous().answer("POST", "/v3/account/password", body)
        assert again.status == 401, "a link is good for one new password"

    async def test_whoever_asks_is_not_told_whether_there_is_an_account(
        self, server: TestServer, mailbox: Mailbox
    ) -> None:
        assert await ask(server.anonymous(), "account/password", asked("nobody@mail.test"))
        assert "no account there has it" in mailbox.mails[-1].text


class TestRegistering:
    async def test_an_address_may_be_confirmed_with_the_account(self, server: TestServer, mailbox: Mailbox) -> None:
        client = server.anonymous()
        challenge = await client.answer("POST", "/v3/register", {"username": "bob", "password": "tulip"})
        assert challenge.json["flows"] == [{"stages": ["m.login.dummy"]}, {"stages": ["m.login.email.identity"]}]
        sid = await ask(client, "register", asked("bob@mail.test"))
        await press(client, mailbox.link())
        creds = {"sid": sid, "client_secret": "s3cret"}
        auth = {
            "type": "m.login.email.identity",
            "threepid_creds": creds,
            "session": challenge.json["session"],
        }
        made = await client.post("/v3/register", {"username": "bob", "password": "tulip", "auth": auth})
        bob = Client(server=server, access_token=made["access_token"])
        assert (await bob.get("/v3/account/3pid"))["threepids"][0]["address"] == "bob@mail.test"

    async def test_or_has_to(self, tmp_path: Path, mailbox: Mailbox) -> None:
        registration = Registration(requires_email=True)
        server = await TestServer.open(tmp_path, "strict.test", mailer=mailbox, registration=registration)
        challenge = await server.anonymous().answer("POST", "/v3/register", {"auth": {"type": "m.login.dummy"}})
        assert challenge.json["flows"] == [{"stages": ["m.login.email.identity"]}]
        assert challenge.json["errcode"] == "M_FORBIDDEN"
        await server.close()

    async def test_who_has_an_account_is_reminded_of_it(
        self, server: TestServer, alice: Client, mailbox: Mailbox
    ) -> None:
        await add_address(alice, mailbox)
        assert await ask(server.anonymous(), "register", asked(secret="again"))
        assert "@alice:tab.test" in mailbox.mails[-1].text and "https://" not in mailbox.mails[-1].text
