"""Rate limits: how often a caller may do what. Client-Server API, § Rate limiting.

A token bucket per limit and caller: it holds `burst` requests and gets one back every `refill_ms`. Buckets live in
memory, since nothing is lost with them but patience; one that is full again is forgotten. A route names its limit where
it is declared, and else has that of `ASKING`; the operator may give a limit another rate under its name. Callers are
told apart by their address or their access token, before the request costs anything. An edge that knows no addresses
has nothing to tell callers apart by, so it is not limited by address.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tabstead.configuration import Rate
from tabstead.errors import LimitExceeded
from tabstead.http import Request


class Caller(Enum):
    """What tells callers apart."""

    ADDRESS = "the address that a request comes from"
    TOKEN = "the access token"
    EITHER = "the access token, or without one the address"
    NAME = "the user name that a password is tried for"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    name: str
    caller: Caller
    burst: int
    refill_ms: int

    def find_caller(self, request: Request) -> str | None:
        """Who the request counts for; None: nobody."""
        token = request.access_token() if self.caller in {Caller.TOKEN, Caller.EITHER} else None
        if token is not None or self.caller is Caller.TOKEN:
            return token
        return request.client_address or None


ASKING: Final = RateLimit(name="asking", caller=Caller.EITHER, burst=3000, refill_ms=20)
REGISTERING: Final = RateLimit(name="registering", caller=Caller.ADDRESS, burst=20, refill_ms=10_000)
LOGGING_IN: Final = RateLimit(name="logging_in", caller=Caller.ADDRESS, burst=20, refill_ms=5_000)
LOOKING_UP: Final = RateLimit(name="looking_up", caller=Caller.ADDRESS, burst=100, refill_ms=500)
WRONG_PASSWORDS: Final = RateLimit(name="wrong_passwords", caller=Caller.NAME, burst=10, refill_ms=30_000)
SENDING_EMAIL: Final = RateLimit(name="sending email", caller=Caller.ADDRESS, burst=10, refill_ms=60_000)
SENDING: Final = RateLimit(name="sending", caller=Caller.TOKEN, burst=1000, refill_ms=50)
PREVIEWING: Final = RateLimit(name="previewing", caller=Caller.TOKEN, burst=50, refill_ms=2_000)
JOINING: Final = RateLimit(name="joining", caller=Caller.TOKEN, burst=100, refill_ms=500)
CREATING_ROOMS: Final = RateLimit(name="creating_rooms", caller=Caller.TOKEN, burst=50, refill_ms=2_000)
REPORTING: Final = RateLimit(name="reporting", caller=Caller.TOKEN, burst=20, refill_ms=30_000)

_FORGET_ABOVE: Final = 10_000
"""So many buckets are kept before the full ones are looked for."""


@dataclass(slots=True)
class _Bucket:
    rate: Rate
    full_at: float
    """When it will be full again, in milliseconds of the clock; everything about it follows from that."""

    def wait_ms(self, now_ms: int) -> int:
        """How long until it holds a whole request."""
        latest = now_ms + (self.rate.burst - 1) * self.rate.refill_ms
        return max(0, int(self.full_at - latest))

    def take(self, now_ms: int) -> None:
        self.full_at = max(self.full_at, now_ms) + self.rate.refill_ms


class RateLimiter:
    """The buckets of one homeserver."""

    def __init__(self, now_ms: Callable[[], int], *, enabled: bool, rates: Mapping[str, Rate] | None = None) -> None:
        """`rates` by the names of limits: what counts instead of their own."""
        self._now_ms = now_ms
        self._enabled = enabled
        self._rates = rates or {}
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def take(self, limit: RateLimit, caller: str | None) -> None:
        """Count a request. Raises LimitExceeded when the caller's bucket is empty."""
        self.check(limit, caller)
        if self._enabled and caller is not None:
            self._bucket(limit, caller).take(self._now_ms())

    def check(self, limit: RateLimit, caller: str | None) -> None:
        """Raises LimitExceeded when the caller's bucket is empty; counts nothing."""
        bucket = self._buckets.get((limit.name, caller)) if self._enabled and caller is not None else None
        if bucket is not None and (wait_ms := bucket.wait_ms(self._now_ms())) > 0:
            raise LimitExceeded("Too many requests; wait a little.", retry_after_ms=wait_ms)

    def _bucket(self, limit: RateLimit, caller: str) -> _Bucket:
        bucket = self._buckets.get((limit.name, caller))
        if bucket is None:
            self._forget_full_buckets()
            bucket = self._buckets[limit.name, caller] = _Bucket(rate=self._rate_of(limit), full_at=0)
        return bucket

    def _rate_of(self, limit: RateLimit) -> Rate:
        return self._rates.get(limit.name) or Rate(burst=limit.burst, refill_ms=limit.refill_ms)

    def _forget_full_buckets(self) -> None:
        if len(self._buckets) < _FORGET_ABOVE:
            return
        now_ms = self._now_ms()
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if bucket.full_at > now_ms}
