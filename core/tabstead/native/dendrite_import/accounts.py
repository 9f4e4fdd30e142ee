"""The people: accounts, profiles, account data, devices with their access tokens, and the devices' keys.

A user of this server who is known in rooms and has no account in the source gets one without a password: the name is
theirs, and nobody else can register it. Whoever was logged in stays so: clients notice nothing but a new sync token.
Passwords are taken as the bcrypt hashes that they are, and hold until they are changed (`tabstead.accounts.passwords`).
Push rules are not taken, since Dendrite keeps whole rulesets where we keep what a user changed.
"""

from collections import Counter
from typing import Any, Final

from tabstead.accounts.access import adopt_token
from tabstead.protocol.identifiers import ServerName, UserID, build_user_id
from tabstead.storage.account_data import update_account_data
from tabstead.storage.database import Db
from tabstead.storage.dendrite_import.accounts_source import AccountsSource, SourceAccount, SourceDevice
from tabstead.storage.dendrite_import.source import RoomserverSource
from tabstead.storage.device_keys import insert_device_keys
from tabstead.storage.device_lists import insert_device_list_change
from tabstead.storage.devices import Device, insert_device
from tabstead.storage.one_time_keys import OneTimeKey, insert_one_time_keys
from tabstead.storage.profiles import insert_profile_field
from tabstead.storage.third_party_ids import ThirdPartyId, insert_third_party_id
from tabstead.storage.users import find_user, insert_user, update_deactivated

SLICE: Final = 200
"""Accounts, devices or account data per transaction."""

_NOT_TAKEN: Final = frozenset({"m.push_rules"})


class AccountImport:
    """Takes people in slices, in the order of their names."""

    def __init__(self, source: AccountsSource, roomserver: RoomserverSource, server_name: str) -> None:
        self._source = source
        self._roomserver = roomserver
        self._server_name = ServerName(server_name)

    def take_accounts(self, db: Db, position: Any, counts: Counter[str]) -> Any:
        """The position is the last localpart."""
        accounts = self._source.select_accounts(after=position or "", limit=SLICE)
        for account in accounts:
            self._take_account(db, account)
            counts["accounts"] += 1
        return accounts[-1].localpart if accounts else None

    def _take_account(self, db: Db, account: SourceAccount) -> None:
        user_id = self._user_id(account.localpart)
        insert_user(db, user_id, account.password_hash, is_guest=False, is_admin=False, now_ms=account.created_ts)
        if account.is_deactivated:
            update_deactivated(db, user_id, is_erased=False)
            return
        for name, value in (("displayname", account.display_name), ("avatar_url", account.avatar_url)):
            if value is not None:
                insert_profile_field(db, user_id, name, value)
        for medium, address in account.third_party_ids:
            insert_third_party_id(
                db,
                ThirdPartyId(
                    medium=medium,
                    address=address,
                    user_id=user_id,
                    validated_ts=account.created_ts,
                    added_ts=account.created_ts,
                ),
            )

    def keep_names(self, db: Db, position: Any, counts: Counter[str]) -> Any:
        """Accounts for those who have none; the position is the last user ID."""
        user_ids = self._roomserver.select_local_users(after=position or "", limit=SLICE)
        for user_id in user_ids:
            if find_user(db, user_id) is None:
                insert_user(db, user_id, None, is_guest=False, is_admin=False, now_ms=0)
                counts["accounts without a password"] += 1
        return user_ids[-1] if user_ids else None

    def take_account_data(self, db: Db, position: Any, counts: Counter[str]) -> Any:
        """The position is the last (localpart, room ID, type)."""
        found = self._source.select_account_data(after=tuple(position or ("", "", "")), limit=SLICE)
        for data in found:
            if isinstance(data.content, dict) and data.type not in _NOT_TAKEN:
                update_account_data(db, self._user_id(data.localpart), data.type, data.content, data.room_id)
                counts["account data"] += 1
        return [found[-1].localpart, found[-1].room_id, found[-1].type] if found else None

    def take_devices(self, db: Db, position: Any, counts: Counter[str]) -> Any:
        """Devices with their tokens and keys; the position is the last (localpart, device ID)."""
        devices = self._source.select_devices(after=tuple(position or ("", "")), limit=SLICE)
        for device in devices:
            user_id = self._user_id(device.localpart)
            user = find_user(db, user_id)
            if user is not None and not user.is_deactivated:
                self._take_device(db, user_id, device)
                counts["devices"] += 1
        return [devices[-1].localpart, devices[-1].device_id] if devices else None

    def _take_device(self, db: Db, user_id: UserID, source: SourceDevice) -> None:
        insert_device(
            db,
            user_id,
            Device(
                device_id=source.device_id,
                display_name=source.display_name,
                last_seen_ts=source.last_seen_ts,
                last_seen_ip=source.address,
            ),
        )
        adopt_token(db, user_id, source.device_id, source.access_token)
        keys = self._source.find_device_keys(user_id, source.device_id)
        if isinstance(keys, dict):
            insert_device_keys(db, user_id, source.device_id, keys)
            insert_device_list_change(db, user_id, [source.device_id])
        one_time_keys = self._source.select_one_time_keys(user_id, source.device_id)
        for algorithm, key_id, key in one_time_keys:  # one by one, since they are claimed in this order
            insert_one_time_keys(
                db, user_id, source.device_id, [OneTimeKey(algorithm=algorithm, key_id=key_id, key=key)]
            )

    def _user_id(self, localpart: str) -> UserID:
        return build_user_id(localpart, self._server_name)
