"""Rooms: creating, joining, sending, reading, the directory, spaces, threads, sync."""

from typing import Final

from conformance.cases import ALICE, BOB, CAROL, STRANGER_ROOM, Case, Table, ok, refused, without_token

MEMBERSHIP: Final[Table] = {
    "createRoom": Case(
        good=ok({"preset": "private_chat", "name": "The hut"}),
        bad=refused(400, "M_UNSUPPORTED_ROOM_VERSION", {"room_version": "0"}),
    ),
    "getJoinedRooms": Case(good=ok(), bad=without_token()),
    "inviteUser": Case(good=ok({"user_id": CAROL}), bad=refused(403, "M_FORBIDDEN", {"user_id": BOB})),
    "inviteBy3PID": Case(
        good=refused(
            403,
            "M_THREEPID_DENIED",
            {"id_server": "id.example", "id_access_token": "token", "medium": "email", "address": "carol@example.org"},
        ),
        bad=refused(403, "M_FORBIDDEN", {"user_id": CAROL}, who="carol"),
    ),
    "joinRoomById": Case(
        good=ok({}, who="carol"), bad=refused(404, "M_NOT_FOUND", {}, who="carol", roomId=STRANGER_ROOM)
    ),
    "joinRoom": Case(
        good=ok({}, who="carol", roomIdOrAlias="{alias}"),
        bad=refused(404, "M_NOT_FOUND", {}, who="carol", roomIdOrAlias="#nowhere:tab.test"),
    ),
    "knockRoom": Case(
        good=ok({"reason": "Please"}, who="carol", roomIdOrAlias="{lodge}"),
        bad=refused(403, "M_FORBIDDEN", {}, who="carol"),
    ),
    "leaveRoom": Case(good=ok({}), bad=refused(404, "M_NOT_FOUND", {}, roomId=STRANGER_ROOM)),
    "forgetRoom": Case(good=ok({}, after="leaveRoom"), bad=refused(400, "M_UNKNOWN", {})),
    "kick": Case(good=ok({"user_id": BOB}), bad=refused(403, "M_FORBIDDEN", {"user_id": ALICE}, who="bob")),
    "ban": Case(good=ok({"user_id": BOB}), bad=refused(403, "M_FORBIDDEN", {"user_id": ALICE}, who="bob")),
    "unban": Case(
        good=ok({"user_id": BOB}, after="ban"), bad=refused(403, "M_FORBIDDEN", {"user_id": CAROL}, who="bob")
    ),
    "upgradeRoom": Case(
        good=ok({"new_version": "11"}), bad=refused(400, "M_UNSUPPORTED_ROOM_VERSION", {"new_version": "0"})
    ),
}

EVENTS: Final[Table] = {
    "sendMessage": Case(
        good=ok({"msgtype": "m.text", "body": "Hello"}),
        bad=refused(403, "M_FORBIDDEN", {"msgtype": "m.text", "body": "Hello"}, who="carol"),
    ),
    "setRoomStateWithKey": Case(
        good=ok({"topic": "Hats"}, eventType="m.room.topic"),
        bad=refused(403, "M_FORBIDDEN", {"topic": "Hats"}, who="bob", eventType="m.room.topic"),
    ),
    "redactEvent": Case(good=ok({"reason": "Rude"}), bad=refused(403, "M_FORBIDDEN", {}, who="bob")),
    "getOneRoomEvent": Case(good=ok(), bad=refused(404, "M_NOT_FOUND", eventId="$nothing")),
    "getEventContext": Case(good=ok(query={"limit": 3}), bad=refused(404, "M_NOT_FOUND", eventId="$nothing")),
    "getRoomEvents": Case(
        good=ok(query={"dir": "b", "limit": 5}),
        bad=refused(403, "M_FORBIDDEN", query={"dir": "b"}, roomId=STRANGER_ROOM),
    ),
    "getEventByTimestamp": Case(
        good=ok(query={"ts": 0, "dir": "f"}), bad=refused(404, "M_NOT_FOUND", query={"ts": 0, "dir": "b"})
    ),
    "getRoomState": Case(good=ok(), bad=refused(403, "M_FORBIDDEN", roomId=STRANGER_ROOM)),
    "getRoomStateWithKey": Case(
        good=ok(eventType="m.room.name"), bad=refused(404, "M_NOT_FOUND", eventType="m.room.topic")
    ),
    "getMembersByRoom": Case(
        good=ok(query={"membership": "join"}), bad=refused(403, "M_FORBIDDEN", roomId=STRANGER_ROOM)
    ),
    "getJoinedMembersByRoom": Case(good=ok(), bad=refused(403, "M_FORBIDDEN", who="carol")),
    "getRelatingEvents": Case(good=ok(), bad=refused(404, "M_NOT_FOUND", eventId="$nothing")),
    "getRelatingEventsWithRelType": Case(good=ok(), bad=refused(404, "M_NOT_FOUND", eventId="$nothing")),
    "getRelatingEventsWithRelTypeAndEventType": Case(
        good=ok(eventType="m.reaction"), bad=refused(404, "M_NOT_FOUND", eventId="$nothing")
    ),
    "getThreadRoots": Case(good=ok(), bad=refused(403, "M_FORBIDDEN", roomId=STRANGER_ROOM)),
    "setTyping": Case(
        good=ok({"typing": True, "timeout": 30000}), bad=refused(403, "M_FORBIDDEN", {"typing": True}, userId=BOB)
    ),
    "postReceipt": Case(good=ok({}), bad=refused(400, "M_INVALID_PARAM", {}, receiptType="org.example.glanced")),
    "setReadMarker": Case(
        good=ok({"m.fully_read": "{event}", "m.read": "{event}"}),
        bad=refused(403, "M_FORBIDDEN", {"m.read": "{event}"}, who="carol"),
    ),
}

DIRECTORY: Final[Table] = {
    "setRoomAlias": Case(
        good=ok({"room_id": "{room}"}, roomAlias="#plaza:tab.test"),
        bad=refused(409, "M_UNKNOWN", {"room_id": "{room}"}),
    ),
    "getRoomIdByAlias": Case(
        good=ok(who="nobody"), bad=refused(404, "M_NOT_FOUND", who="nobody", roomAlias="#nowhere:tab.test")
    ),
    "deleteRoomAlias": Case(good=ok(), bad=refused(404, "M_NOT_FOUND", roomAlias="#nowhere:tab.test")),
    "getLocalAliases": Case(good=ok(), bad=refused(403, "M_FORBIDDEN", roomId=STRANGER_ROOM)),
    "getRoomVisibilityOnDirectory": Case(
        good=ok(who="nobody"), bad=refused(404, "M_NOT_FOUND", who="nobody", roomId=STRANGER_ROOM)
    ),
    "setRoomVisibilityOnDirectory": Case(
        good=ok({"visibility": "private"}), bad=refused(404, "M_NOT_FOUND", {}, roomId=STRANGER_ROOM)
    ),
    "updateAppserviceRoomDirectoryVisibility": Case(
        good=refused(403, "M_FORBIDDEN", {"visibility": "public"}),
        bad=refused(401, "M_UNKNOWN_TOKEN", {"visibility": "public"}, who="forger"),
    ),
    "getPublicRooms": Case(
        good=ok(who="nobody", query={"limit": 10}),
        bad=refused(400, "M_INVALID_PARAM", who="nobody", query={"limit": "ten"}),
    ),
    "queryPublicRooms": Case(
        good=ok({"limit": 10, "filter": {"generic_search_term": "square"}}),
        bad=refused(400, "M_BAD_JSON", {"limit": "ten"}),
    ),
    "getSpaceHierarchy": Case(good=ok(), bad=refused(403, "M_FORBIDDEN", roomId=STRANGER_ROOM)),
    "getRoomSummary": Case(
        good=ok(roomIdOrAlias="{alias}"), bad=refused(404, "M_NOT_FOUND", roomIdOrAlias="#nowhere:tab.test")
    ),
    "search": Case(
        good=ok({"search_categories": {"room_events": {"search_term": "hello"}}}),
        bad=refused(400, "M_MISSING_PARAM", {}),
    ),
}

STREAMS: Final[Table] = {
    "sync": Case(good=ok(), bad=refused(400, "M_INVALID_PARAM", query={"since": "yesterday"})),
    "getEvents": Case(
        good=ok(query={"from": "{token}", "timeout": 0}),
        bad=refused(400, "M_INVALID_PARAM", query={"from": "yesterday"}),
    ),
    "peekEvents": Case(
        good=ok(query={"from": "{token}", "timeout": 0, "room_id": "{room}"}),
        bad=refused(403, "M_FORBIDDEN", query={"timeout": 0, "room_id": STRANGER_ROOM}),
    ),
    "initialSync": Case(good=ok(query={"limit": 5}), bad=refused(400, "M_INVALID_PARAM", query={"limit": "five"})),
    "roomInitialSync": Case(good=ok(), bad=refused(403, "M_FORBIDDEN", roomId=STRANGER_ROOM)),
    "getOneEvent": Case(good=ok(), bad=refused(404, "M_NOT_FOUND", eventId="$nothing")),
    "getNotifications": Case(good=ok(), bad=refused(400, "M_INVALID_PARAM", query={"limit": "many"})),
}

REPORTS: Final[Table] = {
    "reportRoom": Case(
        good=ok({"reason": "Too loud"}, who="carol"),
        bad=refused(404, "M_NOT_FOUND", {"reason": ""}, roomId=STRANGER_ROOM),
    ),
    "reportEvent": Case(good=ok({"reason": "Rude"}), bad=refused(404, "M_NOT_FOUND", {}, eventId="$nothing")),
    "reportUser": Case(good=ok({"reason": "Rude"}, userId=BOB), bad=refused(400, "M_MISSING_PARAM", {}, userId=BOB)),
}

ROOMS: Final[Table] = {**MEMBERSHIP, **EVENTS, **DIRECTORY, **STREAMS, **REPORTS}
