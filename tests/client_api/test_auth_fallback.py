"""The web pages of stages, for clients that do not know them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from helpers.homeserver import Client, TestServer
from helpers.mailbox import Mailbox
from helpers.page_reader import Browser, Page
from tabstead.configuration import Policy, Registration


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
async def server(tmp_path: Path, mailbox: Mailbox) -> AsyncIterator[TestServer]:
    terms = (
        Policy(id="privacy", version="1", name="Privacy", url="https://tab.test/en"),
        Policy(id="privacy", version="1", name="Datenschutz", url="https://tab.test/de", language="de"),
    )
    registration = Registration(requires_token=True, tokens=("abc",), terms=terms)
    server = await TestServer.open(tmp_path, registration=registration, mailer=mailbox)
    yield server
    await server.close()


def address(stage: str, session: str) -> str:
    return f"/_matrix/client/v3/auth/{stage}/fallback/web?session={session}"


async def begin(server: TestServer, **body: Any) -> str:
    answer = await server.anonymous().answer("POST", "/v3/register", body)
    return str(answer.json["session"])


def is_done(page: Page) -> bool:
    body, policy = page.answer.body.decode(), page.answer.headers["content-security-policy"]
    return "window.onAuthDone()" in body and "script-src 'sha256-" in policy


async def test_a_whole_registration_in_pages(server: TestServer) -> None:
    session, browser = await begin(server, username="bob", password="tulip"), Browser(server)
    page = await browser.open(address("m.login.registration_token", session))
    wrong = await browser.submit(page, token="wrong")
    assert "This token is not valid" in wrong.text and not is_done(wrong)
    assert is_done(await browser.submit(wrong, token=" abc "))

    terms = await browser.open(address("m.login.terms", session))
    assert "Privacy" in terms.text and "Datenschutz" not in terms.text
    assert not is_done(await browser.submit(terms))
    assert is_done(await browser.submit(terms, accept="privacy"))

    waiting = await server.anonymous().answer("POST", "/v3/register", {"auth": {"session": session}})
    assert waiting.json["completed"] == ["m.login.registration_token", "m.login.terms"]
    assert is_done(await browser.submit(await browser.open(address("m.login.dummy", session))))
    made = await server.anonymous().post("/v3/register", {"auth": {"session": session}})
    assert made["user_id"] == "@bob:tab.test"


async def test_an_email_address_is_confirmed_from_a_page(server: TestServer, mailbox: Mailbox) -> None:
    session, browser = await begin(server), Browser(server)
    page = await browser.open(address("m.login.email.identity", session))
    assert "This is not an email address." in (await browser.submit(page, email="nonsense")).text
    page = await browser.submit(page, email="bob@mail.test")
    assert "not opened and confirmed yet" in (await browser.press(page, "I have confirmed it")).text
    elsewhere = Browser(server)
    await elsewhere.press(await elsewhere.open(mailbox.link()), "Confirm")
    assert is_done(await browser.press(page, "I have confirmed it"))


async def test_a_password_is_asked_for_with_its_reason(server: TestServer) -> None:
    alice = await registered(server)
    answer = await alice.answer("POST", "/v3/account/deactivate", {})
    browser = Browser(server)
    page = await browser.open(address("m.login.password", answer.json["session"]))
    assert "close your account for good" in page.text and alice.user_id in page.text
    page = await browser.submit(page, password="wrong")
    assert "The password is wrong." in page.text
    assert is_done(await browser.submit(page, password="rosebud"))
    await alice.post("/v3/account/deactivate", {"auth": {"session": answer.json["session"]}})


async def registered(server: TestServer) -> Client:
    session = await begin(server, username="alice", password="rosebud")
    client = server.anonymous()
    token = {"type": "m.login.registration_token", "token": "abc", "session": session}
    for auth in (token, {"type": "m.login.terms", "session": session}):
        await client.answer("POST", "/v3/register", {"auth": auth})
    made = await client.post("/v3/register", {"auth": {"type": "m.login.dummy", "session": session}})
    return Client(server=server, user_id=made["user_id"], access_token=made["access_token"])


@pytest.mark.parametrize("stage", ["m.login.recaptcha", "m.login.msisdn", "org.example.magic"])
async def test_a_stage_that_is_not_used_has_no_page(server: TestServer, stage: str) -> None:
    page = await Browser(server).open(address(stage, await begin(server)))
    assert page.answer.status == 404 and f"does not use {stage}" in page.text


async def test_nor_has_a_session_that_is_over(server: TestServer) -> None:
    assert (await Browser(server).open(address("m.login.terms", "made-up"))).answer.status == 404


async def test_pages_are_not_framed_kept_or_told_on(server: TestServer) -> None:
    page = await Browser(server).open(address("m.login.terms", await begin(server)))
    headers = page.answer.headers
    assert headers["cache-control"] == "no-store" and headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert "script-src" not in headers["content-security-policy"]
