"""Access tokens: who a request comes from."""

from dataclasses import dataclass

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """The user and device that a request was authenticated for."""

    user_id: str
    device_id: str
    is_guest: bool = False


def authenticate(db: Db, access_token: str, now_ms: int) -> Requester:
    """Who the access token belongs to. Raises UnknownToken."""
    raise NotImplementedError
