"""Reporting a room, an event or a user to the administrators. Client-Server API, § Reporting Content

Who reports an event must be joined to its room and able to see it. A room or a user may be reported by anybody: one can
be exposed to them by an invite or a directory.
"""

from typing import Final

from tabstead.errors import InvalidParam, NotFound
from tabstead.rooms.history_visibility import HistoryVisibility
from tabstead.storage.database import Db
from tabstead.storage.events import find_event
from tabstead.storage.memberships import is_joined
from tabstead.storage.reports import Report, insert_report
from tabstead.storage.rooms import find_room
from tabstead.storage.users import find_user

MAX_REASON_CHARACTERS: Final = 10_000


def report_room(db: Db, reporter: str, room_id: str, *, reason: str, now_ms: int) -> None:
    """Raises NotFound, or InvalidParam for a reason that is too long."""
    if find_room(db, room_id) is None:
        raise NotFound("This room is not known here.")
    _keep(db, Report(reporter=reporter, room_id=room_id, reason=reason, received_ts=now_ms))


def report_event(db: Db, reporter: str, room_id: str, event_id: str, *, reason: str, now_ms: int) -> None:
    """Raises NotFound for an event that the reporter can't see, or InvalidParam."""
    room, event = find_room(db, room_id), find_event(db, event_id)
    if (
        room is None
        or event is None
        or event.room_nid != room.room_nid
        or not is_joined(db, reporter, room.room_nid)
        or not HistoryVisibility(db, room, reporter).may_see(event)
    ):
        raise NotFound("The event was not found, or you are not joined to the room.")
    report = Report(
        reporter=reporter,
        room_id=room_id,
        event_id=event_id,
        user_id=event.event.sender,
        reason=reason,
        received_ts=now_ms,
    )
    _keep(db, report)


def report_user(db: Db, reporter: str, user_id: str, *, reason: str, now_ms: int) -> None:
    """Raises NotFound, or InvalidParam."""
    if find_user(db, user_id) is None:
        raise NotFound("This user is not known here.")
    _keep(db, Report(reporter=reporter, user_id=user_id, reason=reason, received_ts=now_ms))


def _keep(db: Db, report: Report) -> None:
    if len(report.reason) > MAX_REASON_CHARACTERS:
        raise InvalidParam(f"The reason must not be longer than {MAX_REASON_CHARACTERS} characters.")
    insert_report(db, report)
