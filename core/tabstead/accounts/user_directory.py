"""The user directory: finding people by the words of their name or user ID. § User Directory

Found are those whom a user could meet anyway: who is in one of their rooms, or in a room that is public or readable by
everybody. What is searched for are beginnings of words, whatever their case and accents; who writes a whole user ID, or
the beginning of one, searches for that. Better matches come first: the whole name, then its beginning.

Users of other servers are those who are in rooms with this one's. By the names that they have in whatever room, they
are in the directory; found and shown they are by the one that the searcher may see.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from tabstead.accounts.remote_users import find_public_profile, find_shared_profile, select_names
from tabstead.protocol.identifiers import localpart_of
from tabstead.protocol.words import split_term, split_words
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.summary import is_open_to_all
from tabstead.storage.database import Db
from tabstead.storage.memberships import select_memberships, share_room
from tabstead.storage.rooms import get_room
from tabstead.storage.user_directory import DirectoryUser, select_changed_names, update_user_words, walk_directory

_SLICE: Final = 500
_MAX_LOOKED_AT: Final = 2000
"""Of so many users whose names fit, the best that the searcher may find are the result."""


def is_directory_behind(db: Db) -> bool:
    """Whether there are names that are not in the directory yet."""
    return bool(select_changed_names(db, 1))


def bring_directory_up(db: Db, server: LocalServer) -> bool:
    """Take some of the new names in; whether there may be more."""
    news = select_changed_names(db, _SLICE)
    for user_id, displayname in news:
        names = [displayname or ""] if server.owns(user_id) else select_names(db, user_id)
        words = (word for name in (localpart_of(user_id), *names) for word in split_words(name))
        update_user_words(db, user_id, words)
    return len(news) == _SLICE


def search_users(db: Db, server: LocalServer, user_id: str, term: str, limit: int) -> list[DirectoryUser]:
    """The best `limit` matches among the users that this user may find."""
    term = term.strip()
    wanted = split_term(localpart_of(term) if term.startswith("@") else term)
    if not wanted:
        return []
    found = list(_find(db, server, user_id, term, wanted))
    # "Ordered by rank and then whether or not profile info is available."
    found.sort(key=lambda user: (_rank(user, term), user.displayname is None, user.user_id))
    return found[:limit]


def _find(db: Db, server: LocalServer, user_id: str, term: str, wanted: list[str]) -> Iterator[DirectoryUser]:
    """The users that this user may find, each as they may see them."""
    audience = _Audience(db, user_id)
    for user in islice(walk_directory(db, wanted), _MAX_LOOKED_AT):
        if not _fits(user, term) or not audience.may_find(user.user_id):
            continue
        shown = user if server.owns(user.user_id) else audience.show(user)
        if shown is user or _has_words(shown, wanted):
            yield shown


class _Audience:
    """Whom a user may find; remembers which rooms are open."""

    def __init__(self, db: Db, user_id: str) -> None:
        self._db = db
        self._user_id = user_id
        self._open: dict[int, bool] = {}

    def may_find(self, other: str) -> bool:
        if other == self._user_id:
            return False
        if share_room(self._db, self._user_id, other):
            return True
        return any(self._is_open(row.room_nid) for row in select_memberships(self._db, other, ("join",)))

    def show(self, other: DirectoryUser) -> DirectoryUser:
        """A user of another server, with the name that this user may see."""
        profile = find_shared_profile(self._db, self._user_id, other.user_id)
        profile = profile or find_public_profile(self._db, other.user_id)
        if profile is None:
            return other
        return replace(other, displayname=profile.displayname, avatar_url=profile.avatar_url)

    def _is_open(self, room_nid: int) -> bool:
        if room_nid not in self._open:
            self._open[room_nid] = is_open_to_all(self._db, get_room(self._db, room_nid))
        return self._open[room_nid]


def _fits(user: DirectoryUser, term: str) -> bool:
    return not term.startswith("@") or user.user_id.casefold().startswith(term.casefold())


def _has_words(user: DirectoryUser, beginnings: list[str]) -> bool:
    words = [word for name in _names(user) for word in split_words(name)]
    return all(any(word.startswith(beginning) for word in words) for beginning in beginnings)


def _names(user: DirectoryUser) -> tuple[str, str]:
    return localpart_of(user.user_id), user.displayname or ""


def _rank(user: DirectoryUser, term: str) -> int:
    """0: a name is the term; 1: it begins with it; 2: it has its words somewhere."""
    said = " ".join(split_words(term))
    names = [" ".join(split_words(name)) for name in _names(user)]
    if user.user_id == term or said in names:
        return 0
    return 1 if any(name.startswith(said) for name in names) else 2
