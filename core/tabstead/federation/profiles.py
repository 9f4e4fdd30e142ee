"""Profiles of other servers' users, as their servers tell them.

A profile is asked for as a whole and kept for a while, whichever field of it somebody wants. What a server tells may
be anything; a name that is no text and a picture that is none are left out.
(server-server API, "Querying for information")
"""

from collections.abc import Callable
from typing import Final

from tabstead.errors import Forbidden, NotFound, PeerRefused
from tabstead.federation.client import FederationClient, Question, federation_path
from tabstead.federation.recent_answers import RecentAnswers
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import UserID, server_name_of

_TIMEOUT_MS: Final = 10_000
_MAX_BYTES: Final = 128 * 1024
"""A profile has at most 64 KiB; not every server writes it as short as it can."""
_LIVES_MS: Final = 5 * 60 * 1000
_MOST: Final = 200


class RemoteProfiles:
    """The profiles that were asked for lately."""

    def __init__(self, client: FederationClient, now_ms: Callable[[], int]) -> None:
        self._client = client
        self._recent: RecentAnswers[UserID, JsonDict] = RecentAnswers(now_ms, lives_ms=_LIVES_MS, most=_MOST)

    async def fetch_profile(self, user_id: UserID) -> JsonDict:
        """All fields that the user's server tells. Raises NotFound, Forbidden, OutboundFailed."""
        return await self._recent.find_or_fetch(user_id, lambda: self._fetch(user_id))

    async def _fetch(self, user_id: UserID) -> JsonDict:
        question = Question(
            method="GET",
            path=federation_path("v1", "query", "profile"),
            query={"user_id": user_id},
            timeout_ms=_TIMEOUT_MS,
            max_bytes=_MAX_BYTES,
        )
        try:
            told = await self._client.ask(server_name_of(user_id), question)
        except PeerRefused as refusal:
            if refusal.status == NotFound.status:
                raise NotFound("There is no profile of this user.") from refusal
            if refusal.status == Forbidden.status:
                raise Forbidden("The user's server does not tell their profile.") from refusal
            raise
        return {name: value for name, value in told.items() if _is_fit(name, value)}


def _is_fit(name: str, value: object) -> bool:
    """`null` stands for a field that is not set."""
    if name == "avatar_url":
        return isinstance(value, str) and value.startswith("mxc://")
    return isinstance(value, str) if name in {"displayname", "m.tz"} else value is not None
