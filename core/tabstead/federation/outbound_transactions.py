"""What a server is told next: one transaction, made of what it is owed, and what is settled once it has it.

A transaction is read from the database when it is sent. Its id is a hash of what is in it: the same content has the
same id, also after a kill, and another content never has the id of one that the server may have seen.
(server-server API, § Transactions)
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from tabstead.encryption.device_keys import describe_cross_signing_keys, describe_device
from tabstead.federation.outbound_news import select_events_for
from tabstead.protocol.canonical_json import JsonDict, encode_canonical_json
from tabstead.protocol.identifiers import EventID, ServerName
from tabstead.rooms.local_server import LocalServer
from tabstead.storage.database import Db
from tabstead.storage.device_lists import CROSS_SIGNING, find_device_change, select_device_changes
from tabstead.storage.events import PersistedEvent, select_events
from tabstead.storage.names import select_users
from tabstead.storage.outbound_news import Kind, News, select_news, select_span_events, update_told
from tabstead.storage.outbound_to_device import delete_outbound_to_device, select_outbound_to_device
from tabstead.storage.presence import find_presence
from tabstead.storage.receipts import UNTHREADED, Receipt, select_public_receipts
from tabstead.storage.rooms import get_room
from tabstead.streams.presence import presence_at

MAX_PDUS: Final = 50
MAX_EDUS: Final = 100

_MAX_MESSAGES: Final = 60
"""EDUs of messages to devices, so that they leave room for others."""
_SPANS_AT_ONCE: Final = 50
_EVENTS_PER_SPAN: Final = 500
"""A room's events that are looked at for a transaction; the next one goes on from there."""
_RECEIPTS_PER_SPAN: Final = 100
_DEVICES_PER_SPAN: Final = 1000


@dataclass(slots=True, kw_only=True)
class OutboundTransaction:
    """What is sent, and what of the news it settles."""

    pdus: list[JsonDict] = field(default_factory=list)
    event_ids: list[EventID] = field(default_factory=list)
    edus: list[JsonDict] = field(default_factory=list)
    told: list[tuple[News, int]] = field(default_factory=list)
    """Spans, each with the position up to which it is told."""
    messages_up_to: int | None = None
    """The position of the last message to devices."""
    newest_ts: int = 0
    """Of what is durable in it."""
    is_of_the_moment: bool = False
    """Something in it could be said again in the same words: its time is that of now."""

    @property
    def is_empty(self) -> bool:
        """Nothing to send and nothing to settle."""
        return not (self.pdus or self.edus or self.told)

    @property
    def has_content(self) -> bool:
        return bool(self.pdus or self.edus)

    def content(self, origin: str, now_ms: int) -> JsonDict:
        """The request's body."""
        return {
            "origin": origin,
            "origin_server_ts": now_ms if self.is_of_the_moment else self.newest_ts,
            "pdus": self.pdus,
            "edus": self.edus,
        }

    def add_edu(self, edu_type: str, content: JsonDict) -> None:
        self.edus.append({"edu_type": edu_type, "content": content})


def transaction_id(content: JsonDict) -> str:
    """The id of a transaction with this body."""
    return urlsafe_b64encode(sha256(encode_canonical_json(content)).digest()[:18]).decode()


def build_transaction(db: Db, server: LocalServer, destination: ServerName) -> OutboundTransaction:
    """The next of what the destination is owed. Writes nothing."""
    transaction = OutboundTransaction()
    _add_events(db, server, destination, transaction)
    _add_messages(db, destination, transaction)
    _add_devices(db, destination, transaction)
    _add_receipts(db, server, destination, transaction)
    _add_presence(db, server, destination, transaction)
    return transaction


def settle_transaction(db: Db, destination: ServerName, transaction: OutboundTransaction) -> None:
    """The destination has it."""
    for news, position in transaction.told:
        update_told(db, news, position)
    if transaction.messages_up_to is not None:
        delete_outbound_to_device(db, destination, transaction.messages_up_to)


def _add_events(db: Db, server: LocalServer, destination: ServerName, transaction: OutboundTransaction) -> None:
    found: dict[int, int] = {}
    for news in select_news(db, destination, Kind.EVENTS, _SPANS_AT_ONCE):
        left = MAX_PDUS - len(found)
        if not left:
            break
        span = select_span_events(
            db, news.subject, first=news.first_position, last=news.last_position, limit=_EVENTS_PER_SPAN
        )
        going = select_events_for(db, server, news.subject, span, destination)[:left]
        found |= {event.stream_position: event.event_nid for event in going}
        is_all = len(span) < _EVENTS_PER_SPAN and len(going) < left
        seen = going[-1].stream_position if len(going) == left else span[-1].stream_position if span else 0
        transaction.told.append((news, news.last_position if is_all else seen))
    events = select_events(db, (found[position] for position in sorted(found)))
    for stored in events.values():
        _add_event(stored, transaction)


def _add_event(stored: PersistedEvent, transaction: OutboundTransaction) -> None:
    transaction.pdus.append({name: value for name, value in stored.event.pdu.items() if name != "unsigned"})
    transaction.event_ids.append(stored.event_id)
    transaction.newest_ts = max(transaction.newest_ts, stored.event.origin_server_ts)


def _add_messages(db: Db, destination: ServerName, transaction: OutboundTransaction) -> None:
    for position, content in select_outbound_to_device(db, destination, _MAX_MESSAGES):
        transaction.add_edu("m.direct_to_device", content)
        transaction.messages_up_to = position


def _add_devices(db: Db, destination: ServerName, transaction: OutboundTransaction) -> None:
    spans = select_news(db, destination, Kind.DEVICES, _SPANS_AT_ONCE)
    users = select_users(db, (news.subject for news in spans))
    for news in spans:
        changes = select_device_changes(db, users[news.subject], first=news.first_position, last=news.last_position)
        for device_id, position in sorted(changes.items(), key=lambda change: change[1]):
            if len(transaction.edus) >= MAX_EDUS:
                return
            if device_id == CROSS_SIGNING:
                transaction.add_edu("m.signing_key_update", describe_cross_signing_keys(db, users[news.subject]))
                transaction.is_of_the_moment = True
            else:
                content = _describe_change(db, users[news.subject], device_id, position)
                transaction.add_edu("m.device_list_update", content)
            transaction.told.append((news, position))
        if not changes:
            transaction.told.append((news, news.last_position))


def _describe_change(db: Db, user_id: str, device_id: str, position: int) -> JsonDict:
    previous = find_device_change(db, user_id, before=position)
    return {
        "user_id": user_id,
        "device_id": device_id,
        "stream_id": position,
        "prev_id": [] if previous is None else [previous],
        **describe_device(db, user_id, device_id),
    }


def _add_receipts(db: Db, server: LocalServer, destination: ServerName, transaction: OutboundTransaction) -> None:
    for news in select_news(db, destination, Kind.RECEIPTS, _SPANS_AT_ONCE):
        receipts = select_public_receipts(
            db,
            server.name,
            news.subject,
            first=news.first_position,
            last=news.last_position,
            limit=_RECEIPTS_PER_SPAN,
        )
        contents = list(_describe_receipts(get_room(db, news.subject).room_id, (mark for _, mark in receipts)))
        if len(transaction.edus) + len(contents) > MAX_EDUS:
            return
        for content in contents:
            transaction.add_edu("m.receipt", content)
        is_all = len(receipts) < _RECEIPTS_PER_SPAN
        transaction.told.append((news, news.last_position if is_all else receipts[-1][0]))
        transaction.newest_ts = max([transaction.newest_ts, *(mark.ts for _, mark in receipts)])


def _describe_receipts(room_id: str, receipts: Iterable[Receipt]) -> Iterator[JsonDict]:
    """As few contents of m.receipt as can hold them: in one, a user has one mark of a type."""
    layers: list[dict[str, Any]] = []
    for receipt in receipts:
        layer = next((each for each in layers if receipt.user_id not in each), None)
        if layer is None:
            layer = {}
            layers.append(layer)
        data: JsonDict = {"ts": receipt.ts}
        if receipt.thread_id != UNTHREADED:
            data["thread_id"] = receipt.thread_id
        layer[receipt.user_id] = {"event_ids": [receipt.event_id], "data": data}
    return ({room_id: {"m.read": layer}} for layer in layers)


def _add_presence(db: Db, server: LocalServer, destination: ServerName, transaction: OutboundTransaction) -> None:
    left = MAX_EDUS - len(transaction.edus)
    spans = select_news(db, destination, Kind.PRESENCE, _SPANS_AT_ONCE) if left else []
    users = select_users(db, (news.subject for news in spans))
    push = []
    for news in spans:
        stored = find_presence(db, users[news.subject])
        if stored is not None:
            push.append({"user_id": stored.user_id, **presence_at(stored, server.now_ms()).content()})
        transaction.told.append((news, news.last_position))
    if push:
        transaction.add_edu("m.presence", {"push": push})
        transaction.is_of_the_moment = True
