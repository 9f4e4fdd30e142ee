"""The pages on which people let an application in: a client of the OAuth 2.0 API, a device, a client after SSO."""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tabstead.accounts.oauth_grants import AUTHORIZATION, get_pending_grant, settle_device_grant
from tabstead.accounts.tickets import LOGIN_TOKEN, TicketKind, issue_ticket
from tabstead.client_api.call import Access, Call
from tabstead.client_api.routes import Routes
from tabstead.client_api.web.addresses import CONSENT
from tabstead.client_api.web.forms import parse_form, shows_errors
from tabstead.client_api.web.pages import escape, form_target, hidden, page, redirect
from tabstead.client_api.web.visits import Visit, end_visit, get_visit
from tabstead.http import Response
from tabstead.storage.database import Db
from tabstead.storage.devices import find_device

routes = Routes()

SSO_TOKEN_LIVES_MS = 30_000
"""The specification wants about five seconds; clients that load themselves anew need longer."""

_SSO_TOKEN = TicketKind(name=LOGIN_TOKEN.name, lives_ms=SSO_TOKEN_LIVES_MS)


def consent_page(call: Call, db: Db, visit: Visit) -> Response:
    """Ask whether a client may use the account."""
    aim = visit.aim
    device_id = aim["device_id"]
    known = find_device(db, visit.signed_in_user_id, device_id)
    replaces = "" if known is None else "<li>in place of a device that you are signed in with already</li>\n"
    target = _target_of(aim)
    links = "".join(
        f'<li><a href="{escape(aim[key])}" target="_blank" rel="noopener">{label}</a></li>\n'
        for key, label in (("client_uri", "About it"), ("tos_uri", "Its terms"), ("policy_uri", "Its privacy policy"))
        if aim.get(key)
    )
    code = escape(aim.get("user_code", ""))
    question = f'<p>Does the device show this code?</p>\n<p class="code">{code}</p>\n' if code else ""
    body = (
        f"<p>{_who(visit)}</p>\n"
        f"<p><strong>{escape(aim['client_name'])}</strong> wants to:</p>\n"
        f"<ul>\n<li>read and send messages, and do all else that you can do</li>\n"
        f"<li>be one of your devices, <code>{escape(device_id)}</code></li>\n{replaces}</ul>\n"
        f"{question}"
        f'<p class="soft">{target}Allow it only if you have just begun this yourself.</p>\n'
        f"<ul>\n{links}</ul>\n{_decision_form(visit)}"
    )
    targets = [form_target(aim["redirect_url"])] if "redirect_url" in aim else []
    return page(f"Allow {aim['client_name']}?", body, form_targets=targets)


def continue_to_client(call: Call, db: Db, visit: Visit) -> Response:
    """Back to a client of the legacy API, at once where the operator trusts it."""
    url = visit.aim["redirect_url"]
    if url.startswith(call.context.configuration.single_sign_on.trusted_clients):
        return _send_login_token(call, db, visit)
    site = escape(_site_of(url))
    body = (
        f"<p>{_who(visit)}</p>\n"
        f"<p>The application at <strong>{site}</strong> will be able to do all that you can do.</p>\n"
        f'<p class="soft">Go on only if you have just begun this yourself.</p>\n{_decision_form(visit)}'
    )
    return page("Continue to the application?", body, form_targets=[form_target(url)])


@routes.write("POST", CONSENT, access=Access.NONE)
@shows_errors
def post_consent(call: Call, db: Db) -> Response:
    """POST /_matrix/client/web/consent: what the person has decided."""
    form = parse_form(call)
    visit = get_visit(db, form.get("visit", ""), call.now_ms)
    visit.signed_in_user_id  # noqa: B018  raises where nobody has signed in
    is_allowed = form.get("decision") == "allow"
    kind = visit.aim["kind"]
    if kind == "link":
        return _settle(call, db, visit, is_allowed)
    if kind == "sso":
        return _send_login_token(call, db, visit) if is_allowed else _refused(call, db, visit)
    return _send_code(call, db, visit) if is_allowed else _send_refusal(call, db, visit)


def answer_client(aim: dict[str, Any], **answer: str) -> Response:
    """Redirect to a client of the OAuth 2.0 API with an answer to its authorization request."""
    url, fields = aim["redirect_url"], {**answer, **({"state": aim["state"]} if aim.get("state") else {})}
    if aim["response_mode"] == "fragment":
        return redirect(f"{url}#{urlencode(fields)}")
    return redirect(_with_query(url, fields))


def _send_code(call: Call, db: Db, visit: Visit) -> Response:
    aim, user_id = visit.aim, visit.signed_in_user_id
    authorized = {
        "client_id": aim["client_id"],
        "redirect_uri": aim["redirect_url"],
        "code_challenge": aim["code_challenge"],
        "scope": aim["scope"],
        "user_id": user_id,
    }
    code = issue_ticket(db, AUTHORIZATION, authorized, call.now_ms, user_id=user_id)
    end_visit(db, visit, call.now_ms)
    return answer_client(aim, code=code)


def _send_refusal(call: Call, db: Db, visit: Visit) -> Response:
    end_visit(db, visit, call.now_ms)
    return answer_client(visit.aim, error="access_denied", error_description="The user has refused.")


def _send_login_token(call: Call, db: Db, visit: Visit) -> Response:
    user_id = visit.signed_in_user_id
    token = issue_ticket(db, _SSO_TOKEN, {"user_id": user_id}, call.now_ms, user_id=user_id)
    end_visit(db, visit, call.now_ms)
    return redirect(_with_query(visit.aim["redirect_url"], {"loginToken": token}))


def _settle(call: Call, db: Db, visit: Visit, is_allowed: bool) -> Response:
    code = visit.aim["user_code"]
    get_pending_grant(db, code, call.now_ms)
    settle_device_grant(db, code, visit.signed_in_user_id, call.now_ms, allowed=is_allowed)
    end_visit(db, visit, call.now_ms)
    if not is_allowed:
        return page("Refused", "<p>The device gets nothing. You can close this page.</p>")
    return page("Connected", "<p>The device goes on by itself. You can close this page.</p>")


def _refused(call: Call, db: Db, visit: Visit) -> Response:
    end_visit(db, visit, call.now_ms)
    return page("Refused", "<p>The application gets nothing. You can close this page.</p>")


def _who(visit: Visit) -> str:
    return f"You are signed in as <strong>{escape(visit.signed_in_user_id)}</strong>."


def _target_of(aim: dict[str, Any]) -> str:
    return f"You will be sent to {escape(_site_of(aim['redirect_url']))}. " if "redirect_url" in aim else ""


def _site_of(url: str) -> str:
    """How a person may recognize where a URL leads."""
    parts = urlsplit(url)
    return parts.netloc if parts.scheme == "https" else f"{parts.scheme}:{'//' + parts.netloc if parts.netloc else ''}"


def _decision_form(visit: Visit) -> str:
    return (
        f'<form method="post" action="consent">\n{hidden(visit=visit.secret)}'
        '<button name="decision" value="allow">Allow</button>\n'
        '<button name="decision" value="deny" class="quiet">Cancel</button>\n</form>\n'
    )


def _with_query(url: str, fields: dict[str, str]) -> str:
    """The URL with more parameters, in place of any of the same names."""
    base, hash_sign, fragment = url.partition("#")
    path, _, query = base.partition("?")
    kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name not in fields]
    return f"{path}?{urlencode([*kept, *fields.items()])}{hash_sign}{fragment}"
