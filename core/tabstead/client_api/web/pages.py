"""How our pages look, and the headers that keep them safe.

A page is written in HTML that is safe already; whatever comes from elsewhere goes through `escape`. Nothing is loaded,
nothing runs but the one script that a page may have, named by its hash; forms lead to this server and, where a redirect
follows, to the site that the page names. No other site can frame a page, keep it or learn its address.
"""

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from tabstead.errors import MatrixError
from tabstead.http import Response

__all__ = ["button_form", "done_page", "error_page", "escape", "field", "form_target", "hidden", "page", "redirect"]


def escape(text: str) -> str:
    """A text as HTML, also between quotes."""
    import html  # with a table of all entities: not for the memory snapshot

    return html.escape(text)


_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1d22; --soft: #5b6270; --ground: #f4f3ef; --card: #fff; --line: #d5d3cb;
  --accent: #1f5f4a; --on-accent: #fff; --bad: #a3212a; }
@media (prefers-color-scheme: dark) { :root { --ink: #eceae4; --soft: #a9aeb8; --ground: #16181b; --card: #212428;
  --line: #3b4047; --accent: #7fd1b3; --on-accent: #10221b; --bad: #ff9a94; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 2rem 1rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
main { max-width: 28rem; margin: 0 auto; padding: 1.75rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 0.75rem; }
h1 { margin: 0 0 1rem; font-size: 1.4rem; line-height: 1.25; }
h2 { margin: 2rem 0 0.5rem; font-size: 1.1rem; }
p, ul, dl { margin: 0 0 1rem; }
ul { padding-left: 1.25rem; }
a { color: var(--accent); }
label { display: block; margin: 0 0 0.25rem; font-weight: 600; }
label.choice { display: flex; gap: 0.5rem; font-weight: 400; margin-bottom: 0.75rem; align-items: baseline; }
input:not([type=checkbox]) { width: 100%; margin: 0 0 1rem; padding: 0.6rem 0.75rem; font: inherit; color: inherit;
  background: var(--ground); border: 1px solid var(--soft); border-radius: 0.4rem; }
button { width: 100%; margin: 0.25rem 0; padding: 0.65rem 1rem; font: inherit; font-weight: 600; cursor: pointer;
  color: var(--on-accent); background: var(--accent); border: 1px solid var(--accent); border-radius: 0.4rem; }
button.quiet { color: var(--accent); background: none; }
button.grave { color: var(--bad); background: none; border-color: var(--bad); }
:is(a, input, button):focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.soft { color: var(--soft); }
.bad { color: var(--bad); font-weight: 600; }
.code { font: 600 1.5rem/1.2 ui-monospace, monospace; letter-spacing: 0.1em; }
hr { margin: 1.5rem 0; border: 0; border-top: 1px solid var(--line); }
"""

_DONE_SCRIPT: Final = """
if (window.onAuthDone) {
  window.onAuthDone();
} else if (window.opener && window.opener.postMessage) {
  window.opener.postMessage("authDone", "*");
}
"""

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
{script}</body>
</html>
"""


def _source_of(inline: str) -> str:
    """How a Content-Security-Policy names an inline style or script."""
    return f"'sha256-{b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'"


_STYLE_SOURCE: Final = _source_of(_STYLE)


def page(
    title: str,
    body: str,
    *,
    status: int = 200,
    form_targets: Sequence[str] = (),
    script: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A page. `body` is HTML, `title` is text; `form_targets` are from `form_target`."""
    policy = [
        "default-src 'none'",
        f"style-src {_STYLE_SOURCE}",
        " ".join(("form-action 'self'", *form_targets)),
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
    if script:
        policy.append(f"script-src {_source_of(script)}")
    text = _PAGE.format(
        title=escape(title), style=_STYLE, body=body, script=f"<script>{script}</script>\n" if script else ""
    )
    return Response(
        status=status,
        headers={
            "content-type": "text/html; charset=utf-8",
            "content-security-policy": "; ".join(policy),
            "x-frame-options": "DENY",
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cache-control": "no-store",
            **(headers or {}),
        },
        body=text.encode("utf-8", "replace"),
    )


def error_page(error: MatrixError, title: str = "That did not work") -> Response:
    """An error for a person."""
    return page(title, f"<p>{escape(error.sentence)}</p>", status=error.status, headers=error.headers())


def done_page() -> Response:
    """A stage of user-interactive authentication is completed: tell the client, with § Fallback's own script."""
    text = "<p>Thank you. You can close this page; the application goes on by itself.</p>"
    return page("Done", text, script=_DONE_SCRIPT)


def redirect(url: str, headers: Mapping[str, str] | None = None, status: int = 303) -> Response:
    """Send the browser on; `url` must be checked."""
    safe = {"location": url, "referrer-policy": "no-referrer", "cache-control": "no-store"}
    return Response(status=status, headers={**safe, **(headers or {})})


def field(
    name: str, label: str, *, kind: str = "text", value: str = "", autocomplete: str = "off", required: bool = True
) -> str:
    """A labelled input."""
    attributes = "required " if required else ""
    attributes += 'autocapitalize="none" spellcheck="false" ' if kind == "text" else ""
    return (
        f'<label for="{name}">{escape(label)}</label>\n'
        f'<input id="{name}" name="{name}" type="{kind}" value="{escape(value)}" autocomplete="{autocomplete}" '
        f"{attributes}>\n"
    )


def hidden(**values: str) -> str:
    """What a form carries along."""
    return "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">\n' for name, value in values.items())


def button_form(address: str, label: str, /, *, kind: str = "", **values: str) -> str:
    """A form that is one button. `address` is relative."""
    style = f' class="{kind}"' if kind else ""
    return (
        f'<form method="post" action="{escape(address)}">\n{hidden(**values)}'
        f"<button{style}>{escape(label)}</button>\n</form>\n"
    )


def form_target(url: str) -> str:
    """How a Content-Security-Policy names the site of a URL that a form's answer redirects to."""
    parts = urlsplit(url)
    if parts.scheme in {"https", "http"} and parts.hostname and ":" not in parts.hostname:
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}"
    return f"{parts.scheme}:"
