"""The account page: what clients of the OAuth 2.0 API leave to the server. § Account management

A client leads here with an action and perhaps a device; the person signs in and is taken there. What can't be taken
back wants the password once more, where there is one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from tabstead.accounts.cross_signing_resets import allow_cross_signing_reset
from tabstead.accounts.deactivation import deactivate
from tabstead.accounts.devices import delete_devices, get_device, rename_device
from tabstead.accounts.moderation import check_not_suspended
from tabstead.accounts.passwords import hash_password
from tabstead.accounts.profiles import find_profile, set_profile_field
from tabstead.client_api.call import Access, Call
from tabstead.client_api.interactive_auth import try_password
from tabstead.client_api.rate_limits import LOGGING_IN
from tabstead.client_api.routes import Routes
from tabstead.client_api.web.addresses import ACCOUNT
from tabstead.client_api.web.forms import parse_form, shows_errors_waiting
from tabstead.client_api.web.pages import button_form, escape, field, hidden, page
from tabstead.client_api.web.visits import Visit, end_visit, get_visit
from tabstead.errors import Forbidden
from tabstead.http import Query, Response
from tabstead.rooms.membership import update_member_profiles
from tabstead.storage.database import Db
from tabstead.storage.devices import Device, select_devices
from tabstead.storage.third_party_ids import select_third_party_ids
from tabstead.storage.users import find_user, update_password_hash

routes = Routes()

_PROFILE: Final = "org.matrix.profile"
_DEVICES: Final = "org.matrix.devices_list"
_DEVICE: Final = "org.matrix.device_view"
_DELETE_DEVICE: Final = "org.matrix.device_delete"
_DEACTIVATE: Final = "org.matrix.account_deactivate"
_RESET: Final = "org.matrix.cross_signing_reset"
_PASSWORD: Final = "password"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What somebody has decided on a page."""

    call: Call
    db: Db
    visit: Visit
    form: Query
    proven_hash: str | None
    """The user's password hash, where the form has the password."""
    new_hash: str
    """Of a new password in the form; else empty."""


def account_page(call: Call, db: Db, visit: Visit) -> Response:
    """The page that the visit's action asks for; of an action that isn't known, the first one."""
    show = _PAGES.get(str(visit.aim.get("action")), _show_overview)
    return show(call, db, visit, str(visit.aim.get("device_id") or ""))


@routes.waiting("POST", ACCOUNT, access=Access.NONE, limit=LOGGING_IN)
@shows_errors_waiting
async def post_account(call: Call) -> Response:
    """POST /_matrix/client/web/account: another page of it, or what was decided on one (`do`)."""
    form = parse_form(call)
    now_ms = call.now_ms
    visit = await call.context.database.read(lambda db: get_visit(db, form.get("visit", ""), now_ms))
    user_id = visit.signed_in_user_id
    user = await call.context.database.read(lambda db: find_user(db, user_id))
    proven = None
    if "password" in form and user is not None and user.password_hash is not None:
        proven = try_password(call, user_id, user, form["password"])
    new_hash = hash_password(form["new_password"]) if form.get("new_password") else ""

    def work(db: Db) -> Response:
        current = get_visit(db, form.get("visit", ""), call.now_ms)
        if "do" in form:
            deed = Deed(call=call, db=db, visit=current, form=form, proven_hash=proven, new_hash=new_hash)
            return _DEEDS[form["do"]](deed)
        show = _PAGES.get(form.get("action", ""), _show_overview)
        return show(call, db, current, form.get("device_id", ""))

    if visit.aim["kind"] != "account" or ("do" in form and form["do"] not in _DEEDS):
        raise Forbidden("This page can't do that.")
    return await call.context.write_once(call.request, work)


def _check_again(deed: Deed) -> None:
    """Who has a password has just given it. Raises Forbidden."""
    user = find_user(deed.db, deed.visit.signed_in_user_id)
    if user is None or user.is_deactivated or user.password_hash not in {None, deed.proven_hash}:
        raise Forbidden("The password is wrong.")


def _show_overview(call: Call, db: Db, visit: Visit, device_id: str) -> Response:
    user_id = visit.signed_in_user_id
    addresses = ", ".join(escape(known.address) for known in select_third_party_ids(db, user_id)) or "none"
    body = f"<p><strong>{escape(user_id)}</strong></p>\n<p class='soft'>Email addresses: {addresses}</p>\n"
    body += _link(visit, _PROFILE, "Your name")
    body += _link(visit, _DEVICES, "Your devices")
    body += _link(visit, _PASSWORD, "Change your password") if _has_password(db, user_id) else ""
    body += _link(visit, _RESET, "Replace your keys")
    body += _link(visit, _DEACTIVATE, "Close your account", "grave")
    return page("Your account", body)


def _show_profile(call: Call, db: Db, visit: Visit, device_id: str) -> Response:
    profile = find_profile(db, visit.signed_in_user_id)
    content = field("displayname", "Name that others see", value=profile.displayname or "", required=False)
    return page("Your name", _deed(visit, "rename", content, "Save") + _back(visit))


def _show_devices(call: Call, db: Db, visit: Visit, device_id: str) -> Response:
    known = sorted(select_devices(db, visit.signed_in_user_id), key=lambda device: -device.last_seen_ts)
    buttons = "".join(_link(visit, _DEVICE, _name_of(device), device_id=device.device_id) for device in known)
    return page("Your devices", (buttons or "<p>You are signed in nowhere.</p>\n") + _back(visit))


def _show_device(call: Call, db: Db, visit: Visit, device_id: str) -> Response:
    device = get_device(db, visit.signed_in_user_id, device_id)
    content = field("display_name", "Name of the device", value=device.display_name or "", required=False)
    body = (
        f"<p>Device ID: <code>{escape(device.device_id)}</code><br>\n"
        f"Last seen: {_when(device)}{escape(f' from {device.last_seen_ip}') if device.last_seen_ip else ''}</p>\n"
        + _deed(visit, "rename_device", content, "Save the name", device_id=device_id)
        + _link(visit, _DELETE_DEVICE, "Sign this device out", "grave", device_id=device_id)
    )
    return page(_name_of(device), body + _back(visit, _DEVICES, "All devices"))


def _show_deletion(call: Call, db: Db, visit: Visit, device_id: str) -> Response:
    device = get_device(db, visit.signed_in_user_id, device_id)
    text = (
        f"<p><strong>{escape(_name_of(device))}</strong> (<code>{escape(device_id)}</code>) will have to sign in anew. "
        "What is encrypted and was on that device alone can't be read any more.</p>\n"
    )
    form = _deed(visit, "delete_device", "", "Sign it out", "grave", device_id=device_id)
    return page("Sign a device out?", text + form + _back(visit, _DEVICES, "All devices"))


def _show_deactivation(call: Call, db: Db, visit: Visit, device_id: str) -> Response:
    content = _password_field(db, visit) + (
        '<label class="choice"><input type="checkbox" name="erase" value="yes">'
        "<span>Also hide what I have written from people who join later</span></label>\n"
    )
    text = (
        f"<p>Nobody will be able to use <strong>{escape(visit.signed_in_user_id)}</strong> any more, "
        "and nobody else will get the name. This can't be taken back.</p>\n"
    )
    form = _deed(visit, "deactivate", content, "Close my account for good", "grave")
    return page("Close your account?", text + form + _back(visit))


def _show_reset(call: Call, db: Db, visit: Visit, device_id: str) -> Response:
    text = (
        "<p>An application wants to replace the keys that your devices are verified with. Do this only if you have "
        "lost all your verified devices and your recovery key: the people that you talk to will be told.</p>\n"
    )
    form = _deed(visit, "reset", _password_field(db, visit), "Allow it for ten minutes", "grave")
    return page("Replace your keys?", text + form + _back(visit))


def _show_password(call: Call, db: Db, visit: Visit, device_id: str) -> Response:
    content = field("password", "Password until now", kind="password", autocomplete="current-password")
    content += field("new_password", "New password", kind="password", autocomplete="new-password")
    return page("Change your password", _deed(visit, "password", content, "Change it") + _back(visit))


def _rename(deed: Deed) -> Response:
    user_id = deed.visit.signed_in_user_id
    check_not_suspended(deed.db, user_id)
    if set_profile_field(deed.db, user_id, "displayname", deed.form.get("displayname", "").strip()):
        update_member_profiles(deed.db, deed.call.context.local_server, user_id, find_profile(deed.db, user_id))
    return _show_overview(deed.call, deed.db, deed.visit, "")


def _rename_device(deed: Deed) -> Response:
    device_id = deed.form.get("device_id", "")
    rename_device(deed.db, deed.visit.signed_in_user_id, device_id, deed.form.get("display_name", "").strip())
    return _show_device(deed.call, deed.db, deed.visit, device_id)


def _delete_device(deed: Deed) -> Response:
    delete_devices(deed.db, deed.visit.signed_in_user_id, [deed.form.get("device_id", "")])
    return _show_devices(deed.call, deed.db, deed.visit, "")


def _deactivate(deed: Deed) -> Response:
    _check_again(deed)
    deactivate(deed.db, deed.call.context.local_server, deed.visit.signed_in_user_id, erase="erase" in deed.form)
    end_visit(deed.db, deed.visit, deed.call.now_ms)
    return page("Your account is closed", "<p>You can close this page, too.</p>")


def _reset(deed: Deed) -> Response:
    _check_again(deed)
    allow_cross_signing_reset(deed.db, deed.visit.signed_in_user_id, deed.call.now_ms)
    return page("Allowed", "<p>Go back to the application; it has ten minutes.</p>")


def _change_password(deed: Deed) -> Response:
    _check_again(deed)
    if not _has_password(deed.db, deed.visit.signed_in_user_id) or not deed.new_hash:
        raise Forbidden("This account has no password, or the new one is empty.")
    update_password_hash(deed.db, deed.visit.signed_in_user_id, deed.new_hash)
    return page("Your password is changed", "<p>Your devices stay signed in.</p>" + _back(deed.visit))


def _has_password(db: Db, user_id: str) -> bool:
    user = find_user(db, user_id)
    return user is not None and user.password_hash is not None


def _password_field(db: Db, visit: Visit) -> str:
    if not _has_password(db, visit.signed_in_user_id):
        return ""
    return field("password", "Your password", kind="password", autocomplete="current-password")


def _deed(visit: Visit, deed: str, content: str, label: str, kind: str = "", **values: str) -> str:
    style = f' class="{kind}"' if kind else ""
    carried = hidden(visit=visit.secret, do=deed, **values)
    return (
        f'<form method="post" action="account">\n{carried}{content}<button{style}>{escape(label)}</button>\n</form>\n'
    )


def _link(visit: Visit, action: str, label: str, kind: str = "quiet", **values: str) -> str:
    return button_form("account", label, kind=kind, visit=visit.secret, action=action, **values)


def _back(visit: Visit, action: str = "", label: str = "Your account") -> str:
    return "<hr>\n" + _link(visit, action, f"‹ {label}")


def _name_of(device: Device) -> str:
    return device.display_name or device.device_id


def _when(device: Device) -> str:
    return datetime.fromtimestamp(device.last_seen_ts / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


_PAGES: Final[Mapping[str, Callable[[Call, Db, Visit, str], Response]]] = {
    _PROFILE: _show_profile,
    _DEVICES: _show_devices,
    _DEVICE: _show_device,
    _DELETE_DEVICE: _show_deletion,
    _DEACTIVATE: _show_deactivation,
    _RESET: _show_reset,
    _PASSWORD: _show_password,
}

_DEEDS: Final[Mapping[str, Callable[[Deed], Response]]] = {
    "rename": _rename,
    "rename_device": _rename_device,
    "delete_device": _delete_device,
    "deactivate": _deactivate,
    "reset": _reset,
    "password": _change_password,
}
