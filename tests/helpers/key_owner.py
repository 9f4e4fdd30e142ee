"""Devices and users with real Ed25519 keys, as far as a server sees them.

phone = DeviceKeys.of(alice)                      # the identity keys of a device, signed by themselves
identity = CrossSigning.of(alice.user_id)         # master, self-signing and user-signing keys
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from helpers.homeserver import Client
from tabstead.protocol.signatures import SigningKey, sign_json

Json = dict[str, Any]


def key_from(name: str) -> SigningKey:
    """A key pair that is the same in every run."""
    return SigningKey(key_id="ed25519:key", seed=sha256(name.encode()).digest())


def sign(value: Json, user_id: str, name: str, key: SigningKey) -> Json:
    """A copy with a signature by the key under this name: a device's ID, or the key's public half."""
    return sign_json(value, user_id, SigningKey(key_id=f"ed25519:{name}", seed=key.seed))


@dataclass(frozen=True)
class DeviceKeys:
    user_id: str
    device_id: str
    key: SigningKey

    @classmethod
    def of(cls, client: Client) -> "DeviceKeys":
        return cls(client.user_id, client.device_id, key_from(client.user_id + client.device_id))

    @property
    def signed(self) -> Json:
        """What is uploaded as `device_keys`."""
        return self.sign(
            {
                "user_id": self.user_id,
                "device_id": self.device_id,
                "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
                "keys": {
                    f"ed25519:{self.device_id}": self.key.verify_key.encode(),
                    f"curve25519:{self.device_id}": f"curve25519 of {self.device_id}",
                },
            }
        )

    def sign(self, value: Json) -> Json:
        return sign(value, self.user_id, self.device_id, self.key)

    def one_time_keys(self, *key_ids: str, **more: Any) -> Json:
        """Signed one-time keys by their names."""
        return {f"signed_curve25519:{key_id}": self.sign({"key": f"public {key_id}", **more}) for key_id in key_ids}


@dataclass(frozen=True)
class CrossSigning:
    user_id: str
    generation: int = 1
    _usages: tuple[str, ...] = field(default=("master", "self_signing", "user_signing"))

    @classmethod
    def of(cls, user_id: str, generation: int = 1) -> "CrossSigning":
        return cls(user_id, generation)

    def key(self, usage: str) -> SigningKey:
        return key_from(f"{self.user_id} {usage} {self.generation}")

    def public(self, usage: str) -> str:
        return self.key(usage).verify_key.encode()

    def key_object(self, usage: str) -> Json:
        """The key as it is uploaded; all but the master key are signed by that."""
        public = self.public(usage)
        value = {"user_id": self.user_id, "usage": [usage], "keys": {f"ed25519:{public}": public}}
        return value if usage == "master" else self.sign(value, "master")

    def sign(self, value: Json, usage: str) -> Json:
        return sign(value, self.user_id, self.public(usage), self.key(usage))

    @property
    def upload(self) -> Json:
        """The body of POST /keys/device_signing/upload."""
        return {f"{usage}_key": self.key_object(usage) for usage in self._usages}
