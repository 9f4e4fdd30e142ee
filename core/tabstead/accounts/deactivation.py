"""The end of an account: nobody logs in to it any more, and nobody else ever gets its name."""

from tabstead.accounts.devices import delete_all_devices
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.membership import leave_room
from tabstead.storage.account_data import delete_account_data
from tabstead.storage.cross_signing import delete_cross_signing_keys
from tabstead.storage.database import Db
from tabstead.storage.device_lists import insert_device_list_change
from tabstead.storage.key_backup import delete_all_backups
from tabstead.storage.memberships import select_memberships
from tabstead.storage.profiles import delete_profile
from tabstead.storage.rooms import get_room
from tabstead.storage.third_party_ids import delete_third_party_ids
from tabstead.storage.tickets import delete_tickets_of
from tabstead.storage.users import update_deactivated


def deactivate(db: Db, server: LocalServer, user_id: str, *, erase: bool) -> None:
    """Leave all rooms, delete devices, keys, profile and contacts, and close the account.

    `erase` deletes the account data too, and is kept with the account: `tabstead.rooms.erasure` withholds its events
    from who joins their rooms later. Whose the account is at an identity provider is kept, so that it stays closed.
    """
    for membership in select_memberships(db, user_id, ("join", "invite", "knock")):
        leave_room(db, server, get_room(db, membership.room_nid), user_id)
    delete_all_devices(db, user_id)
    delete_cross_signing_keys(db, user_id)
    delete_all_backups(db, user_id)
    insert_device_list_change(db, user_id)
    delete_profile(db, user_id)
    delete_third_party_ids(db, user_id)
    delete_tickets_of(db, user_id)
    if erase:
        delete_account_data(db, user_id)
    update_deactivated(db, user_id, is_erased=erase)
