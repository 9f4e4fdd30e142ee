"""What happens next in a room, by chance: an event's type, sender, state key and content.

Most of it makes sense in the room as it is, so that rooms live; some is forbidden, some is nonsense. The author knows
nothing of the rules: which of it is allowed is what the two implementations are asked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from tabstead.protocol.events import Event
from tabstead.protocol.identifiers import EventID, ServerName, StateTuple, UserID, server_name_of
from tabstead.protocol.room_versions import RoomVersion
from tabstead.protocol.signatures import SigningKey, sign_json

ALICE, BOB, CAROL, DAVE, EVE = (
    UserID(f"@{name}:{server}.example")
    for name, server in (("alice", "a"), ("bob", "a"), ("carol", "b"), ("dave", "b"), ("eve", "c"))
)
USERS = (ALICE, BOB, CAROL, DAVE, EVE)
TOKENS = ("tulip", "rose")
IDENTITY_SERVER = "id.example"
IDENTITY_KEYS = tuple(SigningKey(key_id="ed25519:0", seed=bytes([number]) * 32) for number in (1, 2))

LEVELS = (0, 25, 50, 50, 75, 100, 100, -1, 101)
NAMED_LEVELS = ("users_default", "events_default", "state_default", "ban", "kick", "redact", "invite")
LEVELLED_TYPES = ("m.room.topic", "m.room.power_levels", "m.room.join_rules", "m.room.message", "m.room.redaction")
STRINGS_OF_LEVELS = ("50", " 50 ", "+50", "0050", "-5")
ODDITIES: tuple[Any, ...] = (None, True, "", "fifty", "5.0", [], {}, [50], {"level": 50})
JOIN_RULES = (*("public", "invite", "restricted") * 2, "knock", "knock_restricted", "private")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What someone wants to say, before it has a place in the room."""

    type: str
    sender: UserID
    content: dict[str, Any]
    state_key: str | None = None
    redacts: EventID | None = None


class Dice(Random):
    """A random generator with the few questions that are asked here."""

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def one_of(self, weights: Mapping[Any, float]) -> Any:
        return self.choices([*weights], [*weights.values()])[0]


State = Mapping[StateTuple, Event]


class Author:
    """Thinks up what is said in one room."""

    def __init__(self, dice: Dice, room_version: RoomVersion) -> None:
        self._dice = dice
        self._version = room_version
        self._themes: Mapping[Callable[[State], Draft], float] = {
            self._membership: 10,
            self._power_levels: 4,
            self._join_rules: 2,
            self._topic: 3,
            self._third_party_invite: 0.7,
            self._message: 0.5,
            self._redaction: 0.5,
            self._aliases: 0.7,
            self._of_a_user: 0.5,
            self._second_create: 0.1,
        }

    def create(self) -> Draft:
        """The event that begins the room."""
        content: dict[str, Any] = {"room_version": self._version.name}
        if self._version.creator_in_content or self._dice.chance(0.1):
            content["creator"] = ALICE
        if self._dice.chance(0.1):
            content["m.federate"] = self._dice.choice((True, False, False))
        if self._dice.chance(0.4):
            content["additional_creators"] = self._dice.sample(USERS, self._dice.randrange(3))
        return Draft(type="m.room.create", sender=ALICE, state_key="", content=content)

    def odd_create(self) -> Draft:
        """A create event that may be wrong; nothing is built upon it."""
        draft = self.create()
        key = self._dice.choice(("room_version", "creator", "additional_creators", "m.federate"))
        content = {**draft.content, key: self._dice.choice((*ODDITIES, "1", ["alice"], [BOB, 5], ["@bob"], [BOB]))}
        if self._dice.chance(0.4):
            del content[key]
        return Draft(type="m.room.create", sender=self._dice.choice(USERS), state_key="", content=content)

    def next(self, state: State) -> Draft:
        """Something that happens in a room with this state."""
        return self._dice.one_of(self._themes)(state)

    def join(self, user: UserID) -> Draft:
        return Draft(type="m.room.member", sender=user, state_key=user, content={"membership": "join"})

    def levels(self, state: State) -> Draft:
        """Power levels for a room that has none."""
        users = {user: self._dice.choice((25, 50, 100)) for user in (BOB, CAROL, DAVE)}
        if not self._version.privileged_creators:
            users[ALICE] = 100
        if self._version.privileged_creators:
            for creator in state["m.room.create", ""].content.get("additional_creators", ()):
                users.pop(creator, None)
        return Draft(type="m.room.power_levels", sender=ALICE, state_key="", content={"users": users})

    def _sender(self, state: State) -> UserID:
        joined = [user for user in USERS if membership_of(state, user) == "join"]
        return self._dice.choice(joined if joined and self._dice.chance(0.9) else USERS)

    # Memberships

    def _membership(self, state: State) -> Draft:
        membership = self._dice.one_of({"join": 35, "invite": 15, "leave": 20, "ban": 12, "knock": 8, "odd": 1})
        if membership == "odd":
            return self._odd_membership(state)
        if membership in ("join", "knock") or (membership == "leave" and self._dice.chance(0.4)):
            sender = target = self._dice.choice(USERS)
            if self._dice.chance(0.04):
                sender = self._sender(state)
        else:
            sender, target = self._sender(state), self._dice.choice(USERS)
        content: dict[str, Any] = {"membership": membership}
        if self._dice.chance(0.5 if membership == "join" else 0.05):
            content["join_authorised_via_users_server"] = self._sender(state)
        if membership == "invite" and self._dice.chance(0.3):
            sender, content = self._redeem_third_party_invite(state, sender, target)
        return Draft(type="m.room.member", sender=sender, state_key=target, content=content)

    def _odd_membership(self, state: State) -> Draft:
        content = self._dice.choice(
            (
                {},
                {"membership": "lurk"},
                {"membership": self._dice.choice(ODDITIES)},
                {"membership": "invite", "third_party_invite": self._dice.choice(ODDITIES)},
                {"membership": "invite", "third_party_invite": {"signed": self._dice.choice(ODDITIES)}},
                {"membership": "join", "join_authorised_via_users_server": self._dice.choice(ODDITIES)},
                {"membership": "leave", "join_authorised_via_users_server": ALICE},
            )
        )
        sender = self._sender(state)
        state_key = self._dice.choice((sender, sender, None, "", "bob", self._dice.choice(USERS)))
        return Draft(type="m.room.member", sender=sender, state_key=state_key, content=content)

    def _redeem_third_party_invite(self, state: State, sender: UserID, target: UserID) -> tuple[UserID, dict[str, Any]]:
        token = self._dice.choice(TOKENS)
        promise = state.get(("m.room.third_party_invite", token))
        if promise is not None and self._dice.chance(0.9):
            sender = promise.sender
        mxid = target if self._dice.chance(0.9) else self._dice.choice(USERS)
        signed: dict[str, Any] = dict(signed_by_identity_server(mxid, token, self._dice.choice((0, 0, 0, 1))))
        if self._dice.chance(0.05):
            del signed[self._dice.choice([*signed])]
        return sender, {"membership": "invite", "third_party_invite": {"display_name": "you", "signed": signed}}

    def _third_party_invite(self, state: State) -> Draft:
        keys = [key.verify_key.encode() for key in IDENTITY_KEYS]
        content = self._dice.choice(
            (
                {"public_key": keys[0]},
                {"public_keys": [{"public_key": key} for key in keys]},
                {"public_key": keys[1], "public_keys": [{"public_key": keys[0]}]},
                {},
            )
        )
        return Draft(
            type="m.room.third_party_invite",
            sender=self._sender(state),
            state_key=self._dice.choice(TOKENS),
            content=content,
        )

    # Power levels and join rules

    def _power_levels(self, state: State) -> Draft:
        sender = self._sender(state)
        current = state.get(("m.room.power_levels", ""))
        content = dict(self.levels(state).content if current is None else current.content)
        for _ in range(self._dice.choice((0, 1, 1, 2, 3))):
            self._change_a_level(content)
        state_key = "" if self._dice.chance(0.97) else self._dice.choice((sender, "other"))
        return Draft(type="m.room.power_levels", sender=sender, state_key=state_key, content=content)

    def _change_a_level(self, content: dict[str, Any]) -> None:
        group = self._dice.one_of({"users": 10, "events": 4, "notifications": 2, "": 4})
        if self._dice.chance(0.004):
            content[group or self._dice.choice(NAMED_LEVELS)] = self._dice.choice(ODDITIES)
            return
        keys = {"users": USERS, "events": LEVELLED_TYPES, "notifications": ("room", "other")}.get(group, NAMED_LEVELS)
        key = self._dice.choice(keys)
        levels = content
        if group:
            old = content.get(group)
            levels = content[group] = dict(old) if isinstance(old, dict) else {}
            if group == "users" and self._dice.chance(0.01):
                key = self._dice.choice(("bob", "", "@bob", "@:a.example", "@bob:a example"))
        if self._dice.chance(0.2):
            levels.pop(key, None)
        else:
            levels[key] = self._level()

    def _level(self) -> Any:
        if self._dice.chance(0.05 if self._version.integer_power_levels else 0.2):
            return self._dice.choice(STRINGS_OF_LEVELS)
        if self._dice.chance(0.01):
            return self._dice.choice(ODDITIES)
        if not self._version.strict_canonical_json and self._dice.chance(0.1):
            return self._dice.choice((50.0, 49.9, -0.5))
        return self._dice.choice(LEVELS)

    def _join_rules(self, state: State) -> Draft:
        content: dict[str, Any] = {"join_rule": self._dice.choice(JOIN_RULES)}
        if self._dice.chance(0.02):
            content = self._dice.choice(({}, {"join_rule": self._dice.choice(ODDITIES)}))
        return Draft(type="m.room.join_rules", sender=self._sender(state), state_key="", content=content)

    # Everything else

    def _topic(self, state: State) -> Draft:
        content = {"topic": str(self._dice.randrange(1000))}
        state_key = "" if self._dice.chance(0.9) else "other"
        return Draft(type="m.room.topic", sender=self._sender(state), state_key=state_key, content=content)

    def _message(self, state: State) -> Draft:
        return Draft(type="m.room.message", sender=self._sender(state), content={"body": "hello"})

    def _redaction(self, state: State) -> Draft:
        redacts = self._dice.choice([*state.values()]).event_id if self._dice.chance(0.95) else None
        return Draft(type="m.room.redaction", sender=self._sender(state), content={}, redacts=redacts)

    def _aliases(self, state: State) -> Draft:
        sender = self._sender(state) if self._dice.chance(0.7) else self._dice.choice(USERS)
        other = self._dice.choice((None, "", sender, *map(server_name_of, USERS)))
        state_key = server_name_of(sender) if self._dice.chance(0.6) else other
        return Draft(type="m.room.aliases", sender=sender, state_key=state_key, content={"aliases": []})

    def _of_a_user(self, state: State) -> Draft:
        sender = self._sender(state)
        state_key = self._dice.choice((sender, sender, self._dice.choice(USERS), "@", "@alice", f"{sender}_suffix"))
        return Draft(type="org.example.status", sender=sender, state_key=state_key, content={})

    def _second_create(self, state: State) -> Draft:
        draft = self.odd_create()
        return Draft(type=draft.type, sender=draft.sender, state_key=draft.state_key, content=draft.content)


def membership_of(state: State, user: UserID) -> str | None:
    event = state.get(("m.room.member", user))
    return None if event is None else event.membership


@lru_cache
def signed_by_identity_server(mxid: UserID, token: str, key: int) -> dict[str, Any]:
    """What proves that this user owns the address that was invited."""
    return sign_json({"mxid": mxid, "token": token}, ServerName(IDENTITY_SERVER), IDENTITY_KEYS[key])
