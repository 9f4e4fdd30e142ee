"""The published room directory: which rooms it lists, what it says of them, searching and paging.

The rooms with the most members come first, then those published first. A page token is the number of rooms before it,
with the direction: `p20` leads on from the twentieth room, `m20` back from it. Rooms may move between two pages when
members join; a client that pages through lists them again, as it does with any server.
(Client-Server API, § Published room directory)
"""

import re
from dataclasses import dataclass
from typing import Final

from tabstead.errors import Forbidden, InvalidParam
from tabstead.protocol.canonical_json import JsonDict
from tabstead.rooms.aliases import may_send_canonical_alias
from tabstead.rooms.summary import summarise_for_directory
from tabstead.storage.database import Db
from tabstead.storage.rooms import Room, select_public_rooms, update_directory_listing

_TOKEN: Final = re.compile(r"([pm])([0-9]{1,9})")


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryQuery:
    limit: int
    since: str | None = None
    search_term: str | None = None
    """Case does not matter, and neither does where in the name, topic or alias it is."""
    room_types: tuple[str | None, ...] | None = None
    """None among them: rooms without a type."""


def set_directory_visibility(db: Db, room: Room, user_id: str, *, is_public: bool) -> None:
    """List the room, or take it out: for who may set its canonical alias. Raises Forbidden."""
    if not may_send_canonical_alias(db, room, user_id):
        raise Forbidden("You may not say whether the directory lists this room.")
    update_directory_listing(db, room.room_nid, is_public)


def search_directory(db: Db, query: DirectoryQuery) -> JsonDict:
    """A page of the directory: the answer of GET and POST /publicRooms. Raises InvalidParam for an unknown token."""
    summaries = [summarise_for_directory(db, room) for room in select_public_rooms(db)]
    found = [summary for summary in summaries if _matches(summary, query)]
    found.sort(key=lambda summary: -int(summary["num_joined_members"]))
    first, last = _page_bounds(query, len(found))
    answer: JsonDict = {"chunk": found[first:last], "total_room_count_estimate": len(found)}
    if first > 0:
        answer["prev_batch"] = f"m{first}"
    if last < len(found):
        answer["next_batch"] = f"p{last}"
    return answer


def _matches(summary: JsonDict, query: DirectoryQuery) -> bool:
    if query.room_types is not None and summary.get("room_type") not in query.room_types:
        return False
    if query.search_term is None:
        return True
    term = query.search_term.casefold()
    searched = (summary.get(key, "") for key in ("name", "topic", "canonical_alias"))
    return any(term in text.casefold() for text in searched)


def _page_bounds(query: DirectoryQuery, total: int) -> tuple[int, int]:
    """First and last (exclusive) room of the page."""
    if query.since is None:
        return 0, min(query.limit, total)
    match = _TOKEN.fullmatch(query.since)
    if match is None:
        raise InvalidParam("This is not a token of this server.")
    position = min(int(match[2]), total)
    if match[1] == "p":
        return position, min(position + query.limit, total)
    return max(position - query.limit, 0), position
