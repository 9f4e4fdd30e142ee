"""A room's policy server: no event is taken into the room that it did not sign.

It has to be asked, which no transaction can: where it wasn't yet, the transaction is interrupted, the server is asked,
and the transaction runs again and finds the outcome. An outcome is remembered for a while, in memory: of an event of
another server by its ID, and of one of ours by what was to be sent, since it would get another ID when it is built
anew. (server-server API, "Policy Servers")
"""

from hashlib import sha256

from tabstead.errors import Forbidden, MatrixError
from tabstead.protocol.canonical_json import encode_canonical_json
from tabstead.protocol.events import Event
from tabstead.protocol.policy_servers import (
    POLICY,
    PolicyServer,
    has_policy_signature,
    needs_policy_signature,
    parse_policy,
)
from tabstead.protocol.room_versions import RoomVersion
from tabstead.rooms.draft import Draft
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.outcomes import PolicyOutcome, Refusal
from tabstead.rooms.state import find_current_event
from tabstead.storage.database import Db
from tabstead.storage.events import find_event
from tabstead.storage.room_servers import is_server_in
from tabstead.storage.rooms import Room
from tabstead.streams.commits import Interruption


class RefusedByPolicy(Forbidden):
    """The policy server did not sign an event; what it says of that, in its own words."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.sentence, errcode=refusal.errcode, status=refusal.status)
        self._retry_after_ms = refusal.retry_after_ms

    def to_json(self) -> dict[str, object]:
        limited = {} if self._retry_after_ms is None else {"retry_after_ms": self._retry_after_ms}
        return {**super().to_json(), **limited}

    def headers(self) -> dict[str, str]:
        return {} if self._retry_after_ms is None else {"Retry-After": str(-(-self._retry_after_ms // 1000))}


class UnsignedByPolicy(Interruption):
    """A policy server has to be asked for its signature on an event."""

    def __init__(self, policy: PolicyServer, version: RoomVersion, event: Event, key: str, *, is_ours: bool) -> None:
        super().__init__(f"{event.event_id} needs the signature of {policy.name}.")
        self.policy = policy
        self.version = version
        self.event = event
        self.key = key
        """Under which the outcome is remembered."""
        self.is_ours = is_ours
        self.subject = (event.room_id, event.type, event.state_key, event.sender) if is_ours else key

    def refusal(self) -> MatrixError:
        return Forbidden("The room's policy server can't be asked for its signature.")


def find_policy_server(db: Db, room: Room) -> PolicyServer | None:
    """The policy server that the room's current state names, if it is in the room."""
    event = find_current_event(db, room, *POLICY)
    policy = None if event is None else parse_policy(event.event.content)
    return policy if policy is not None and is_server_in(db, room.room_nid, policy.name) else None


def check_received(db: Db, server: LocalServer, room: Room, event: Event) -> PolicyOutcome:
    """An event with the signature that it needs, or why it has none. Raises UnsignedByPolicy."""
    if not needs_policy_signature(event.type, event.state_key):
        return event
    policy = find_policy_server(db, room)
    if policy is None or has_policy_signature(event.pdu, room.version, policy):
        return event
    outcome = server.policy_outcomes.find(event.event_id, server.now_ms())
    if isinstance(outcome, Event) and not has_policy_signature(outcome.pdu, room.version, policy):
        outcome = None
    if outcome is None:
        raise UnsignedByPolicy(policy, room.version, event, event.event_id, is_ours=False)
    return outcome


def find_signed_event(db: Db, server: LocalServer, room: Room, sender: str, draft: Draft) -> Event | None:
    """The event that was built for a draft of a local user and signed, unless it was sent. Raises RefusedByPolicy."""
    outcome = server.policy_outcomes.find(_key_of(room, sender, draft), server.now_ms())
    if isinstance(outcome, Refusal):
        raise RefusedByPolicy(outcome)
    return outcome if outcome is not None and find_event(db, outcome.event_id) is None else None


def check_to_be_sent(db: Db, room: Room, draft: Draft, event: Event) -> None:
    """Raises UnsignedByPolicy for what a local user may not send without a signature that it doesn't have."""
    if not needs_policy_signature(event.type, event.state_key):
        return
    policy = find_policy_server(db, room)
    if policy is not None and not has_policy_signature(event.pdu, room.version, policy):
        raise UnsignedByPolicy(policy, room.version, event, _key_of(room, event.sender, draft), is_ours=True)


def _key_of(room: Room, sender: str, draft: Draft) -> str:
    """What is to be sent, whenever it is built."""
    fields = [room.room_id, sender, draft.type, draft.state_key, draft.redacts, draft.sticky_ms, draft.content]
    return sha256(encode_canonical_json(fields)).hexdigest()
