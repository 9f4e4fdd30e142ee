"""A room told event by event, for tests: short names, symbolic event IDs, the state kept as it goes.

`"alice"` is `@alice:example.org`, `"bob@far.example"` is `@bob:far.example`. Events are made as values, not hashed or
signed, unless a test signs them.
"""

from typing import Any

from tabstead.protocol.auth_rules import ALLOWED, Rejected, Verdict, check_event_auth, select_auth_event_types
from tabstead.protocol.events import Event
from tabstead.protocol.identifiers import EventID, RoomID, StateTuple, UserID
from tabstead.protocol.room_versions import ROOM_VERSIONS, RoomVersion, get_room_version

VERSIONS = tuple(ROOM_VERSIONS)


def since(first: str) -> tuple[str, ...]:
    """The room versions from this one on."""
    return VERSIONS[VERSIONS.index(first) :]


def until(last: str) -> tuple[str, ...]:
    """The room versions up to this one."""
    return VERSIONS[: VERSIONS.index(last) + 1]


def between(first: str, last: str) -> tuple[str, ...]:
    return VERSIONS[VERSIONS.index(first) : VERSIONS.index(last) + 1]


def user(name: str) -> UserID:
    localpart, _, domain = name.partition("@")
    return UserID(f"@{localpart}:{domain or 'example.org'}")


class RoomStory:
    """A room of some version. `founded` lets alice create and join it."""

    def __init__(self, version: str) -> None:
        self.version: RoomVersion = get_room_version(version)
        self.state: dict[StateTuple, Event] = {}
        self.events: dict[EventID, Event] = {}
        self.room_id = RoomID("!room:example.org")
        self.latest: EventID | None = None

    @classmethod
    def founded(cls, version: str, **create_content: Any) -> "RoomStory":
        story = cls(version)
        story.happens("alice", "m.room.create", story.create_content(**create_content))
        story.happens("alice", "m.room.member", {"membership": "join"}, user("alice"))
        return story

    def fork(self) -> "RoomStory":
        """The room as another server sees it from here on. Both know all events."""
        other = RoomStory(self.version.name)
        other.state, other.events = dict(self.state), self.events
        other.room_id, other.latest = self.room_id, self.latest
        return other

    @property
    def state_ids(self) -> dict[StateTuple, EventID]:
        return {key: event.event_id for key, event in self.state.items()}

    def create_content(self, **content: Any) -> dict[str, Any]:
        creator = {"creator": user("alice")} if self.version.creator_in_content else {}
        return {"room_version": self.version.name, **creator, **content}

    def levels(self, **levels: Any) -> "RoomStory":
        """Alice sets the power levels; `users` maps short names. Where she may not be listed, she is not."""
        users = {user(name): level for name, level in levels.pop("users", {}).items()}
        if not self.version.privileged_creators:
            users.setdefault(user("alice"), 100)
        self.happens("alice", "m.room.power_levels", {**levels, "users": users})
        return self

    def join_rule(self, join_rule: str) -> "RoomStory":
        self.happens("alice", "m.room.join_rules", {"join_rule": join_rule})
        return self

    def member(self, name: str, membership: str) -> "RoomStory":
        """The user has this membership, whoever and whatever brought it about."""
        self._keep(self.event(name, "m.room.member", {"membership": membership}, user(name)))
        return self

    def event(
        self,
        sender: str,
        event_type: str,
        content: dict[str, Any] | None = None,
        state_key: str | None = "",
        **fields: Any,
    ) -> Event:
        """An event that comes next. `state_key=None` makes it a message. Fields of Event can be given as they are."""
        content = {} if content is None else content
        event_id = EventID(f"${len(self.events):02}-{event_type}")
        if self.version.references_have_hashes:
            event_id = EventID(f"{event_id}:{user(sender).partition(':')[2]}")
        is_own_room = self.version.room_id_is_create_hash and event_type == "m.room.create"
        room_id = RoomID("!" + event_id[1:]) if is_own_room else self.room_id
        auth_events = [
            self.state[key].event_id
            for key in select_auth_event_types(event_type, state_key, user(sender), content, self.version)
            if key in self.state
        ]
        made: dict[str, Any] = {
            "event_id": event_id,
            "room_id": room_id,
            "type": event_type,
            "sender": user(sender),
            "state_key": state_key,
            "content": content,
            "prev_events": () if self.latest is None else (self.latest,),
            "auth_events": tuple(auth_events),
            "depth": len(self.events) + 1,
            "origin_server_ts": len(self.events),
            "redacts": None,
            "pdu": {} if is_own_room else {"room_id": room_id},
            "unsigned": {},
        }
        return Event(**{**made, **fields})

    def verdict(self, *args: Any, **fields: Any) -> Verdict:
        """The verdict on an event that would come next; it does not happen."""
        return check_event_auth(self.event(*args, **fields), self.state, self.version)

    def happens(self, *args: Any, **fields: Any) -> Event:
        """An event that is allowed, and becomes part of the room."""
        event = self.event(*args, **fields)
        assert check_event_auth(event, self.state, self.version) is ALLOWED, event
        self._keep(event)
        return event

    def _keep(self, event: Event) -> None:
        self.events[event.event_id] = event
        self.latest = event.event_id
        if event.is_state:
            self.state[event.state_tuple] = event
        if event.type == "m.room.create":
            self.room_id = event.room_id


def reason(verdict: Verdict) -> str:
    """Why it was rejected; an empty string if it was allowed."""
    return verdict.reason if isinstance(verdict, Rejected) else ""
