"""User-interactive authentication: a session per operation, remembered until it is used or has expired.

An operation offers flows, each a sequence of stages; when all stages of one flow are done, the operation is carried
out. A session is bound to one operation (a method, a path and, with an access token, a user). It remembers which stages
are done and what they have proved, and the parameters of the request that began it, so that a client may leave them out
later; passwords and tokens are not among them. A stage may also be completed elsewhere: in a web page, by another
identity provider. (§ User-interactive API in the REST API)
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from tabstead.errors import Forbidden, InteractiveAuthRequired, MatrixError
from tabstead.storage.database import Db
from tabstead.storage.interactive_auth import AuthSession, find_session, insert_session, update_completed

DUMMY: Final = "m.login.dummy"
PASSWORD: Final = "m.login.password"
EMAIL: Final = "m.login.email.identity"
TERMS: Final = "m.login.terms"
REGISTRATION_TOKEN: Final = "m.login.registration_token"
SSO: Final = "m.login.sso"
OAUTH: Final = "m.oauth"

_SECRETS: Final = frozenset({"auth", "password", "new_password", "guest_access_token"})

Prove: TypeAlias = Callable[[str], Any]
"""Judges the attempt on a stage: what it proves, as JSON that isn't null. Raises MatrixError where it fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What an operation wants to be shown: the stages of one of these flows, in their order."""

    flows: tuple[tuple[str, ...], ...]
    params: Mapping[str, Any] = field(default_factory=dict)

    def is_met(self, completed: Mapping[str, Any]) -> bool:
        return any(completed.keys() >= set(flow) for flow in self.flows)

    def check_turn(self, stage: str, completed: Mapping[str, Any]) -> None:
        """Raises Forbidden for a stage that is not the next one of any flow."""
        if not any(stage in flow for flow in self.flows):
            raise Forbidden(f"{stage[:80]} is not a way to authenticate here.")
        # "The flow's stages must be completed in order."
        if not any(stage in flow and completed.keys() >= set(flow[: flow.index(stage)]) for flow in self.flows):
            raise Forbidden(f"Another stage comes before {stage}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What a request brings to be confirmed."""

    operation: str
    body: Mapping[str, Any]
    session_id: str | None = None
    stage: str | None = None
    """The authentication type that the client tries to complete."""
    user_id: str | None = None

    def with_body(self, body: Mapping[str, Any]) -> "Attempt":
        return replace(self, body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """The operation may be carried out, with these parameters."""

    session: AuthSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """The client has to authenticate first, or again, or further."""

    session: AuthSession
    demand: Demand
    failure: MatrixError | None = None

    def to_error(self) -> InteractiveAuthRequired:
        """As the client is told; not to be raised, since the session has to stay in the database."""
        body = {
            "flows": [{"stages": list(flow)} for flow in self.demand.flows],
            "params": dict(self.demand.params),
            "session": self.session.session_id,
            "completed": list(self.session.completed),
        }
        return InteractiveAuthRequired(body, self.failure)


def confirm(db: Db, attempt: Attempt, demand: Demand, prove: Prove, now_ms: int) -> Confirmed | Challenge:
    """Judge an attempt on an operation; a session is begun or brought forward where a challenge needs it."""
    known = _find_own_session(db, attempt, now_ms)
    session, failure = known or _build_session(attempt), None
    try:
        if known is None and attempt.session_id is not None:
            raise Forbidden("The session of this authentication is not known, or no longer.")
        # "Completed stages cannot be retried by clients."
        if attempt.stage is not None and attempt.stage not in session.completed:
            demand.check_turn(attempt.stage, session.completed)
            session = _with_completed(session, attempt.stage, prove(attempt.stage))
    except MatrixError as error:
        failure = error
    if demand.is_met(session.completed):
        return Confirmed(session=session)
    if known is None:
        insert_session(db, session, now_ms)
    elif known.completed != session.completed:
        update_completed(db, session.session_id, session.completed)
    return Challenge(session=session, demand=demand, failure=failure)


def complete_stage(db: Db, session: AuthSession, stage: str, proof: Any) -> None:
    """Note that a stage was completed by other means than the client's requests."""
    update_completed(db, session.session_id, _with_completed(session, stage, proof).completed)


def _with_completed(session: AuthSession, stage: str, proof: Any) -> AuthSession:
    return replace(session, completed={**session.completed, stage: proof})


def _find_own_session(db: Db, attempt: Attempt, now_ms: int) -> AuthSession | None:
    """The attempt's session with the parameters of both requests, if it is one of this operation."""
    if attempt.session_id is None:
        return None
    session = find_session(db, attempt.session_id, now_ms)
    if session is None or session.operation != attempt.operation:
        return None
    return replace(session, body={**session.body, **_without_secrets(attempt.body)})


def _build_session(attempt: Attempt) -> AuthSession:
    return AuthSession(
        session_id=secrets.token_urlsafe(16),
        operation=attempt.operation,
        body=_without_secrets(attempt.body),
        outcome=None,
        user_id=attempt.user_id,
    )


def _without_secrets(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in _SECRETS}
