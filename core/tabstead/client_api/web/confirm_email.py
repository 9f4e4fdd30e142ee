"""The page that an email's link leads to: a person confirms there, since programs open links too."""

from tabstead.accounts.third_party_ids import Purpose, confirm_link, find_validation_of_link
from tabstead.client_api.call import Access, Call
from tabstead.client_api.rate_limits import LOOKING_UP
from tabstead.client_api.routes import Routes
from tabstead.client_api.web.addresses import CONFIRM_EMAIL
from tabstead.client_api.web.forms import parse_form, shows_errors
from tabstead.client_api.web.pages import button_form, escape, form_target, page, redirect
from tabstead.errors import NotFound
from tabstead.http import Query, Response
from tabstead.storage.database import Db
from tabstead.storage.third_party_ids import EmailValidation

routes = Routes()

_QUESTIONS = {
    Purpose.REGISTER: "Is {address} your email address, and do you want to create an account with it?",
    Purpose.ADD: "Is {address} your email address, and do you want to add it to your account?",
    Purpose.RESET_PASSWORD: "Do you want to set a new password for the account with the email address {address}?",
}


@routes.read("GET", CONFIRM_EMAIL, access=Access.NONE, limit=LOOKING_UP)
@shows_errors
def get_confirmation(call: Call, db: Db) -> Response:
    """GET /_matrix/client/web/confirm_email: the question."""
    validation = _get_validation(call, db, call.query)
    question = _QUESTIONS[Purpose(validation.purpose)].format(address=validation.address)
    confirm = button_form("confirm_email", "Confirm", sid=validation.session_id, token=call.query["token"])
    targets = [form_target(validation.next_link)] if validation.next_link else []
    note = "<p class='soft'>If you did not ask for this, close this page.</p>"
    return page("Confirm your email address", f"<p>{escape(question)}</p>{confirm}{note}", form_targets=targets)


@routes.write("POST", CONFIRM_EMAIL, access=Access.NONE, limit=LOOKING_UP)
@shows_errors
def post_confirmation(call: Call, db: Db) -> Response:
    """POST /_matrix/client/web/confirm_email: the answer."""
    validation = _get_validation(call, db, parse_form(call))
    confirm_link(db, validation, call.now_ms)
    if validation.next_link:
        return redirect(validation.next_link)
    return page("Confirmed", "<p>Thank you. Go back to the application that you came from; it goes on there.</p>")


def _get_validation(call: Call, db: Db, source: Query) -> EmailValidation:
    validation = find_validation_of_link(db, source.get("sid", ""), source.get("token", ""), call.now_ms)
    if validation is None:
        raise NotFound("This link is not valid, or no longer. The newest email's link is the one that counts.")
    return validation
