"""The page to sign in, and the one to create an account."""

from collections.abc import Mapping
from typing import Any, Final

from tabstead.client_api.call import Call
from tabstead.client_api.register import can_register_in_browser
from tabstead.client_api.web.pages import button_form, escape, field, form_target, hidden, page
from tabstead.client_api.web.visits import Visit
from tabstead.http import Response

_REASONS: Final[Mapping[str, str]] = {
    "oauth": "to continue to {client}",
    "sso": "to continue to {client}",
    "link": "to connect another device",
    "account": "to manage your account",
}


def sign_in_page(call: Call, visit: Visit, problem: str = "", username: str = "") -> Response:
    """Ask who somebody is: by their password, or at a provider."""
    configuration = call.context.configuration
    content = (
        field("username", "User name", value=username, autocomplete="username")
        + field("password", "Password", kind="password", autocomplete="current-password")
        + "<button>Sign in</button>\n"
    )
    body = _said(problem) + _intro(call, visit) + _form("sign_in", visit, content)
    for provider in configuration.identity_providers:
        label = f"Continue with {provider.name}"
        body += button_form("sign_in", label, kind="quiet", visit=visit.secret, provider=provider.id)
    if can_register_in_browser(configuration):
        body += "<hr>\n" + button_form("create_account", "Create an account", kind="quiet", visit=visit.secret)
    status = 403 if problem else 200
    return page("Sign in", body, status=status, form_targets=_targets(call, visit))


def create_account_page(call: Call, visit: Visit, problem: str = "", username: str = "") -> Response:
    """Ask for what a new account needs."""
    registration = call.context.configuration.registration
    content = field("username", "User name", value=username, autocomplete="username")
    content += field("password", "Password", kind="password", autocomplete="new-password")
    if registration.requires_token:
        content += field("token", "Registration token")
    seen: set[str] = set()
    for policy in registration.terms:
        if policy.id not in seen:
            seen.add(policy.id)
            content += (
                f'<label class="choice"><input type="checkbox" name="accept" value="{escape(policy.id)}" required>'
                f'<span>I accept <a href="{escape(policy.url)}" target="_blank" rel="noopener">'
                f"{escape(policy.name)}</a></span></label>\n"
            )
    content += '<input type="hidden" name="create" value="yes">\n<button>Create an account</button>\n'
    body = _said(problem) + _intro(call, visit) + _form("create_account", visit, content)
    body += "<hr>\n" + button_form("sign_in", "I have an account", kind="quiet", visit=visit.secret)
    status = 403 if problem else 200
    return page("Create an account", body, status=status, form_targets=_targets(call, visit))


def _said(problem: str) -> str:
    return f'<p class="bad" role="alert">{escape(problem)}</p>\n' if problem else ""


def _intro(call: Call, visit: Visit) -> str:
    """Where somebody is, and what for."""
    aim: Mapping[str, Any] = visit.aim
    reason = _REASONS[aim["kind"]].format(client=aim.get("client_name", ""))
    return f'<p class="soft">On {escape(call.context.local_server.name)}, {escape(reason)}.</p>\n'


def _form(action: str, visit: Visit, content: str) -> str:
    return f'<form method="post" action="{action}">\n{hidden(visit=visit.secret)}{content}</form>\n'


def _targets(call: Call, visit: Visit) -> list[str]:
    """Where an answer to the page's forms may redirect to."""
    targets = [form_target(visit.aim["redirect_url"])] if "redirect_url" in visit.aim else []
    if call.context.configuration.identity_providers:
        targets += ["https:", "http:"]  # a provider's own document says where its page is
    return targets
