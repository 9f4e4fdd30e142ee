"""User-interactive authentication: a session per operation, remembered until it is used or has expired.

Every flow here has a single stage, so a session is never half completed: an attempt either confirms the operation or
is answered with the challenge once more. A session is bound to one operation (a method, a path and, with an access
token, a user) and remembers the parameters of the request that began it, so that a client may leave them out later;
passwords and tokens are not among them. (§ User-interactive API in the REST API)
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tabstead.errors import Forbidden, InteractiveAuthRequired, MatrixError
from tabstead.storage.database import Db
from tabstead.storage.interactive_auth import AuthSession, find_session, insert_session

DUMMY: Final = "m.login.dummy"
PASSWORD: Final = "m.login.password"

_SECRETS: Final = frozenset({"auth", "password", "new_password", "guest_access_token"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What a request brings to be confirmed."""

    operation: str
    body: Mapping[str, Any]
    session_id: str | None = None
    stage: str | None = None
    """The authentication type that the client tries to complete."""
    failure: MatrixError | None = None
    """Why the stage is not completed, though it was tried."""

    def failed(self, failure: MatrixError | None) -> "Attempt":
        return replace(self, failure=failure)

    def with_body(self, body: Mapping[str, Any]) -> "Attempt":
        return replace(self, body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """The operation may be carried out, with these parameters."""

    session: AuthSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """The client has to authenticate first, or again."""

    session: AuthSession
    stage: str
    failure: MatrixError | None = None

    def to_error(self) -> InteractiveAuthRequired:
        """As the client is told; not to be raised, since the session has to stay in the database."""
        body = {
            "flows": [{"stages": [self.stage]}],
            "params": {},
            "session": self.session.session_id,
            "completed": [],
        }
        return InteractiveAuthRequired(body, self.failure)


def confirm(db: Db, attempt: Attempt, stage: str, now_ms: int) -> Confirmed | Challenge:
    """Judge an attempt on an operation that takes one stage; a session is begun where a challenge needs one."""
    known = _find_own_session(db, attempt, now_ms)
    session = known or _build_session(attempt)
    failure = attempt.failure
    if known is None and attempt.session_id is not None:
        failure = Forbidden("The session of this authentication is not known, or no longer.")
    elif attempt.stage not in {stage, None}:
        failure = Forbidden(f"{attempt.stage} is not a way to authenticate here.")
    if attempt.stage == stage and failure is None:
        return Confirmed(session=session)
    if known is None:
        insert_session(db, session, now_ms)
    return Challenge(session=session, stage=stage, failure=failure)


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
    )


def _without_secrets(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in _SECRETS}
