"""The events of a public room as people make one: signed PDUs, one after the other, always the same ones.

Most is talk: messages, replies, threads, edits, reactions, redactions, images, and encrypted messages of those who send
them; members come in from some servers, change their profiles, and leave; now and then the topic or the power levels
change. MIX says how much of each. Some events do not know of the one just before them, so that the room forks, and the
next one joins the ends. What people say are sentences of Python's own manual, in the lengths that chats have.
"""

import base64
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pydoc_data.topics import topics
from typing import Any, Final, TypeAlias

from tabstead.protocol.auth_rules import select_auth_event_types
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import Event, build_event, parse_event, reference_hash
from tabstead.protocol.identifiers import EventID, RoomID, StateTuple, UserID, server_name_of
from tabstead.protocol.room_versions import EventIDFormat, RoomVersion
from tabstead.protocol.signatures import SigningKey, VerifyKey, sign_event

MIX: Final = {
    "message": 420,
    "reply": 90,
    "thread message": 50,
    "edit": 40,
    "reaction": 150,
    "redaction": 25,
    "image": 15,
    "encrypted message": 120,
    "join": 55,
    "profile change": 15,
    "leave": 15,
    "state": 5,
}
"""Of a thousand events."""

FORKS: Final = 0.02
"""So many of the messages do not know of the one just before them."""

SERVERS: Final = 60
MEMBERS_AT_FIRST: Final = 20
RECENT: Final = 60
"""So far back lies what people answer to."""

Content: TypeAlias = dict[str, Any]
Move: TypeAlias = Callable[["PublicRoom"], Event]


@dataclass(slots=True, kw_only=True)
class Member:
    user_id: UserID
    display_name: str
    device: Content
    avatar: str | None


@dataclass(slots=True, kw_only=True)
class PublicRoom:
    """A room of one version that goes on and on; `events` yields it."""

    version: RoomVersion
    chance: random.Random = field(default_factory=lambda: random.Random(42))
    state: dict[StateTuple, Event] = field(default_factory=dict)
    tips: list[Event] = field(default_factory=list)
    last: Event | None = None
    members: list[Member] = field(default_factory=list)
    recent: list[Event] = field(default_factory=list)
    keys: dict[str, SigningKey] = field(default_factory=dict)
    verify_keys: dict[str, VerifyKey] = field(default_factory=dict)
    now: int = 1_700_000_000_000
    arrivals: int = 0

    def events(self, count: int) -> Iterator[tuple[str, Event]]:
        """So many events from the creation of the room on, each with what it is in MIX, or "beginning"."""
        yield from (("beginning", event) for event in self._begin())
        for _ in range(MEMBERS_AT_FIRST):
            yield "join", _join(self)
        kinds, weights = list(MIX), list(accumulate(MIX.values()))
        for _ in range(count - 6 - MEMBERS_AT_FIRST):
            kind = self.chance.choices(kinds, cum_weights=weights)[0]
            yield kind, MOVES[kind](self)

    def send(
        self, sender: UserID, event_type: str, content: Content, state_key: str | None = None, **more: Any
    ) -> Event:
        """The next event of the room."""
        self.now += int(self.chance.expovariate(1 / 20_000)) + 1
        keys = select_auth_event_types(event_type, state_key, sender, content, self.version)
        auth_events = [self.state[key] for key in keys if key in self.state]
        if self.version.event_id_format is EventIDFormat.IN_EVENT:
            more["event_id"] = EventID(f"${self.now}:{server_name_of(sender)}")
        if self.version.references_have_hashes:
            referred = (*self.tips, *auth_events)
            more["reference_hashes"] = {each.event_id: reference_hash(each.pdu, self.version) for each in referred}
        pdu = build_event(
            room_version=self.version,
            room_id=self.room_id,
            event_type=event_type,
            sender=sender,
            content=content,
            state_key=state_key,
            prev_events=[tip.event_id for tip in self.tips],
            auth_events=[event.event_id for event in auth_events],
            depth=max((tip.depth for tip in self.tips), default=0) + 1,
            origin_server_ts=self.now,
            **more,
        )
        event = parse_event(self._sign(pdu, server_name_of(sender)), self.version)
        self._place(event)
        return event

    @property
    def room_id(self) -> RoomID | None:
        create = self.state.get(("m.room.create", ""))
        if create is not None:
            return create.room_id
        return None if self.version.room_id_is_create_hash else RoomID("!public:s0.example")

    def anyone(self) -> Member:
        """A member, and more often one of those who talk much."""
        return self.members[min(int(self.chance.paretovariate(0.7)) - 1, len(self.members) - 1)]

    def earlier(self) -> Event:
        return self.chance.choice(self.recent)

    def sentence(self) -> str:
        """A few words, or some sentences."""
        wanted = int(self.chance.lognormvariate(3.9, 0.9)) + 2
        at = self.chance.randrange(len(PROSE) - 5000)
        begin = PROSE.index(" ", at) + 1
        return PROSE[begin : PROSE.index(" ", begin + wanted)]

    def token(self, length: int) -> str:
        """Random bytes in unpadded base64."""
        return base64.b64encode(self.chance.randbytes(length)).decode().rstrip("=")

    def uri(self, server: str) -> str:
        return f"mxc://{server}/{''.join(self.chance.choices(LETTERS, k=24))}"

    def arrive(self) -> Member:
        number = self.arrivals
        self.arrivals += 1
        server = f"s{min(int(self.chance.paretovariate(0.6)) - 1, SERVERS - 1)}.example" if number else "s0.example"
        name = self.chance.choice(WORDS)
        return Member(
            user_id=UserID(f"@{name.lower()}{number}:{server}"),
            display_name=name.title(),
            device={"device_id": "".join(self.chance.choices(LETTERS.upper(), k=10)), "sender_key": self.token(32)},
            avatar=self.uri(server) if self.chance.random() < 0.7 else None,
        )

    def _place(self, event: Event) -> None:
        forks = event.state_key is None and self.last is not None and self.chance.random() < FORKS
        if event.is_state:
            self.state[event.state_tuple] = event
        self.tips = [self.last, event] if forks and self.last and len(self.tips) == 1 else [event]
        self.last = event

    def _sign(self, pdu: JsonDict, server: str) -> JsonDict:
        if server not in self.keys:
            seed = self.chance.randbytes(32)
            self.keys[server] = SigningKey(key_id=f"ed25519:a_{seed[:2].hex()}", seed=seed)
            self.verify_keys[server] = self.keys[server].verify_key
        return sign_event(pdu, self.version, server, self.keys[server])

    def _begin(self) -> Iterator[Event]:
        founder = self.arrive()
        self.members.append(founder)
        creator = {"creator": founder.user_id} if self.version.creator_in_content else {}
        yield self.send(founder.user_id, "m.room.create", {"room_version": self.version.name, **creator}, "")
        yield self.send(founder.user_id, "m.room.member", _profile(founder), founder.user_id)
        levels = {"users": {} if self.version.privileged_creators else {founder.user_id: 100}, "redact": 50, "ban": 50}
        yield self.send(founder.user_id, "m.room.power_levels", levels, "")
        yield self.send(founder.user_id, "m.room.join_rules", {"join_rule": "public"}, "")
        yield self.send(founder.user_id, "m.room.history_visibility", {"history_visibility": "shared"}, "")
        yield self._spoken(self.send(founder.user_id, "m.room.message", _text(self)))

    def _spoken(self, event: Event) -> Event:
        self.recent = [*self.recent[-RECENT:], event]
        return event


def _profile(member: Member) -> Content:
    avatar = {} if member.avatar is None else {"avatar_url": member.avatar}
    return {"membership": "join", "displayname": member.display_name, **avatar}


def _text(room: PublicRoom) -> Content:
    body = room.sentence()
    mentions: Content = {"m.mentions": {}} if room.chance.random() < 0.7 else {}
    if room.chance.random() < 0.15:
        html = f"<p>{body.replace('&', '&amp;').replace('<', '&lt;')}</p>"
        formatted = {"format": "org.matrix.custom.html", "formatted_body": html}
        return {"msgtype": "m.text", "body": body, **formatted, **mentions}
    return {"msgtype": "m.text", "body": body, **mentions}


def _message(room: PublicRoom) -> Event:
    return room._spoken(room.send(room.anyone().user_id, "m.room.message", _text(room)))


def _reply(room: PublicRoom) -> Event:
    target = room.earlier()
    relation = {"m.relates_to": {"m.in_reply_to": {"event_id": target.event_id}}}
    content = {**_text(room), **relation, "m.mentions": {"user_ids": [target.sender]}}
    return room._spoken(room.send(room.anyone().user_id, "m.room.message", content))


def _thread_message(room: PublicRoom) -> Event:
    root = room.recent[len(room.recent) // 3]
    relation = {
        "rel_type": "m.thread",
        "event_id": root.event_id,
        "is_falling_back": True,
        "m.in_reply_to": {"event_id": root.event_id},
    }
    return room.send(room.anyone().user_id, "m.room.message", {**_text(room), "m.relates_to": relation})


def _edit(room: PublicRoom) -> Event:
    target = room.earlier()
    if room.state["m.room.member", target.sender].membership != "join":
        return _message(room)
    new = _text(room)
    relation = {"rel_type": "m.replace", "event_id": target.event_id}
    content = {**new, "body": f"* {new['body']}", "m.new_content": new, "m.relates_to": relation}
    return room.send(target.sender, "m.room.message", content)


def _reaction(room: PublicRoom) -> Event:
    key = room.chance.choice("👍👎😄🎉❤🚀👀")
    relation = {"rel_type": "m.annotation", "event_id": room.earlier().event_id, "key": key}
    return room.send(room.anyone().user_id, "m.reaction", {"m.relates_to": relation})


def _redaction(room: PublicRoom) -> Event:
    target = room.earlier()
    if room.state["m.room.member", target.sender].membership != "join" or len(room.recent) < 3:
        return _message(room)
    room.recent = [event for event in room.recent if event is not target]
    reason: Content = {"reason": room.sentence()} if room.chance.random() < 0.2 else {}
    return room.send(target.sender, "m.room.redaction", reason, redacts=EventID(target.event_id))


def _image(room: PublicRoom) -> Event:
    sender = room.anyone()
    info = {"mimetype": "image/jpeg", "size": room.chance.randrange(10_000, 3_000_000), "w": 1280, "h": 960}
    info["xyz.amorgan.blurhash"] = room.token(21)
    name = f"IMG_{room.chance.randrange(10**8):08}.jpg"
    content = {"msgtype": "m.image", "body": name, "url": room.uri(server_name_of(sender.user_id)), "info": info}
    return room._spoken(room.send(sender.user_id, "m.room.message", content))


def _encrypted(room: PublicRoom) -> Event:
    """Megolm pads nothing: a payload of about 250 bytes, with its MAC and signature."""
    sender = room.anyone()
    if "session_id" not in sender.device or room.chance.random() < 0.01:
        sender.device["session_id"] = room.token(32)
    ciphertext = room.token(84 + 16 * ((230 + len(room.sentence())) // 16 + 1))
    content = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": ciphertext, **sender.device}
    return room.send(sender.user_id, "m.room.encrypted", content)


def _join(room: PublicRoom) -> Event:
    member = room.arrive()
    room.members.append(member)
    return room.send(member.user_id, "m.room.member", _profile(member), member.user_id)


def _profile_change(room: PublicRoom) -> Event:
    member = room.anyone()
    member.avatar = room.uri(server_name_of(member.user_id))
    return room.send(member.user_id, "m.room.member", _profile(member), member.user_id)


def _leave(room: PublicRoom) -> Event:
    """One of those who came and said little."""
    if len(room.members) < 2:
        return _message(room)
    member = room.members.pop(room.chance.randrange(len(room.members) // 2, len(room.members)))
    return room.send(member.user_id, "m.room.member", {"membership": "leave"}, member.user_id)


def _state(room: PublicRoom) -> Event:
    founder = room.members[0]
    if room.chance.random() < 0.2:
        levels = room.state[("m.room.power_levels", "")].content
        users = {**levels["users"], room.members[room.chance.randrange(1, len(room.members))].user_id: 50}
        return room.send(founder.user_id, "m.room.power_levels", {**levels, "users": users}, "")
    return room.send(founder.user_id, "m.room.topic", {"topic": room.sentence()}, "")


MOVES: Final[dict[str, Move]] = {
    "message": _message,
    "reply": _reply,
    "thread message": _thread_message,
    "edit": _edit,
    "reaction": _reaction,
    "redaction": _redaction,
    "image": _image,
    "encrypted message": _encrypted,
    "join": _join,
    "profile change": _profile_change,
    "leave": _leave,
    "state": _state,
}

LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PROSE: Final = " ".join(" ".join(topics[name].split()) for name in sorted(topics))
WORDS: Final = sorted(set(re.findall(r"\b[a-z]{4,9}\b", PROSE)))
