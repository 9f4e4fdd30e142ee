"""What a person's browser sends: the fields of a form. Errors become pages, not JSON."""

from functools import wraps
from typing import Final

from tabstead.client_api.call import Call
from tabstead.client_api.routes import Elsewhere, TransactionalEndpoint, WaitingEndpoint
from tabstead.client_api.web.pages import error_page
from tabstead.errors import BadRequest, Forbidden, MatrixError
from tabstead.http import Query, Response
from tabstead.storage.database import Db

_FORM: Final = "application/x-www-form-urlencoded"


def parse_form(call: Call) -> Query:
    """The fields of a form. Raises BadRequest, Forbidden for a form of another site's."""
    headers = call.request.headers
    if headers.get("sec-fetch-site", "same-origin") == "cross-site":
        raise Forbidden("This form came from another site.")
    if headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise BadRequest("This is not a form.")
    try:
        return Query(call.request.body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadRequest("This form is not in UTF-8.") from error


def shows_errors(endpoint: TransactionalEndpoint) -> TransactionalEndpoint:
    """Let a transactional endpoint's refusals be pages. It must not have written before it refuses."""

    @wraps(endpoint)
    def shown(call: Call, db: Db) -> Response | Elsewhere:
        try:
            return endpoint(call, db)
        except MatrixError as error:
            return error_page(error)

    return shown


def shows_errors_waiting(endpoint: WaitingEndpoint) -> WaitingEndpoint:
    """The same for a waiting endpoint, whose transactions have rolled back by then."""

    @wraps(endpoint)
    async def shown(call: Call) -> Response:
        try:
            return await endpoint(call)
        except MatrixError as error:
            return error_page(error)

    return shown
