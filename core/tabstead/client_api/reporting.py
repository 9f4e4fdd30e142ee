"""Reports of rooms, events and users, and reading them. Client-Server API, § Reporting Content.

The specification leaves open how administrators get to see reports; here they read them at a path of our own.
"""

from typing import Final

from tabstead.client_api.call import Access, Call
from tabstead.client_api.rate_limits import REPORTING
from tabstead.client_api.routes import Routes
from tabstead.errors import InvalidParam, NotFound
from tabstead.http import JsonDict, Response, json_response
from tabstead.protocol.identifiers import parse_user_id
from tabstead.rooms.reports import report_event, report_room, report_user
from tabstead.storage.database import Db
from tabstead.storage.reports import Report, delete_report, select_reports

routes = Routes()

_REPORTS: Final = "/_tabstead/admin/v1/reports"
_DEFAULT_LIMIT: Final = 100
_MAX_LIMIT: Final = 1000
_MAX_ID: Final = 2**63 - 1


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/report", limit=REPORTING)
def post_room_report(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/rooms/{roomId}/report. § Reporting Content. Added in v1.13."""
    reason = call.body().string("reason")
    report_room(db, call.user_id, call.parameter("roomId"), reason=reason, now_ms=call.now_ms)
    return json_response({})


@routes.write("POST", "/_matrix/client/v3/rooms/{roomId}/report/{eventId}", limit=REPORTING)
def post_event_report(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/rooms/{roomId}/report/{eventId}. § Reporting Content."""
    room_id, event_id = call.parameter("roomId"), call.parameter("eventId")
    reason = call.body().string("reason", "")
    report_event(db, call.user_id, room_id, event_id, reason=reason, now_ms=call.now_ms)
    return json_response({})


@routes.write("POST", "/_matrix/client/v3/users/{userId}/report", limit=REPORTING)
def post_user_report(call: Call, db: Db) -> Response:
    """POST /_matrix/client/v3/users/{userId}/report. § Reporting Content. Added in v1.14."""
    user_id = parse_user_id(call.parameter("userId"))
    report_user(db, call.user_id, user_id, reason=call.body().string("reason"), now_ms=call.now_ms)
    return json_response({})


@routes.read("GET", _REPORTS, access=Access.ADMINISTRATOR)
def get_reports(call: Call, db: Db) -> Response:
    """GET /_tabstead/admin/v1/reports: the newest first; `from` and `limit` page through them."""
    limit = min(max(call.query.integer("limit", _DEFAULT_LIMIT), 1), _MAX_LIMIT)
    before = _parse_id(call.query["from"]) if "from" in call.query else None
    found = select_reports(db, before=before, limit=limit + 1)
    answer: JsonDict = {"reports": [_shown(report) for report in found[:limit]]}
    if len(found) > limit:
        answer["next_batch"] = str(found[limit - 1].report_nid)
    return json_response(answer)


@routes.write("DELETE", _REPORTS + "/{reportId}", access=Access.ADMINISTRATOR)
def delete_dealt_with(call: Call, db: Db) -> Response:
    """DELETE /_tabstead/admin/v1/reports/{reportId}: it was dealt with."""
    if not delete_report(db, _parse_id(call.parameter("reportId"))):
        raise NotFound("There is no such report.")
    return json_response({})


def _shown(report: Report) -> JsonDict:
    about = {"room_id": report.room_id, "event_id": report.event_id, "user_id": report.user_id}
    return {
        "id": str(report.report_nid),
        "received_ts": report.received_ts,
        "reporter": report.reporter,
        "reason": report.reason,
        **{key: value for key, value in about.items() if value is not None},
    }


def _parse_id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _MAX_ID):
        raise InvalidParam("This is not the id of a report.")
    return int(text)
