"""The end of an account: nobody logs in to it any more, and nobody else ever gets its name."""

from tabstead.accounts.devices import delete_all_devices
from tabstead.storage.cross_signing import delete_cross_signing_keys
from tabstead.storage.database import Db
from tabstead.storage.device_lists import insert_device_list_change
from tabstead.storage.profiles import delete_profile
from tabstead.storage.users import update_deactivated


def deactivate(db: Db, user_id: str, *, erase: bool) -> None:
    """Close the account and delete its devices, keys and profile; leaving its rooms is the caller's.

    `erase` is kept with the account: its events are to be withheld from who joins their rooms later.
    """
    delete_all_devices(db, user_id)
    delete_cross_signing_keys(db, user_id)
    insert_device_list_change(db, user_id)
    delete_profile(db, user_id)
    update_deactivated(db, user_id, is_erased=erase)
