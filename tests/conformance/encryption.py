"""End-to-end encryption: keys, cross-signing, key backup, messages to devices. And push: rules, pushers."""

from typing import Any, Final

from conformance.accounts import PASSWORD
from conformance.cases import ALICE, BOB, Case, Table, ok, refused, without_token
from helpers.key_owner import CrossSigning

IDENTITY: Final = CrossSigning.of(ALICE)
UNSIGNED: Final = {**IDENTITY.key_object("self_signing"), "signatures": {}}
BACKUP: Final = {
    "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2",
    "auth_data": {"public_key": "abc", "signatures": {}},
}
SESSION: Final = {
    "first_message_index": 0,
    "forwarded_count": 0,
    "is_verified": True,
    "session_data": {"ciphertext": "c", "ephemeral": "e", "mac": "m"},
}
OF_ROOM: Final = {"sessions": {"session": SESSION}}
OF_ALL: Final[dict[str, Any]] = {"rooms": {"{room}": OF_ROOM}}
VERSION: Final = {"version": "{version}"}
NO_VERSION: Final = {"version": "99"}
RULE: Final = {"pattern": "cake", "actions": ["notify"]}
PUSHER: Final = {
    "kind": "http",
    "app_id": "org.example.app",
    "pushkey": "key",
    "app_display_name": "App",
    "device_display_name": "Phone",
    "lang": "en",
    "data": {"url": "https://push.example/_matrix/push/v1/notify"},
}

KEYS: Final[Table] = {
    "uploadKeys": Case(
        good=ok({"one_time_keys": {"curve25519:AAAA": "public"}}), bad=refused(400, "M_BAD_JSON", {"one_time_keys": []})
    ),
    "queryKeys": Case(good=ok({"device_keys": {ALICE: []}}, who="bob"), bad=refused(400, "M_MISSING_PARAM", {})),
    "claimKeys": Case(
        good=ok({"one_time_keys": {ALICE: {"{device}": "signed_curve25519"}}}, who="bob"),
        bad=refused(400, "M_MISSING_PARAM", {}),
    ),
    "getKeysChanges": Case(
        good=ok(query={"from": "{token}", "to": "{token}"}),
        bad=refused(400, "M_MISSING_PARAM", query={"from": "{token}"}),
    ),
    "uploadCrossSigningKeys": Case(
        good=ok({**IDENTITY.upload, "auth": PASSWORD}),
        bad=refused(400, "M_INVALID_SIGNATURE", {**IDENTITY.upload, "self_signing_key": UNSIGNED}),
    ),
    "uploadCrossSigningSignatures": Case(
        good=ok({ALICE: {IDENTITY.public("master"): IDENTITY.key_object("master")}}, after="uploadCrossSigningKeys"),
        bad=refused(400, "M_BAD_JSON", {ALICE: []}),
    ),
    "sendToDevice": Case(
        good=ok({"messages": {BOB: {"*": {"text": "Psst"}}}}), bad=refused(400, "M_MISSING_PARAM", {})
    ),
}

BACKUPS: Final[Table] = {
    "postRoomKeysVersion": Case(
        good=ok(BACKUP, remember="version"), bad=refused(400, "M_MISSING_PARAM", {"auth_data": {}})
    ),
    "getRoomKeysVersionCurrent": Case(good=ok(after="postRoomKeysVersion"), bad=refused(404, "M_NOT_FOUND")),
    "getRoomKeysVersion": Case(good=ok(after="postRoomKeysVersion"), bad=refused(404, "M_NOT_FOUND")),
    "putRoomKeysVersion": Case(
        good=ok(BACKUP, after="postRoomKeysVersion"),
        bad=refused(400, "M_INVALID_PARAM", {**BACKUP, "algorithm": "other"}, after="postRoomKeysVersion"),
    ),
    "deleteRoomKeysVersion": Case(good=ok(after="postRoomKeysVersion"), bad=refused(404, "M_NOT_FOUND")),
    "putRoomKeyBySessionId": Case(
        good=ok(SESSION, query=VERSION, after="postRoomKeysVersion"),
        bad=refused(403, "M_WRONG_ROOM_KEYS_VERSION", SESSION, query=NO_VERSION, after="postRoomKeysVersion"),
    ),
    "getRoomKeyBySessionId": Case(
        good=ok(query=VERSION, after="putRoomKeyBySessionId"), bad=refused(404, "M_NOT_FOUND", query=NO_VERSION)
    ),
    "deleteRoomKeyBySessionId": Case(
        good=ok(query=VERSION, after="putRoomKeyBySessionId"), bad=refused(404, "M_NOT_FOUND", query=NO_VERSION)
    ),
    "putRoomKeysByRoomId": Case(
        good=ok(OF_ROOM, query=VERSION, after="postRoomKeysVersion"),
        bad=refused(403, "M_WRONG_ROOM_KEYS_VERSION", OF_ROOM, query=NO_VERSION, after="postRoomKeysVersion"),
    ),
    "getRoomKeysByRoomId": Case(
        good=ok(query=VERSION, after="putRoomKeysByRoomId"), bad=refused(404, "M_NOT_FOUND", query=NO_VERSION)
    ),
    "deleteRoomKeysByRoomId": Case(
        good=ok(query=VERSION, after="putRoomKeysByRoomId"), bad=refused(404, "M_NOT_FOUND", query=NO_VERSION)
    ),
    "putRoomKeys": Case(
        good=ok(OF_ALL, query=VERSION, after="postRoomKeysVersion"),
        bad=refused(403, "M_WRONG_ROOM_KEYS_VERSION", OF_ALL, query=NO_VERSION, after="postRoomKeysVersion"),
    ),
    "getRoomKeys": Case(good=ok(query=VERSION, after="putRoomKeys"), bad=refused(404, "M_NOT_FOUND", query=NO_VERSION)),
    "deleteRoomKeys": Case(
        good=ok(query=VERSION, after="putRoomKeys"), bad=refused(404, "M_NOT_FOUND", query=NO_VERSION)
    ),
}

PUSH: Final[Table] = {
    "getPushRules": Case(good=ok(), bad=without_token()),
    "getPushRulesGlobal": Case(good=ok(), bad=without_token()),
    "getPushRule": Case(good=ok(after="setPushRule"), bad=refused(404, "M_NOT_FOUND")),
    "setPushRule": Case(good=ok(RULE), bad=refused(400, "M_INVALID_PARAM", RULE, ruleId=".m.rule.mine")),
    "deletePushRule": Case(good=ok(after="setPushRule"), bad=refused(404, "M_NOT_FOUND")),
    "isPushRuleEnabled": Case(good=ok(after="setPushRule"), bad=refused(404, "M_NOT_FOUND")),
    "setPushRuleEnabled": Case(
        good=ok({"enabled": False}, after="setPushRule"), bad=refused(404, "M_NOT_FOUND", {"enabled": False})
    ),
    "getPushRuleActions": Case(good=ok(after="setPushRule"), bad=refused(404, "M_NOT_FOUND")),
    "setPushRuleActions": Case(
        good=ok({"actions": []}, after="setPushRule"), bad=refused(404, "M_NOT_FOUND", {"actions": []})
    ),
    "getPushers": Case(good=ok(after="postPusher"), bad=without_token()),
    "postPusher": Case(good=ok(PUSHER), bad=refused(400, "M_MISSING_PARAM", {"kind": "http"})),
}

ENCRYPTION: Final[Table] = {**KEYS, **BACKUPS, **PUSH}
