"""Dendrite's `matrix_key.pem`: a PEM block "MATRIX PRIVATE KEY" of 32 bytes, whose header `Key-ID` names the key."""

import re
from binascii import Error, a2b_base64
from pathlib import Path
from typing import Final

from tabstead.errors import ImportRefused
from tabstead.protocol.signatures import SEED_BYTES, SigningKey

_BLOCK: Final = re.compile(
    r"-----BEGIN MATRIX PRIVATE KEY-----\s+Key-ID: *(ed25519:[A-Za-z0-9_]+)\s+([A-Za-z0-9+/=\s]+?)\s*"
    r"-----END MATRIX PRIVATE KEY-----"
)


def read_signing_key(file: Path) -> SigningKey:
    """The first key of the file. Raises ImportRefused."""
    try:
        found = _BLOCK.search(file.read_text("ascii"))
        seed = a2b_base64(found[2]) if found is not None else b""
    except (OSError, UnicodeDecodeError, Error) as error:
        raise ImportRefused(f"{file} can't be read: {error}.") from error
    if found is None or len(seed) != SEED_BYTES:
        raise ImportRefused(f"{file} has no private key of Dendrite.")
    return SigningKey(key_id=found[1], seed=seed)
