"""How a table says what an operation is asked, and what must come back.

    "getRoomTags": Case(
        good=ok(after="setRoomTag"),
        bad=refused(403, "M_FORBIDDEN", userId=BOB),
    ),

What is not said is the world's: alice asks, about the room, its event, her device. In strings, `{name}` stands for a
fact of the world (`{room}`, `{event}`), and an answer may add facts for what comes after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

ALICE: Final = "@alice:tab.test"
BOB: Final = "@bob:tab.test"
CAROL: Final = "@carol:tab.test"
ADMIN: Final = "@admin:tab.test"
STRANGER_ROOM: Final = "!nowhere:tab.test"
"""A room that isn't there."""

NOT_YET: Final = frozenset[str]()
"""Operations that are not right yet. One that is fails its test until it is taken out of here."""

PATH_PARAMETERS: Final[Mapping[str, str]] = {
    "userId": ALICE,
    "roomId": "{room}",
    "roomIdOrAlias": "{room}",
    "roomAlias": "{alias}",
    "eventId": "{event}",
    "deviceId": "{device}",
    "serverName": "tab.test",
    "mediaId": "{media}",
    "fileName": "red.png",
    "filterId": "{filter_id}",
    "version": "{version}",
    "sessionId": "session",
    "txnId": "txn",
    "eventType": "m.room.message",
    "type": "org.example.note",
    "tag": "u.work",
    "keyName": "displayname",
    "kind": "content",
    "ruleId": "org.example.rule",
    "receiptType": "m.read",
    "stateKey": "",
    "relType": "m.annotation",
    "protocol": "irc",
    "appserviceId": "bridge",
    "networkId": "irc",
    "idpId": "example",
}
"""What stands in a path where a row says nothing else."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request, and the status and errcode that must come back."""

    status: int
    errcode: str | None = None
    """None: none, or a page for a person."""
    body: Any = None
    """JSON, or bytes as they are."""
    who: str = "alice"
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    path: Mapping[str, str] = field(default_factory=dict)
    method: str | None = None
    """Another method than the operation's."""
    after: tuple[str, ...] = ()
    """Operations whose good call comes first."""
    remember: tuple[str, ...] = ()
    """Keys of the answer that become facts."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """An operation's good call and its bad one."""

    good: Ask
    bad: Ask


Table = Mapping[str, Case]


def ok(
    body: Any = None,
    *,
    status: int = 200,
    who: str = "alice",
    query: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    after: str | tuple[str, ...] = (),
    remember: str | tuple[str, ...] = (),
    **path: str,
) -> Ask:
    """A call that succeeds."""
    return Ask(
        status=status,
        body=body,
        who=who,
        query=query or {},
        headers=headers or {},
        path=path,
        after=(after,) if isinstance(after, str) else after,
        remember=(remember,) if isinstance(remember, str) else remember,
    )


def refused(
    status: int,
    errcode: str | None,
    body: Any = None,
    *,
    who: str = "alice",
    query: Mapping[str, Any] | None = None,
    method: str | None = None,
    after: str | tuple[str, ...] = (),
    **path: str,
) -> Ask:
    """A call that is refused: a bad one, or the one answer that a server without bridges or text messages has."""
    return Ask(
        status=status,
        errcode=errcode,
        body=body,
        who=who,
        query=query or {},
        path=path,
        method=method,
        after=(after,) if isinstance(after, str) else after,
    )


def without_token() -> Ask:
    """What an operation that can't fail otherwise refuses to who is not logged in."""
    return refused(401, "M_MISSING_TOKEN", who="nobody")


def with_method(method: str) -> Ask:
    """What a public operation that can't fail answers to another method."""
    return refused(405, "M_UNRECOGNIZED", who="nobody", method=method)


def sample_path(template: str) -> str:
    """A path with something in place of each parameter, which need not be there."""
    samples = {name: quote(value.strip("{}"), safe="") for name, value in PATH_PARAMETERS.items()}
    return template.format(**samples)
