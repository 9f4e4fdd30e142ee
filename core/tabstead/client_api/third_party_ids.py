"""Email addresses of the account. Client-Server API, § Adding Account Administrative Contact Information.

Phone numbers are not supported, and no identity server is asked: this server proves addresses by itself.
"""

from typing import Final

from tabstead.accounts.third_party_ids import (
    EMAIL,
    Begun,
    Purpose,
    add_validated_email,
    begin_validation,
    canonical_address,
    canonical_email,
    take_back_attempt,
)
from tabstead.client_api.call import Access, Call
from tabstead.client_api.interactive_auth import carry_out_confirmed
from tabstead.client_api.rate_limits import SENDING_EMAIL
from tabstead.client_api.routes import Routes
from tabstead.client_api.web.email_texts import build_link_mail, build_notice
from tabstead.errors import BadRequest, Forbidden, InvalidParam, MatrixError, OutboundFailed
from tabstead.http import JsonObject, Response, json_response
from tabstead.mail import Mail
from tabstead.storage.database import Db
from tabstead.storage.third_party_ids import (
    delete_third_party_id,
    find_user_of_third_party_id,
    select_third_party_ids,
)

routes = Routes()

_ACCOUNT: Final = "/_matrix/client/v3/account"
_NOT_SUPPORTED: Final = "M_THREEPID_MEDIUM_NOT_SUPPORTED"


@routes.read("GET", f"{_ACCOUNT}/3pid", access=Access.USER)
def get_third_party_identifiers(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/account/3pid."""
    identifiers = [
        {
            "medium": identifier.medium,
            "address": identifier.address,
            "validated_at": identifier.validated_ts,
            "added_at": identifier.added_ts,
        }
        for identifier in select_third_party_ids(db, call.user_id)
    ]
    return json_response({"threepids": identifiers})


@routes.write("POST", f"{_ACCOUNT}/3pid", access=Access.USER)
def post_third_party_identifier(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/account/3pid: the older way, for an address that this server has validated."""
    credentials = call.body().find_object("three_pid_creds") or call.body().object("threePidCreds")
    session_id, client_secret = credentials.string("sid"), credentials.string("client_secret")
    try:
        add_validated_email(db, call.user_id, session_id, client_secret, call.now_ms)
    except BadRequest as error:
        raise Forbidden(error.sentence, errcode="M_THREEPID_AUTH_FAILED") from error
    return json_response({})


@routes.waiting("POST", f"{_ACCOUNT}/3pid/add", access=Access.NONE)
async def add_third_party_identifier(call: Call) -> Response:
    """POST /_matrix/client/v3/account/3pid/add."""

    def work(confirmed: Call, db: Db, body: JsonObject) -> Response:
        add_validated_email(db, confirmed.user_id, body.string("sid"), body.string("client_secret"), confirmed.now_ms)
        return json_response({})

    return await carry_out_confirmed(call, work)


@routes.write("POST", f"{_ACCOUNT}/3pid/delete", access=Access.USER)
def delete_third_party_identifier(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/account/3pid/delete. It was bound at no identity server that this one knows of."""
    medium = call.body().string("medium")
    delete_third_party_id(db, call.user_id, medium, canonical_address(medium, call.body().string("address")))
    return json_response({"id_server_unbind_result": "no-support"})


@routes.read("POST", f"{_ACCOUNT}/3pid/bind", access=Access.USER)
def bind_third_party_identifier(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/account/3pid/bind: no identity server is trusted here."""
    for name in ("client_secret", "id_server", "id_access_token", "sid"):
        call.body().string(name)
    raise BadRequest("This server binds nothing at identity servers.", errcode="M_SERVER_NOT_TRUSTED")


@routes.read("POST", f"{_ACCOUNT}/3pid/unbind", access=Access.USER)
def unbind_third_party_identifier(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/account/3pid/unbind."""
    call.body().string("medium")
    call.body().string("address")
    return json_response({"id_server_unbind_result": "no-support"})


@routes.waiting("POST", "/_matrix/client/v3/register/email/requestToken", access=Access.NONE, limit=SENDING_EMAIL)
async def request_registration_email(call: Call) -> Response:
    """POST /_matrix/client/v3/register/email/requestToken. § Account registration."""
    if not call.context.configuration.registration.open:
        raise Forbidden("Registration is closed on this server.", errcode="M_THREEPID_DENIED")
    return await _request_email(call, Purpose.REGISTER)


@routes.waiting("POST", f"{_ACCOUNT}/password/email/requestToken", access=Access.NONE, limit=SENDING_EMAIL)
async def request_password_email(call: Call) -> Response:
    """POST /_matrix/client/v3/account/password/email/requestToken. § Password management."""
    return await _request_email(call, Purpose.RESET_PASSWORD)


@routes.waiting("POST", f"{_ACCOUNT}/3pid/email/requestToken", access=Access.NONE, limit=SENDING_EMAIL)
async def request_contact_email(call: Call) -> Response:
    """POST /_matrix/client/v3/account/3pid/email/requestToken."""
    return await _request_email(call, Purpose.ADD)


@routes.read(
    "POST",
    "/_matrix/client/v3/register/msisdn/requestToken",
    f"{_ACCOUNT}/password/msisdn/requestToken",
    f"{_ACCOUNT}/3pid/msisdn/requestToken",
    access=Access.NONE,
)
def refuse_phone_number(call: Call, db: Db) -> Response:
    """POST …/msisdn/requestToken: no text messages are sent from here."""
    body = call.body()
    for name in ("client_secret", "country", "phone_number"):
        body.string(name)
    body.integer("send_attempt")
    raise BadRequest("This server does not support phone numbers.", errcode=_NOT_SUPPORTED)


async def _request_email(call: Call, purpose: Purpose) -> Response:
    body = call.body()
    address, client_secret = body.string("email"), body.string("client_secret")
    next_link, attempt = _check_next_link(body.find_string("next_link")), body.integer("send_attempt")
    sid = await send_validation_email(
        call, purpose, address, client_secret=client_secret, send_attempt=attempt, next_link=next_link
    )
    return json_response({"sid": sid})


async def send_validation_email(
    call: Call, purpose: Purpose, email: str, *, client_secret: str, send_attempt: int, next_link: str | None = None
) -> str:
    """Begin a validation and send its email, unless that was sent already; the validation's id.

    Raises InvalidParam, BadRequest, LimitExceeded, or MatrixError with 503 when the email can't be sent.
    """
    context, address = call.context, canonical_email(email)
    if context.mailer is None:
        raise BadRequest("This server can't send email.", errcode=_NOT_SUPPORTED)
    context.rate_limiter.take(SENDING_EMAIL, address)

    def begin(db: Db) -> tuple[Begun, Mail | None]:
        begun = begin_validation(
            db,
            purpose,
            client_secret=client_secret,
            address=address,
            send_attempt=send_attempt,
            next_link=next_link,
            now_ms=call.now_ms,
        )
        return begun, _build_mail(call, db, purpose, address, begun)

    begun, mail = await context.write(begin)
    if mail is not None:
        try:
            await context.mailer.send(mail)
        except OutboundFailed as error:
            await context.write(lambda db: take_back_attempt(db, begun, call.now_ms))
            raise MatrixError("The email could not be sent; try again later.", status=503) from error
    return begun.session_id


def _build_mail(call: Call, db: Db, purpose: Purpose, address: str, begun: Begun) -> Mail | None:
    """What goes to the address now, if anything: a link, or why there is none. Raises BadRequest."""
    owner = find_user_of_third_party_id(db, EMAIL, address)
    if purpose is Purpose.ADD and owner is not None:
        raise BadRequest("This email address belongs to an account already.", errcode="M_THREEPID_IN_USE")
    if begun.token is None:
        return None
    # Who asks is not told whether there is an account; who owns the address is.
    if (owner is not None) is not (purpose is Purpose.RESET_PASSWORD):
        return build_notice(call.context.configuration, purpose, address, owner)
    return build_link_mail(call.context.configuration, purpose, address, begun.session_id, begun.token)


def _check_next_link(next_link: str | None) -> str | None:
    """Raises InvalidParam for a link that is not for a browser to follow."""
    if next_link is not None and not next_link.startswith(("https://", "http://")):
        raise InvalidParam("'next_link' must be an https or http URL.")
    return next_link
