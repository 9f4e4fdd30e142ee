"""What stands in the emails that this server sends."""

from typing import Final
from urllib.parse import urlencode

from tabstead.accounts.third_party_ids import Purpose
from tabstead.client_api.web.addresses import CONFIRM_EMAIL, absolute
from tabstead.configuration import Configuration
from tabstead.mail import Mail

_SUBJECTS: Final = {
    Purpose.REGISTER: "Confirm your email address for {name}",
    Purpose.ADD: "Confirm your email address for {name}",
    Purpose.RESET_PASSWORD: "A new password for {name}",
}

_LINK_TEXTS: Final = {
    Purpose.REGISTER: "Somebody wants to create an account on {name} with this email address.",
    Purpose.ADD: "Somebody wants to add this email address to an account on {name}.",
    Purpose.RESET_PASSWORD: "Somebody wants to set a new password for the account on {name} with this email address.",
}

_LINK: Final = """{reason}

If that is you, open this link and confirm:

{link}

Then go back to where you came from. If it is not you, do nothing: without the link nothing happens.
"""

_HAS_ACCOUNT: Final = """Somebody wanted to create an account on {name} with this email address.

But there is one already: {user_id}. If that is you, sign in, or ask for a new password there.
"""

_HAS_NO_ACCOUNT: Final = """Somebody wanted to set a new password for an account on {name} with this email address.

But no account there has it. If it was you, you may have given another address, or your user name may be elsewhere.
"""


def build_link_mail(configuration: Configuration, purpose: Purpose, to: str, session_id: str, token: str) -> Mail:
    """The email that proves an address."""
    name = configuration.server_name
    query = urlencode({"sid": session_id, "token": token})
    link = f"{absolute(configuration, CONFIRM_EMAIL)}?{query}"
    reason = _LINK_TEXTS[purpose].format(name=name)
    return Mail(to=to, subject=_SUBJECTS[purpose].format(name=name), text=_LINK.format(reason=reason, link=link))


def build_notice(configuration: Configuration, purpose: Purpose, to: str, owner: str | None) -> Mail:
    """What an address is told in place of a link that would lead nowhere."""
    name = configuration.server_name
    text = _HAS_NO_ACCOUNT if owner is None else _HAS_ACCOUNT
    return Mail(to=to, subject=_SUBJECTS[purpose].format(name=name), text=text.format(name=name, user_id=owner))
