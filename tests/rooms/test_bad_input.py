"""Whatever another server sends gets a verdict with its reason, and costs no more than an event may cost."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from two_servers import ALICE, BOB, Json, Side, TwoServers, accepted

from tabstead.errors import MatrixError
from tabstead.protocol.events import Event
from tabstead.protocol.events.event import MAX_AUTH_EVENTS, MAX_PDU_BYTES, MAX_PREV_EVENTS
from tabstead.protocol.room_versions import ROOM_VERSIONS
from tabstead.protocol.signatures import sign_event
from tabstead.rooms.verdicts import Accepted, Dropped, MissingEvents, MissingKeys, Rejected, SoftFailed

LONE_SURROGATE = "\ud800"
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**53, 2**63, 2**64, 10**400, -(2**63) - 1]),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        [LONE_SURROGATE, "\0", "x" * 300, "", ALICE, BOB, "ban", "join", "invite", "100", "$x", "!x:tab.test"]
    ),
)
KEYS = st.one_of(
    st.text(max_size=4),
    st.sampled_from([
        "users", "events", "notifications", "users_default", "ban", "membership", "third_party_invite", "signed",
        "mxid", "token", "signatures", "public_keys", "public_key", "join_rule", "allow", "creator",
        "additional_creators", "room_version", "m.federate", "redacts", "join_authorised_via_users_server",
        "m.relates_to", "event_id", "rel_type", "displayname", "sha256", ALICE, BOB, LONE_SURROGATE,
    ]),
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=8,
)
FIELDS = st.sampled_from([
    "type", "sender", "room_id", "state_key", "content", "depth", "origin_server_ts", "prev_events", "auth_events",
    "hashes", "signatures", "unsigned", "event_id", "redacts", "origin", "age_ts",
])  # fmt: skip
TYPES = st.sampled_from([
    "m.room.create", "m.room.member", "m.room.power_levels", "m.room.join_rules", "m.room.third_party_invite",
    "m.room.aliases", "m.room.redaction", "m.room.history_visibility", "m.room.name", "m.room.message", "m.reaction",
    "m.room.server_acl", "m.room.encryption", "m.room.guest_access", "m.room.tombstone", "m.room.canonical_alias",
])  # fmt: skip
VERSIONS = st.sampled_from(["1", "3", "5", "6", "8", "10", "11", "12"])
rooms: dict[str, TwoServers] = {}


def room_of(version: str) -> TwoServers:
    """A room that all examples share: whatever came before must not matter either."""
    if version not in rooms:
        rooms[version] = TwoServers.open(version, state_default=0, events={})
    return rooms[version]


def signed(side: Side, pdu: Json) -> Json:
    """The PDU as this server would sign it, if it can be signed at all."""
    try:
        return sign_event({**pdu, "signatures": {}}, side.room.version, side.name, side.server.signing_key)
    except (MatrixError, ValueError, TypeError, AttributeError, RecursionError):
        return pdu


def check_verdict(side: Side, pdu: object) -> None:
    for verdict in (side.receive(pdu), side.receive_outlier(pdu)):
        if isinstance(verdict, Dropped | Rejected | SoftFailed):
            assert verdict.reason
        elif isinstance(verdict, MissingEvents):
            assert verdict.event_ids
        else:
            assert isinstance(verdict, Accepted | MissingKeys)


@settings(max_examples=150, deadline=None)
@given(JSON, VERSIONS)
def test_any_json_gets_a_verdict(pdu: object, version: str) -> None:
    check_verdict(room_of(version).far, pdu)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(FIELDS, JSON, max_size=2), st.sets(FIELDS, max_size=1), st.booleans(), VERSIONS)
def test_an_event_with_any_field_replaced_gets_a_verdict(
    replaced: Json, missing: set[str], is_signed: bool, version: str
) -> None:
    both = room_of(version)
    pdu = {**both.tab.craft(ALICE, after=[both.tab.tip()]), **replaced}
    pdu = {field: value for field, value in pdu.items() if field not in missing}
    check_verdict(both.far, signed(both.tab, pdu) if is_signed else pdu)


@settings(max_examples=300, deadline=None)
@given(
    TYPES,
    st.dictionaries(KEYS, JSON, max_size=4),
    st.one_of(st.none(), st.sampled_from(["", ALICE, BOB, "@eve:tab.test", "tab.test"]), st.text(max_size=5)),
    st.sampled_from([ALICE, "@eve:tab.test"]),
    VERSIONS,
)
def test_an_event_of_any_type_with_any_content_gets_a_verdict(
    event_type: str, content: Json, state_key: str | None, sender: str, version: str
) -> None:
    both = room_of(version)
    pdu = both.tab.craft(sender, event_type, {}, state_key, after=[both.tab.tip()])
    check_verdict(both.far, signed(both.tab, {**pdu, "content": content}))
    assert both.far.state()
    assert both.far.tips()


@pytest.mark.parametrize("version", ROOM_VERSIONS)
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"content": {"body": "x" * MAX_PDU_BYTES}}, f"The event is larger than {MAX_PDU_BYTES} bytes."),
        ({"type": "x" * 256}, "type: longer than 255 bytes."),
        ({"state_key": "é" * 128}, "state_key: longer than 255 bytes."),
        ({"sender": f"@{'x' * 255}:tab.test"}, "sender: longer than 255 bytes."),
        ({"depth": -1}, "depth: not within 0 and "),
        ({"depth": 2**63}, ""),
        ({"depth": "1"}, "depth: not an integer."),
        ({"depth": True}, "depth: not an integer."),
        ({"origin_server_ts": 2**63}, ""),
        ({"origin_server_ts": 1.5}, ""),
        ({"content": {"body": LONE_SURROGATE}}, ""),
        ({"content": {"n": float("nan")}}, ""),
        ({"prev_events": {}}, "prev_events: not an array."),
        ({"prev_events": [1]}, "prev_events: not all are "),
        ({"auth_events": ["$x:tab.test", None]}, "auth_events: not all are "),
        ({"signatures": {"tab.test": "…"}}, "signatures: not an object of strings for 'tab.test'."),
        ({"hashes": []}, "hashes: not an object."),
    ],
    ids=str,
)
def test_what_breaks_the_format_is_dropped_with_what_is_wrong(version: str, fields: Json, reason: str) -> None:
    both = room_of(version)
    pdu = signed(both.tab, {**both.tab.craft(ALICE, after=[both.tab.tip()]), **fields})
    verdict = both.far.receive({**pdu, **fields})

    assert isinstance(verdict, Dropped)
    assert verdict.reason.startswith(reason)
    assert "sign" not in verdict.reason or "signatures" in fields


@pytest.mark.parametrize(("field", "limit"), [("prev_events", MAX_PREV_EVENTS), ("auth_events", MAX_AUTH_EVENTS)])
def test_too_many_references_are_dropped(field: str, limit: int) -> None:
    both = TwoServers.open()
    pdu = {**both.tab.craft(ALICE, after=[both.tab.tip()]), field: [f"${number}" for number in range(limit + 1)]}

    assert both.far.receive(pdu) == Dropped(reason=f"{field}: more than {limit}.")


@pytest.mark.parametrize("version", ["1", "12"])
def test_deep_nesting_is_dropped(version: str) -> None:
    both = TwoServers.open(version)
    deep: Any = {}
    for _ in range(100_000):
        deep = [deep]
    verdict = both.far.receive({**both.tab.craft(ALICE, after=[both.tab.tip()]), "content": {"body": deep}})

    assert verdict == Dropped(reason="The value is nested deeper than 200 levels.")
    while deep:  # taken apart by hand, lest the interpreter recurse
        (deep,) = deep


class TestManyForks:
    """A server makes fork after fork; none costs more than the ones before."""

    FORKS = 120

    @pytest.fixture
    def both(self) -> TwoServers:
        return TwoServers.open(state_default=0, events={})

    @pytest.fixture
    def base(self, both: TwoServers) -> Event:
        return both.tab.tip()

    def test_of_messages(self, both: TwoServers, base: Event) -> None:
        costs = [self.cost(both, both.tab.craft(ALICE, after=[base])) for _ in range(self.FORKS)]

        assert len(both.far.tips()) == self.FORKS
        assert max(costs[-20:]) <= max(costs[20:40])

    def test_of_state_that_is_in_conflict(self, both: TwoServers, base: Event) -> None:
        costs = [
            self.cost(both, both.tab.craft(ALICE, "m.room.topic", {"topic": f"{number}"}, "", after=[base]))
            for number in range(self.FORKS)
        ]
        assert len(both.far.tips()) == self.FORKS
        assert max(costs[-20:]) <= 1.1 * max(costs[20:40])  # which fill the first segment of the state history
        assert both.far.current("m.room.topic").content == {"topic": f"{self.FORKS - 1}"}

    def test_of_state_that_adds_up(self, both: TwoServers, base: Event) -> None:
        for number in range(self.FORKS):
            accepted(both.far.receive(both.tab.craft(ALICE, "type", {}, f"{number}", after=[base])))

        assert len([key for key in both.far.state() if key[0] == "type"]) == self.FORKS
        assert len(both.far.say(BOB).prev_events) == MAX_PREV_EVENTS

    def test_a_ban_among_them_is_not_forgotten(self, both: TwoServers, base: Event) -> None:
        accepted(both.far.receive(both.tab.craft(ALICE, "m.room.member", {"membership": "ban"}, BOB, after=[base])))
        for number in range(2 * MAX_PREV_EVENTS):
            accepted(both.far.receive(both.tab.craft(ALICE, "type", {}, f"{number}", after=[base])))

        assert both.far.current("m.room.member", BOB).membership == "ban"

    def cost(self, both: TwoServers, pdu: Json) -> int:
        """How many statements it takes to receive the event."""
        statements: list[str] = []
        both.far.db.set_trace_callback(statements.append)
        accepted(both.far.receive(pdu))
        both.far.db.set_trace_callback(None)
        return len(statements)
