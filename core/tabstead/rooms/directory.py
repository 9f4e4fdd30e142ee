"""The published room directory: which rooms it lists, what it says of them, searching and paging.

The rooms with the most members come first, then those that are older. A page token is a place in that order, with the
direction: `p` leads on after it, `m` back from it. Rooms may move between two pages when members join.

Each listed room has a row by which it is ordered and found. A change of the room's state only notes that the row is out
of date; whoever asks for the directory next brings it up to date first. (Client-Server API, § Published room directory)
"""

import re
from dataclasses import dataclass
from typing import Final

from tabstead.errors import BadJson, Forbidden, InvalidParam
from tabstead.http import JsonObject, Query
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.words import split_term, split_words
from tabstead.rooms.aliases import may_send_canonical_alias
from tabstead.rooms.summary import summarise_for_directory
from tabstead.storage.database import Database, Db
from tabstead.storage.room_directory import (
    DirectoryFilter,
    Place,
    count_listed,
    select_changed_listings,
    select_listed,
    update_directory_listing,
    update_listing,
)
from tabstead.storage.rooms import Room, get_room

MAX_ROOMS: Final = 500
"""In a page."""

_SLICE: Final = 100
_SEARCHED: Final = ("name", "topic", "canonical_alias")
_ONE_OR_ALL: Final = "'third_party_instance_id' names one network, 'include_all_networks' all of them."
_TOKEN: Final = re.compile(r"([pm])([0-9]{1,15})_([0-9]{1,15})")


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryQuery:
    limit: int
    since: str | None = None
    search_term: str | None = None
    """Its words begin words of the name, topic or alias, whatever their case and accents."""
    room_types: tuple[str | None, ...] | None = None
    """None among them: rooms without a type."""
    network: str | None = None
    """The instance of a third-party network that the rooms are to be of; None: any, or none."""


def parse_directory_parameters(query: Query) -> DirectoryQuery:
    """The query of GET /publicRooms, a client's or another server's. Raises InvalidParam."""
    network = query.get("third_party_instance_id") or None
    if network is not None and query.boolean("include_all_networks"):
        raise InvalidParam(_ONE_OR_ALL)
    return DirectoryQuery(limit=_limit(query.integer("limit", 0)), since=query.get("since") or None, network=network)


def parse_directory_body(body: JsonObject) -> DirectoryQuery:
    """The body of POST /publicRooms. Raises BadJson, InvalidParam."""
    wanted = body.object("filter", {})
    network = body.find_string("third_party_instance_id")
    if network is not None and body.boolean("include_all_networks", False):
        raise InvalidParam(_ONE_OR_ALL)
    return DirectoryQuery(
        limit=_limit(body.integer("limit", 0)),
        since=body.find_string("since"),
        search_term=wanted.find_string("generic_search_term"),
        room_types=_room_types(wanted),
        network=network,
    )


def _limit(limit: int) -> int:
    """0 stands for as many as there are."""
    if limit < 0:
        raise InvalidParam("'limit' must not be negative.")
    return min(limit, MAX_ROOMS) or MAX_ROOMS


def _room_types(wanted: JsonObject) -> tuple[str | None, ...] | None:
    if wanted.get("room_types") is None:
        return None
    room_types = wanted.array("room_types")
    if not all(room_type is None or isinstance(room_type, str) for room_type in room_types):
        raise BadJson("'room_types' must be an array of strings and nulls.")
    return tuple(room_types)


async def read_directory(database: Database, query: DirectoryQuery) -> JsonDict:
    """A page of the directory as it is now: the answer of GET and POST /publicRooms. Raises InvalidParam."""
    if query.network is not None:
        return {"chunk": [], "total_room_count_estimate": 0}
    if await database.read(is_listing_behind):
        while await database.write(bring_listing_up):
            continue
    return await database.read(lambda db: search_directory(db, query))


def set_directory_visibility(db: Db, room: Room, user_id: str, *, is_public: bool) -> None:
    """List the room, or take it out: for who may set its canonical alias. Raises Forbidden."""
    if not may_send_canonical_alias(db, room, user_id):
        raise Forbidden("You may not say whether the directory lists this room.")
    update_directory_listing(db, room.room_nid, is_public)


def is_listing_behind(db: Db) -> bool:
    """Whether rows of listed rooms are out of date."""
    return bool(select_changed_listings(db, 1))


def bring_listing_up(db: Db) -> bool:
    """Bring some rows up to date; whether there may be more."""
    news = select_changed_listings(db, _SLICE)
    for room_nid in news:
        summary = summarise_for_directory(db, get_room(db, room_nid))
        text = " ".join(summary.get(key, "") for key in _SEARCHED)
        update_listing(
            db,
            room_nid,
            members=summary["num_joined_members"],
            room_type=summary.get("room_type", ""),
            words=split_words(text),
        )
    return len(news) == _SLICE


def search_directory(db: Db, query: DirectoryQuery) -> JsonDict:
    """A page of the directory as it was brought up last. Raises InvalidParam for an unknown token."""
    beyond, backwards = _parse_token(query.since)
    words = () if query.search_term is None else tuple(split_term(query.search_term))
    if query.search_term and not words:
        return {"chunk": [], "total_room_count_estimate": 0}
    types = None if query.room_types is None else tuple(room_type or "" for room_type in query.room_types)
    wanted = DirectoryFilter(beginnings=words, room_types=types)
    places = select_listed(db, wanted, beyond=beyond, limit=query.limit, backwards=backwards)
    if backwards:
        places.reverse()
    answer: JsonDict = {
        "chunk": [summarise_for_directory(db, get_room(db, room_nid)) for _, room_nid in places],
        "total_room_count_estimate": count_listed(db, wanted),
    }
    if places and select_listed(db, wanted, beyond=places[0], limit=1, backwards=True):
        answer["prev_batch"] = _encode_token("m", places[0])
    if places and select_listed(db, wanted, beyond=places[-1], limit=1):
        answer["next_batch"] = _encode_token("p", places[-1])
    return answer


def _encode_token(direction: str, place: Place) -> str:
    return f"{direction}{-place[0]}_{place[1]}"


def _parse_token(token: str | None) -> tuple[Place | None, bool]:
    """The place beyond which the page is, and whether it is before that."""
    if token is None:
        return None, False
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise InvalidParam("This is not a token of this server.")
    return (-int(match[2]), int(match[3])), match[1] == "m"
