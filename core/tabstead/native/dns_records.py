"""SRV records by dnspython, which remembers them for as long as DNS allows."""

import random
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.resolver

from tabstead.errors import OutboundFailed
from tabstead.federation.server_discovery import Target

_LOOKUP_SECONDS: Final = 5
_MAX_KEPT: Final = 10_000
_NOWHERE: Final = "."


class DnsRecords:
    """What the system's name servers know."""

    def __init__(self) -> None:
        try:
            self._resolver = dns.asyncresolver.Resolver()
        except dns.resolver.NoResolverConfiguration:
            self._resolver = dns.asyncresolver.Resolver(configure=False)
        self._resolver.lifetime = _LOOKUP_SECONDS
        self._resolver.cache = dns.resolver.LRUCache(_MAX_KEPT)

    async def look_up_srv(self, name: str) -> list[Target]:
        """The SRV records of a name, in the order to be tried. Raises OutboundFailed."""
        try:
            answer = await self._resolver.resolve(name, "SRV", search=False, raise_on_no_answer=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.exception.SyntaxError, dns.exception.FormError):
            return []
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            raise OutboundFailed(f"The SRV records of {name} can't be looked up: {error}") from error
        return order_records([(each.priority, each.weight, str(each.target), each.port) for each in answer])


def order_records(records: list[tuple[int, int, str, int]]) -> list[Target]:
    """In the order of priority; within one by lot, with the weights (RFC 2782). Raises OutboundFailed of a refusal."""
    if [target for _, _, target, _ in records] == [_NOWHERE]:
        raise OutboundFailed("DNS says that this service is not to be had there.")
    drawn = sorted(records, key=lambda each: (each[0], _lot(each[1])))
    return [Target(host=target.rstrip("."), port=port) for _, _, target, port in drawn if target != _NOWHERE and port]


def _lot(weight: int) -> float:
    """Earlier the greater the weight: an exponential variable at that rate draws without replacement."""
    return random.expovariate(max(weight, 0.01))
