"""What users reported: a room, an event in it, or another user."""

from dataclasses import dataclass

from tabstead.storage.database import Db


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report; `room_id` alone is a room's, with `event_id` an event's, `user_id` alone a user's."""

    reporter: str
    reason: str
    received_ts: int
    room_id: str | None = None
    event_id: str | None = None
    user_id: str | None = None
    """The reported user, or the event's sender."""
    report_nid: int = 0
    """Given when it is stored; later reports have greater ones."""


def insert_report(db: Db, report: Report) -> None:
    db.execute(
        "INSERT INTO reports (reporter, room_id, event_id, user_id, reason, received_ts) VALUES (?, ?, ?, ?, ?, ?)",
        (report.reporter, report.room_id, report.event_id, report.user_id, report.reason, report.received_ts),
    )


def select_reports(db: Db, *, before: int | None, limit: int) -> list[Report]:
    """The newest reports whose numeric id is less than `before`, the newest first."""
    rows = db.execute(
        "SELECT report_nid, reporter, room_id, event_id, user_id, reason, received_ts FROM reports"
        " WHERE ?1 IS NULL OR report_nid < ?1 ORDER BY report_nid DESC LIMIT ?2",
        (before, limit),
    )
    return [
        Report(
            report_nid=report_nid,
            reporter=reporter,
            room_id=room_id,
            event_id=event_id,
            user_id=user_id,
            reason=reason,
            received_ts=received_ts,
        )
        for report_nid, reporter, room_id, event_id, user_id, reason, received_ts in rows
    ]


def delete_report(db: Db, report_nid: int) -> bool:
    """Whether there was one."""
    return db.execute("DELETE FROM reports WHERE report_nid = ?", (report_nid,)).rowcount > 0
