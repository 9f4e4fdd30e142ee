"""The room state that an event is authorised against, in the words of the rules."""

from dataclasses import dataclass
from typing import Final, Protocol

from tabstead.protocol.auth_rules.power_levels import PowerLevels
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events.event import Event
from tabstead.protocol.identifiers import StateTuple
from tabstead.protocol.room_versions import RoomVersion

CREATE: Final[StateTuple] = ("m.room.create", "")
JOIN_RULES: Final[StateTuple] = ("m.room.join_rules", "")
POWER_LEVELS: Final[StateTuple] = ("m.room.power_levels", "")

_NOBODY: Final[frozenset[str]] = frozenset()


class StateEvents(Protocol):
    """State events by type and state key: any mapping, or whatever finds them when they are asked for."""

    def get(self, key: StateTuple, /) -> Event | None: ...


@dataclass(slots=True, eq=False)
class RoomState:
    """A view of some state of a room; only what authorisation looks at need be in it.

    Every check makes one, which is why it is not frozen: that takes three times as long.
    """

    events: StateEvents
    room_version: RoomVersion

    @property
    def create(self) -> Event | None:
        return self.events.get(CREATE)

    @property
    def creator(self) -> str | None:
        """v1-v10: the create event's `content.creator`; v11-: its sender."""
        create = self.create
        return None if create is None else creator_of(create, self.room_version)

    @property
    def power_levels(self) -> PowerLevels:
        create = self.create
        creators = _NOBODY if create is None else creators_of(create, self.room_version)
        event = self.events.get(POWER_LEVELS)
        content = None if event is None else event.content
        return PowerLevels(content=content, creators=creators, room_version=self.room_version)

    @property
    def join_rule(self) -> str:
        """`invite` where the room has none; an empty string for what is no text."""
        event = self.events.get(JOIN_RULES)
        join_rule = "invite" if event is None else event.content.get("join_rule")
        return join_rule if isinstance(join_rule, str) else ""

    def membership_of(self, user_id: str) -> str | None:
        """The user's current membership, None for someone who never had one."""
        event = self.events.get(("m.room.member", user_id))
        return None if event is None else event.membership

    def third_party_invite(self, token: str) -> Event | None:
        return self.events.get(("m.room.third_party_invite", token))


def creator_of(create: Event, room_version: RoomVersion) -> str | None:
    """v1-v10: `content.creator`. v11-: the sender."""
    if not room_version.creator_in_content:
        return create.sender
    creator = create.content.get("creator")
    return creator if isinstance(creator, str) else None


def creators_of(create: Event, room_version: RoomVersion) -> frozenset[str]:
    """The room creators. v1-v11: one. v12-: the sender and all `additional_creators`."""
    creator = creator_of(create, room_version)
    creators = _NOBODY if creator is None else frozenset({creator})
    return creators | _additional_creators(create.content) if room_version.privileged_creators else creators


def _additional_creators(content: JsonDict) -> frozenset[str]:
    additional = content.get("additional_creators")
    if not isinstance(additional, list):
        return _NOBODY
    return frozenset(user_id for user_id in additional if isinstance(user_id, str))
