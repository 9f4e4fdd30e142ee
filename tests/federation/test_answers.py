"""What another server's failure is to the client that wanted something of it."""

from tabstead.errors import LimitExceeded, OutboundFailed, PeerMisbehaved, PeerRefused
from tabstead.federation.answers import explain


def refusal(status: int, errcode: str, **more: object) -> PeerRefused:
    body = {"errcode": errcode, "error": "No.", **more}
    return PeerRefused("far.test says no.", status=status, errcode=errcode, sentence="No.", body=body)


def test_a_refusal_of_the_users_wish_is_passed_on() -> None:
    error = explain(refusal(403, "M_FORBIDDEN"))
    assert (error.status, error.to_json()) == (403, {"errcode": "M_FORBIDDEN", "error": "No."})


def test_the_room_version_of_an_incompatible_room_is_passed_on() -> None:
    error = explain(refusal(400, "M_INCOMPATIBLE_ROOM_VERSION", room_version="99", secret="x"))
    assert error.to_json() == {"errcode": "M_INCOMPATIBLE_ROOM_VERSION", "error": "No.", "room_version": "99"}


def test_what_is_between_the_servers_is_not_the_clients_fault() -> None:
    for failure in (
        refusal(400, "M_INVALID_PARAM"),
        refusal(401, "M_UNAUTHORIZED"),
        refusal(500, "M_FORBIDDEN"),
        refusal(404, "M_UNRECOGNIZED"),
        PeerMisbehaved("far.test answers with nonsense."),
    ):
        error = explain(failure)
        assert (error.status, error.to_json()["errcode"]) == (502, "M_UNKNOWN")


def test_no_answer_is_a_timeout() -> None:
    assert explain(OutboundFailed("far.test can't be reached.")).status == 504


def test_a_limit_is_told_with_the_time_to_wait() -> None:
    error = explain(refusal(429, "M_LIMIT_EXCEEDED", retry_after_ms=1500))
    assert isinstance(error, LimitExceeded)
    assert error.retry_after_ms == 1500
    odd = explain(refusal(429, "M_LIMIT_EXCEEDED", retry_after_ms="soon"))
    assert isinstance(odd, LimitExceeded)
