"""Password hashes: argon2id with 19 MiB and two passes, in libsodium's encoded form that carries its parameters.

A hash takes a tenth of a second or so, therefore it is computed outside of a transaction. Here alone PyNaCl is loaded
for passwords, and only when one is hashed or verified.

Users who moved here from another server have its bcrypt hashes until they change their passwords. They are verified
where the package `bcrypt` is, which is on a native server; elsewhere nothing matches them.
"""

from typing import Final

from tabstead.errors import InvalidParam, WeakPassword

_PASSES: Final = 2
_MEMORY_BYTES: Final = 19 * 1024 * 1024
_MAX_BYTES: Final = 4096

_BCRYPT_PREFIXES: Final = ("$2a$", "$2b$", "$2y$")
_BCRYPT_BYTES: Final = 72
"""Of a password that are hashed: the rest never mattered."""

_NOBODYS_HASH: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$rSs7Y8Y1Dpmkqj0UiV0Wdw$AwVfmOZyVqzcTtQbEPsN4HSXGVnlxpsvVTpJoxCbIyI"
)
"""What a password is compared with where there is no user, so that the answer takes as long. Nothing matches it."""


def hash_password(password: str) -> str:
    """The hash to store. Raises WeakPassword for an empty one, InvalidParam for one longer than 4096 bytes."""
    from nacl import pwhash

    if not password:
        raise WeakPassword("The password is empty.")
    secret = _encode(password)
    if len(secret) > _MAX_BYTES:
        raise InvalidParam(f"The password is longer than {_MAX_BYTES} bytes.")
    return pwhash.argon2id.str(secret, opslimit=_PASSES, memlimit=_MEMORY_BYTES).decode("ascii")


def is_password(password: str, password_hash: str | None) -> bool:
    """Whether the password has this hash. Without a hash the answer is no, and takes as long."""
    if password_hash is not None and password_hash.startswith(_BCRYPT_PREFIXES):
        return _is_bcrypt(password, password_hash)
    from nacl import pwhash
    from nacl.exceptions import InvalidkeyError

    try:
        pwhash.verify((password_hash or _NOBODYS_HASH).encode("ascii"), _encode(password)[: _MAX_BYTES + 1])
    except InvalidkeyError:
        return False
    return password_hash is not None


def _is_bcrypt(password: str, password_hash: str) -> bool:
    try:
        import bcrypt
    except ImportError:
        return False
    try:
        return bcrypt.checkpw(_encode(password)[:_BCRYPT_BYTES], password_hash.encode("ascii"))
    except ValueError:  # not a hash, or a password with a zero byte
        return False


def _encode(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
