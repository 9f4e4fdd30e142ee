"""The opaque tokens that clients carry, and what they stand for.

A *position* in a token is a point between two rows of the durable streams: everything up to it is before the token,
the rest after. Because one counter orders all streams, one position tells where a client is in all of them, with one
exception: to-device messages are handed out in portions, so they may lag behind.

What lives in memory alone is ordered by an *ephemeral serial*, milliseconds of the server's clock made unique. A life
of the server that ends forgets who was typing; a token therefore names the rooms in which its client still shows
somebody typing, so that a later life can take that back.

    sync token       s<position>_<serial>[_d<to-device position>][_t<room_nid>.<room_nid>…]
    timeline token   t<position>
    sliding token    p<connection>.<generation>.<extensions>~<sync token>

A sync token and a sliding token serve as timeline tokens too.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from tabstead.errors import InvalidParam

_SYNC_TOKEN: Final = re.compile(
    r"s([0-9]{1,16})_([0-9]{1,16})(?:_d([0-9]{1,16}))?(?:_t([0-9]{1,16}(?:\.[0-9]{1,16})*))?"
)
_SLIDING_TOKEN: Final = re.compile(r"p([0-9]{1,16})\.([0-9]{1,16})\.([a-z]*)~(s.*)", re.DOTALL)
_TIMELINE_TOKEN: Final = re.compile(r"t([0-9]{1,16})")


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncToken:
    """Up to where a client knows the streams."""

    position: int
    ephemeral: int
    to_device: int
    """Up to where the device has its to-device messages; at most `position`."""
    typing_rooms: frozenset[int] = field(default=frozenset())
    """The room_nids of the rooms in which the client shows somebody typing."""

    def encode(self) -> str:
        text = f"s{self.position}_{self.ephemeral}"
        if self.to_device != self.position:
            text += f"_d{self.to_device}"
        if self.typing_rooms:
            text += "_t" + ".".join(str(room_nid) for room_nid in sorted(self.typing_rooms))
        return text


def parse_sync_token(text: str) -> SyncToken:
    """The token that a `/sync` gave as `next_batch`. Raises InvalidParam."""
    match = _SYNC_TOKEN.fullmatch(text)
    if match is None:
        raise InvalidParam("This is not a token of this server.")
    position, ephemeral, to_device, typing_rooms = match.groups()
    return SyncToken(
        position=int(position),
        ephemeral=int(ephemeral),
        to_device=int(position if to_device is None else to_device),
        typing_rooms=frozenset(int(room_nid) for room_nid in (typing_rooms or "").split(".") if room_nid),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidingToken:
    """Where a client of sliding sync is: what it knows of the streams, and of which rooms."""

    connection_nid: int
    generation: int
    extensions: str
    """A letter for each extension that was on."""
    streams: SyncToken

    def encode(self) -> str:
        return f"p{self.connection_nid}.{self.generation}.{self.extensions}~{self.streams.encode()}"


def parse_sliding_token(text: str) -> SlidingToken:
    """The `pos` of an answer of sliding sync. Raises InvalidParam."""
    match = _SLIDING_TOKEN.fullmatch(text)
    if match is None:
        raise InvalidParam("This is not a token of this server.")
    connection_nid, generation, extensions, streams = match.groups()
    return SlidingToken(
        connection_nid=int(connection_nid),
        generation=int(generation),
        extensions=extensions,
        streams=parse_sync_token(streams),
    )


def encode_timeline_token(position: int) -> str:
    """A point in a room's timeline: events up to `position` are before it, later ones after it."""
    return f"t{position}"


def parse_timeline_token(text: str) -> int:
    """The position of a timeline token, a sync token or a sliding token. Raises InvalidParam."""
    if match := _TIMELINE_TOKEN.fullmatch(text):
        return int(match[1])
    return parse_sliding_token(text).streams.position if text.startswith("p") else parse_sync_token(text).position
