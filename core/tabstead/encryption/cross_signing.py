"""Cross-signing: a user's master key signs the self-signing key, which signs the user's devices, and the user-signing
key, which signs other users' master keys. § Cross-signing

A signature is stored only after it was verified against a key that may make it:

    on the user's own device            the self-signing key
    on the user's own master key        the user's devices
    on another user's master key        the user-signing key
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tabstead.encryption.signed_keys import check_signatures_form, find_signatures, is_same_key, is_signed_by
from tabstead.errors import BadJson, Forbidden, InvalidParam, InvalidSignature, MatrixError, MissingParam, NotFound
from tabstead.http import JsonDict, JsonObject
from tabstead.protocol.signatures import ALGORITHM, decode_verify_key
from tabstead.storage.cross_signing import (
    CrossSigningKey,
    KeySignature,
    delete_cross_signing_key,
    insert_cross_signing_key,
    insert_key_signature,
    select_cross_signing_keys,
)
from tabstead.storage.database import Db
from tabstead.storage.device_keys import find_device_keys, select_device_keys
from tabstead.storage.device_lists import CROSS_SIGNING, insert_device_list_change
from tabstead.storage.devices import find_device

USAGES: Final = ("master", "self_signing", "user_signing")


def is_free_upload(db: Db, user_id: str, body: JsonObject) -> bool:
    """Whether an upload needs no confirmation: there is no master key yet, or the keys are those that are there."""
    stored = select_cross_signing_keys(db, user_id)
    if "master" not in stored:
        return True
    uploaded = _find_uploaded(body)
    return "master" in uploaded and all(
        usage in stored and is_same_key(stored[usage].key, key.values_dict) for usage, key in uploaded.items()
    )


def upload_cross_signing_keys(db: Db, user_id: str, body: JsonObject) -> None:
    """Set the user's keys that are given. Raises BadJson, InvalidParam, MissingParam, InvalidSignature, Forbidden.

    A new master key ends the two other keys that it does not come with, since it has not signed them.
    """
    stored = select_cross_signing_keys(db, user_id)
    uploaded = {usage: _parse_key(db, user_id, usage, key) for usage, key in _find_uploaded(body).items()}
    _check_signed_by_master(user_id, stored, uploaded)
    changed = {usage: key for usage, key in uploaded.items() if usage not in stored or stored[usage].key != key.key}
    if not changed:
        return
    if "master" in stored and "master" in changed and stored["master"].public_key != changed["master"].public_key:
        for usage in stored.keys() - uploaded.keys():
            delete_cross_signing_key(db, user_id, usage)
    for key in changed.values():
        insert_cross_signing_key(db, user_id, key)
    insert_device_list_change(db, user_id, [CROSS_SIGNING])


def upload_signatures(
    db: Db, user_id: str, uploads: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, MatrixError]]:
    """Keep the user's signatures on keys, given as signed objects by owner and key name; what failed, and why."""
    failures: dict[str, dict[str, MatrixError]] = {}
    for owner, signed_keys in uploads.items():
        signed_anew = []
        for key_name, signed in signed_keys.items():
            try:
                if _upload_signatures_on(db, user_id, owner, key_name, signed):
                    signed_anew.append(key_name)
            except MatrixError as error:
                failures.setdefault(owner, {})[key_name] = error
        if signed_anew:
            insert_device_list_change(db, owner, _name_changes(db, user_id, owner, signed_anew))
    return failures


def _name_changes(db: Db, signer: str, owner: str, key_names: Iterable[str]) -> list[str]:
    """What other servers see of new signatures: those of the owner alone."""
    if signer != owner:
        return []
    named = [name if find_device(db, owner, name) is not None else CROSS_SIGNING for name in key_names]
    return list(dict.fromkeys(named))


def _find_uploaded(body: JsonObject) -> dict[str, JsonObject]:
    uploaded = {usage: body.find_object(f"{usage}_key") for usage in USAGES}
    return {usage: key for usage, key in uploaded.items() if key is not None}


def _parse_key(db: Db, user_id: str, usage: str, key: JsonObject) -> CrossSigningKey:
    if key.string("user_id") != user_id:
        raise InvalidParam("A cross-signing key must be its user's own.")
    if usage not in key.strings("usage"):
        raise InvalidParam(f"The {usage} key's usage must be '{usage}'.")
    check_signatures_form(key)
    keys = key.object("keys")
    if len(keys) != 1:
        raise InvalidParam("A cross-signing key object holds one key.")
    ((key_id, public_key),) = keys.items()
    if not isinstance(public_key, str) or key_id != f"{ALGORITHM}:{public_key}":
        raise InvalidParam("A cross-signing key is named ed25519: and its public key.")
    decode_verify_key(key_id, public_key)
    if find_device(db, user_id, public_key) is not None:
        raise Forbidden("A cross-signing key may not be named like a device.")
    return CrossSigningKey(usage=usage, public_key=public_key, key=key.values_dict)


def _check_signed_by_master(
    user_id: str, stored: Mapping[str, CrossSigningKey], uploaded: Mapping[str, CrossSigningKey]
) -> None:
    """Raises MissingParam, InvalidSignature."""
    master = uploaded.get("master") or stored.get("master")
    if master is None:
        raise MissingParam("There is no master key.")
    for usage in uploaded.keys() - {"master"}:
        if not is_signed_by(uploaded[usage].key, user_id, master.public_key):
            raise InvalidSignature(f"The {usage} key is not signed by the master key.")


def _upload_signatures_on(db: Db, user_id: str, owner: str, key_name: str, signed: Any) -> bool:
    """Check and keep the user's signatures on one key; whether one is news."""
    if not isinstance(signed, dict):
        raise BadJson("A signed key must be an object.")
    stored, signing_keys = _find_signed_key(db, user_id, owner, key_name)
    if not is_same_key(stored, signed):
        raise InvalidParam("This is not the key that is known here.")
    made = find_signatures(signed).get(user_id, {})
    usable = {name: public_key for name, public_key in signing_keys.items() if f"{ALGORITHM}:{name}" in made}
    if not usable:
        raise InvalidSignature("The key carries no signature by a key of yours that may sign it.")
    for name, public_key in usable.items():
        if not is_signed_by(signed, user_id, public_key, name):
            raise InvalidSignature("The signature does not hold.")
    news = [
        insert_key_signature(
            db,
            KeySignature(
                user_id=owner,
                key_name=key_name,
                signer=user_id,
                signing_key_id=f"{ALGORITHM}:{name}",
                signature=made[f"{ALGORITHM}:{name}"],
            ),
        )
        for name in usable
    ]
    return any(news)


def _find_signed_key(db: Db, user_id: str, owner: str, key_name: str) -> tuple[JsonDict, dict[str, str]]:
    """The key as it is known here, and the user's public keys that may sign it, by their names. Raises NotFound."""
    mine = select_cross_signing_keys(db, user_id)
    masters = mine if owner == user_id else select_cross_signing_keys(db, owner)
    master = masters.get("master")
    if master is not None and master.public_key == key_name:
        signing_keys = _device_signing_keys(db, user_id) if owner == user_id else _named_by_itself(mine, "user_signing")
        return master.key, signing_keys
    device_keys = find_device_keys(db, owner, key_name) if owner == user_id else None
    if device_keys is None:
        raise NotFound("There is no such key that you may sign.")
    return device_keys, _named_by_itself(mine, "self_signing")


def _named_by_itself(keys: Mapping[str, CrossSigningKey], usage: str) -> dict[str, str]:
    return {keys[usage].public_key: keys[usage].public_key} if usage in keys else {}


def _device_signing_keys(db: Db, user_id: str) -> dict[str, str]:
    found = {
        device.device_id: device.keys["keys"].get(f"{ALGORITHM}:{device.device_id}")
        for device in select_device_keys(db, user_id)
    }
    return {device_id: public_key for device_id, public_key in found.items() if public_key is not None}
