"""What people come for, and how it goes on once they have signed in."""

from collections.abc import Callable, Mapping
from typing import Final

from tabstead.client_api.call import Call
from tabstead.client_api.web.account_page import account_page
from tabstead.client_api.web.consent import consent_page, continue_to_client
from tabstead.client_api.web.visits import Visit
from tabstead.http import Response
from tabstead.storage.database import Db

_AIMS: Final[Mapping[str, Callable[[Call, Db, Visit], Response]]] = {
    "oauth": consent_page,
    "link": consent_page,
    "sso": continue_to_client,
    "account": account_page,
}


def go_on(call: Call, db: Db, visit: Visit) -> Response:
    """The next page of a visit in which somebody has signed in."""
    return _AIMS[visit.aim["kind"]](call, db, visit)
