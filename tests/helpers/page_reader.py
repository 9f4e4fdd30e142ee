"""A browser without a screen: it opens our pages, fills in their forms and follows redirects on this server.

    browser = Browser(server)
    page = await browser.open("/_matrix/client/web/account")
    page = await browser.submit(page, username="alice", password="rosebud")
    page = await browser.press(page, "Your devices")

Where a redirect leads elsewhere, `browser.left_for` is where.
"""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

from helpers.homeserver import Answer, TestServer
from tabstead.http import Request


@dataclass
class Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Their labels, and what each adds to the fields."""


class Page(HTMLParser):
    """A page that was opened: its address, its text and its forms."""

    def __init__(self, path: str, answer: Answer) -> None:
        super().__init__()
        self.path, self.answer = path, answer
        self.forms: list[Form] = []
        self.text = ""
        self._in_button = False
        self.feed(answer.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            assert attributes["method"] == "post"
            self.forms.append(Form(action=attributes["action"]))
        elif tag == "input" and attributes.get("type") != "checkbox":
            self.forms[-1].fields[attributes["name"]] = attributes.get("value", "")
        elif tag == "button":
            added = {attributes["name"]: attributes["value"]} if "name" in attributes else {}
            self.forms[-1].buttons.append(("", added))
            self._in_button = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "button":
            self._in_button = False

    def handle_data(self, data: str) -> None:
        if self._in_button:
            label, added = self.forms[-1].buttons[-1]
            self.forms[-1].buttons[-1] = (label + data, added)
        else:
            self.text += data

    @property
    def labels(self) -> list[str]:
        return [label for form in self.forms for label, _ in form.buttons]


class Browser:
    """One person's browser."""

    def __init__(self, server: TestServer) -> None:
        self._server = server
        self.cookies: dict[str, str] = {}
        self.left_for: str | None = None

    async def open(self, url: str) -> Page:
        """Open a page by its address, or by its path and query."""
        return await self._follow("GET", url, b"")

    async def submit(self, page: Page, form_number: int = 0, **values: str) -> Page:
        """Fill in a form and press its first button."""
        form = page.forms[form_number]
        return await self._send(page, form, {**form.fields, **form.buttons[0][1], **values})

    async def press(self, page: Page, label: str, **values: str) -> Page:
        """Press the button with this label."""
        for form in page.forms:
            for text, added in form.buttons:
                if text == label:
                    return await self._send(page, form, {**form.fields, **added, **values})
        raise AssertionError(f"no button {label!r} among {page.labels}")

    async def _send(self, page: Page, form: Form, values: dict[str, str]) -> Page:
        return await self._follow("POST", urljoin(page.path, form.action), urlencode(values).encode())

    async def _follow(self, method: str, url: str, body: bytes) -> Page:
        base = self._server.configuration.base_url
        while True:
            path, _, query = url.removeprefix(base).partition("?")
            answer = await self._server.handle(
                Request(
                    method=method,
                    path=path,
                    query_string=query,
                    headers={
                        "content-type": "application/x-www-form-urlencoded",
                        "cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
                        "sec-fetch-site": "same-origin",
                    },
                    body=body,
                    client_address="127.0.0.1",
                )
            )
            self._keep_cookie(answer)
            if answer.status not in {302, 303}:
                return Page(path, answer)
            url, method, body = answer.headers["location"], "GET", b""
            if not url.startswith(base):
                self.left_for = url
                return Page(path, answer)

    def _keep_cookie(self, answer: Answer) -> None:
        sent = answer.headers.get("set-cookie", "").partition(";")[0]
        if sent:
            name, _, value = sent.partition("=")
            self.cookies[name] = value

    @property
    def left_for_query(self) -> str:
        """The query of the address that the browser was sent away to."""
        assert self.left_for is not None, "the browser is still here"
        return urlsplit(self.left_for).query
