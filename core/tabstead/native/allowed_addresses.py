"""Which addresses the server may connect to where others choose the host: public ones, and what the operator allows.

Names are looked up in threads of their own: a name server that never answers holds up nobody's disk.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeAlias

from tabstead.errors import OutboundFailed, OutboundRefused

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_LOOKUPS: Final = 16


class AllowedAddresses:
    """The addresses of hosts, as far as they may be connected to. `allowed` networks count as public."""

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self._allowed = allowed
        self._threads = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="name-lookup")

    async def find(self, host: str, port: int | None) -> list[Address]:
        """The addresses of a name, or of itself; all must be allowed. Raises OutboundRefused, OutboundFailed."""
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        except (OSError, UnicodeError) as error:
            raise OutboundFailed(f"{host} has no address.") from error
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        if not all(self.is_allowed(address) for address in addresses):
            raise OutboundRefused(f"{host} is not at a public address.")
        return list(dict.fromkeys(addresses))

    def is_allowed(self, address: Address) -> bool:
        return is_public(address) or any(address in network for network in self._allowed)

    def close(self) -> None:
        """Wait for no lookup that still runs."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def is_public(address: Address) -> bool:
    """Whether an address is anybody's to reach; of one that wraps an IPv4 address, whether that is."""
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in _NAT64:
            wrapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if wrapped:
            return is_public(wrapped)
    return address.is_global and not address.is_multicast
