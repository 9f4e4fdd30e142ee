"""The parts that talk with other servers, put together: what an edge with a transport gives the homeserver."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from tabstead import configuration
from tabstead.federation.client import FederationClient
from tabstead.federation.device_lists import RemoteDeviceLists
from tabstead.federation.hierarchy import RemoteHierarchy
from tabstead.federation.inbound_work import InboundWork
from tabstead.federation.key_ring import KeyRing
from tabstead.federation.media import MediaFetcher
from tabstead.federation.notary import Notary
from tabstead.federation.policy import PolicyClient
from tabstead.federation.profiles import RemoteProfiles
from tabstead.federation.remote_keys import RemoteKeys
from tabstead.federation.room_locks import RoomLocks
from tabstead.federation.sending import Sending
from tabstead.federation.transport import Transport
from tabstead.outbound import Outbound
from tabstead.rooms.alias_targets import UntoldAlias
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.policy import UnsignedByPolicy
from tabstead.storage.database import Db
from tabstead.streams.commits import Commits
from tabstead.streams.followers import Follower
from tabstead.streams.typing_users import TypingUsers

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Federation:
    """What endpoints and followers work with."""

    server: LocalServer
    commits: Commits
    client: FederationClient
    key_ring: KeyRing
    notary: Notary
    inbound: InboundWork = field(default_factory=InboundWork)
    entering: RoomLocks = field(default_factory=RoomLocks)
    """Rooms that this server is about to come into."""
    profiles: RemoteProfiles
    hierarchy: RemoteHierarchy
    sending: Sending
    device_lists: RemoteDeviceLists
    remote_keys: RemoteKeys
    media: MediaFetcher

    async def read(self, work: Callable[[Db], T]) -> T:
        return await self.commits.database.read(work)

    async def write(self, work: Callable[[Db], T]) -> T:
        """Run a write transaction; once it is durable, wake those who wait for news."""
        return await self.commits.write(work)

    def build_followers(self) -> list[Follower]:
        """What goes on between requests."""
        from tabstead.federation.staged_rooms import StagedRooms  # works with a Federation

        return [self.sending, StagedRooms(self), self.device_lists]

    async def close(self) -> None:
        await self.sending.close()
        await self.inbound.close()
        await self.key_ring.close()
        await self.client.close()


def build_federation(
    options: configuration.Federation,
    server: LocalServer,
    commits: Commits,
    transport: Transport,
    typing_users: TypingUsers,
    *,
    outbound: Outbound | None,
    max_media_bytes: int,
) -> Federation:
    client = FederationClient(server, transport, options)
    key_ring = KeyRing(server, commits.database, client, options)
    device_lists = RemoteDeviceLists(server, commits, client)
    commits.settlers[UnsignedByPolicy] = PolicyClient(server, client).settle
    federation = Federation(
        server=server,
        commits=commits,
        client=client,
        key_ring=key_ring,
        notary=Notary(server, commits.database, key_ring),
        profiles=RemoteProfiles(client, server.now_ms),
        hierarchy=RemoteHierarchy(server, commits.database, client),
        sending=Sending(server=server, database=commits.database, client=client, typing_users=typing_users),
        device_lists=device_lists,
        remote_keys=RemoteKeys(server, commits.database, client, device_lists),
        media=MediaFetcher(server, commits.database, client, outbound, max_bytes=max_media_bytes),
    )
    from tabstead.federation.directory import settle_alias  # works with a Federation

    commits.settlers[UntoldAlias] = partial(settle_alias, federation)
    return federation
