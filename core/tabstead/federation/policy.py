"""Ask policy servers for their signatures on events, between the runs of the transactions that need them.

Whatever comes of it is an outcome, which the transaction finds when it runs again. One that can't be reached is not
asked for others' events for a while: each of those would wait as long, in vain.
(server-server API, "Policy Servers")
"""

from typing import Final

from tabstead.errors import LimitExceeded, OutboundFailed, PeerRefused, TooLarge
from tabstead.federation.answers import explain
from tabstead.federation.client import FederationClient, Question
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.events import parse_event
from tabstead.protocol.identifiers import ServerName
from tabstead.protocol.policy_servers import KEY_ID, add_policy_signature, has_policy_signature
from tabstead.rooms.local_server import LocalServer
from tabstead.rooms.outcomes import PolicyOutcome, Refusal
from tabstead.rooms.policy import UnsignedByPolicy

_PATH: Final = "/_matrix/policy/v1/sign"
_TIMEOUT_MS: Final = 10_000
_MAX_BYTES: Final = 64 * 1024
_REMEMBERED_MS: Final = 60_000
_REFUSAL_REMEMBERED_MS: Final = 10_000
_LEFT_ALONE_MS: Final = 30_000
_MOST_LEFT_ALONE: Final = 200


class PolicyClient:
    def __init__(self, server: LocalServer, client: FederationClient) -> None:
        self._server = server
        self._client = client
        self._left_alone: dict[ServerName, int] = {}
        """Servers that could not be reached lately, and until when they are not asked."""

    async def settle(self, unsigned: UnsignedByPolicy) -> None:
        """Let there be an outcome."""
        outcome = await self._ask(unsigned)
        lives_ms = _REFUSAL_REMEMBERED_MS if isinstance(outcome, Refusal) else _REMEMBERED_MS
        self._server.policy_outcomes.keep(unsigned.key, outcome, until_ms=self._server.now_ms() + lives_ms)

    async def _ask(self, unsigned: UnsignedByPolicy) -> PolicyOutcome:
        name, now_ms = unsigned.policy.name, self._server.now_ms()
        if name == self._server.name:
            return Refusal(sentence="The room's policy server is this server, which is none.")
        if not unsigned.is_ours and self._left_alone.get(name, 0) > now_ms:
            return Refusal(sentence=f"{name} can't be reached.")
        question = Question(
            method="POST", path=_PATH, content=unsigned.event.pdu, timeout_ms=_TIMEOUT_MS, max_bytes=_MAX_BYTES
        )
        try:
            answer = await self._client.ask(name, question)
        except PeerRefused as refusal:
            return _read_refusal(refusal)
        except OutboundFailed as failure:
            self._leave_alone(name)
            error = explain(failure)
            return Refusal(sentence=error.sentence, errcode="M_UNKNOWN", status=error.status)
        return _read_signature(unsigned, answer)

    def _leave_alone(self, name: ServerName) -> None:
        while len(self._left_alone) >= _MOST_LEFT_ALONE:
            del self._left_alone[next(iter(self._left_alone))]
        self._left_alone[name] = self._server.now_ms() + _LEFT_ALONE_MS


def _read_signature(unsigned: UnsignedByPolicy, answer: JsonDict) -> PolicyOutcome:
    policy, event = unsigned.policy, unsigned.event
    by_key = answer.get(policy.name)
    signature = by_key.get(KEY_ID) if isinstance(by_key, dict) else None
    if isinstance(signature, str):
        signed = add_policy_signature(event.pdu, policy, signature)
        if has_policy_signature(signed, unsigned.version, policy):
            try:
                return parse_event(signed, unsigned.version)
            except TooLarge:
                return Refusal(sentence="The event is too large to be signed.", errcode="M_TOO_LARGE", status=413)
    return Refusal(sentence="The policy server's signature does not hold.", errcode="M_UNKNOWN", status=502)


def _read_refusal(refusal: PeerRefused) -> Refusal:
    """ "If the Policy Server returned an error, that error SHOULD be provided to the client verbatim." """
    given = refusal.body.get("retry_after_ms")
    retry_after_ms = given if isinstance(given, int) and 0 < given < 2**31 else 2000
    return Refusal(
        sentence=refusal.sentence or "The room's policy server does not sign this.",
        errcode=refusal.errcode,
        status=refusal.status,
        retry_after_ms=retry_after_ms if refusal.status == LimitExceeded.status else None,
    )
