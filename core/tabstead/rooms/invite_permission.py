"""Whether a user of this server takes invites. (Client-Server API, § Invite permission)"""

from tabstead.errors import Forbidden
from tabstead.storage.account_data import find_account_data
from tabstead.storage.database import Db


def check_takes_invites(db: Db, user_id: str) -> None:
    """Raises Forbidden for a user who has blocked them."""
    permission = find_account_data(db, user_id, "m.invite_permission_config")
    if permission is not None and permission.get("default_action") == "block":
        raise Forbidden(f"{user_id} takes no invites.", errcode="M_INVITE_BLOCKED")
