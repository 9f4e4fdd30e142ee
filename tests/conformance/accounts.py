"""Accounts: registration, login, devices, profiles, third-party identifiers, account data, administration."""

from typing import Final

from conformance.cases import ADMIN, ALICE, BOB, CAROL, Case, Table, ok, refused, with_method, without_token

PASSWORD: Final = {
    "type": "m.login.password",
    "identifier": {"type": "m.id.user", "user": "alice"},
    "password": "rosebud",
}
WRONG_PASSWORD: Final = {**PASSWORD, "password": "tulip"}
DUMMY: Final = {"type": "m.login.dummy"}
BY_EMAIL: Final = {"client_secret": "secret", "email": "alice@example.org", "send_attempt": 1}
BY_PHONE: Final = {"client_secret": "secret", "country": "GB", "phone_number": "07700900001", "send_attempt": 1}
EMAIL: Final = {"medium": "email", "address": "alice@example.org"}
NO_PHONES: Final = "M_THREEPID_MEDIUM_NOT_SUPPORTED"
"""Nobody here can send a text message, which is all that a good call can learn."""
FOR_CLIENT: Final = {"redirectUrl": "https://client.example/"}

REGISTRATION: Final[Table] = {
    "register": Case(
        good=ok({"username": "dave", "auth": DUMMY, "refresh_token": True}, who="nobody", remember="refresh_token"),
        bad=refused(400, "M_USER_IN_USE", {"username": "alice", "auth": DUMMY}, who="nobody"),
    ),
    "checkUsernameAvailability": Case(
        good=ok(who="nobody", query={"username": "dave"}),
        bad=refused(400, "M_USER_IN_USE", who="nobody", query={"username": "alice"}),
    ),
    "registrationTokenValidity": Case(
        good=ok(who="nobody", query={"token": "welcome"}),
        bad=refused(400, "M_MISSING_PARAM", who="nobody"),
    ),
    "requestTokenToRegisterEmail": Case(
        good=ok({**BY_EMAIL, "email": "dave@example.org"}, who="nobody"),
        bad=refused(400, "M_MISSING_PARAM", {"email": "dave@example.org"}, who="nobody"),
    ),
    "requestTokenToRegisterMSISDN": Case(
        good=refused(400, NO_PHONES, BY_PHONE, who="nobody"),
        bad=refused(400, "M_MISSING_PARAM", {"country": "GB"}, who="nobody"),
    ),
    "refresh": Case(
        good=ok({"refresh_token": "{refresh_token}"}, who="nobody", after="register"),
        bad=refused(401, "M_UNKNOWN_TOKEN", {"refresh_token": "never given"}, who="nobody"),
    ),
}

LOGIN: Final[Table] = {
    "getLoginFlows": Case(good=ok(who="nobody"), bad=with_method("DELETE")),
    "login": Case(good=ok(PASSWORD, who="nobody"), bad=refused(403, "M_FORBIDDEN", WRONG_PASSWORD, who="nobody")),
    "generateLoginToken": Case(good=ok({"auth": PASSWORD}), bad=refused(401, "M_FORBIDDEN", {"auth": WRONG_PASSWORD})),
    "redirectToSSO": Case(
        good=ok(status=302, who="nobody", query=FOR_CLIENT),
        bad=refused(400, None, who="nobody"),
    ),
    "redirectToIdP": Case(
        good=ok(status=302, who="nobody", query=FOR_CLIENT),
        bad=refused(404, None, who="nobody", query=FOR_CLIENT, idpId="unheard-of"),
    ),
    "getAuthMetadata": Case(good=ok(who="nobody"), bad=with_method("DELETE")),
    "logout": Case(good=ok(), bad=without_token()),
    "logout_all": Case(good=ok(), bad=without_token()),
    "getTokenOwner": Case(good=ok(), bad=without_token()),
    "requestOpenIdToken": Case(good=ok({}), bad=refused(403, "M_FORBIDDEN", {}, userId=BOB)),
}

ACCOUNT: Final[Table] = {
    "changePassword": Case(
        good=ok({"new_password": "a rose is a rose", "auth": PASSWORD}),
        bad=refused(401, "M_FORBIDDEN", {"new_password": "a rose is a rose", "auth": WRONG_PASSWORD}),
    ),
    "requestTokenToResetPasswordEmail": Case(
        good=ok(BY_EMAIL, who="nobody", after="add3PID"),
        bad=refused(400, "M_INVALID_PARAM", {**BY_EMAIL, "email": "nobody"}, who="nobody"),
    ),
    "requestTokenToResetPasswordMSISDN": Case(
        good=refused(400, NO_PHONES, BY_PHONE, who="nobody"),
        bad=refused(400, "M_MISSING_PARAM", {"country": "GB"}, who="nobody"),
    ),
    "deactivateAccount": Case(
        good=ok({"auth": PASSWORD, "erase": True}), bad=refused(401, "M_FORBIDDEN", {"auth": WRONG_PASSWORD})
    ),
    "getAccount3PIDs": Case(good=ok(), bad=without_token()),
    "post3PIDs": Case(
        good=refused(
            403,
            "M_THREEPID_AUTH_FAILED",
            {
                "three_pid_creds": {
                    "client_secret": "secret",
                    "id_server": "id.example",
                    "id_access_token": "token",
                    "sid": "1",
                }
            },
        ),
        bad=refused(400, "M_MISSING_PARAM", {}),
    ),
    "add3PID": Case(
        good=ok(
            {"client_secret": "secret", "sid": "{sid}", "auth": PASSWORD},
            after="requestTokenTo3PIDEmail",
        ),
        bad=refused(400, "M_MISSING_PARAM", {"client_secret": "secret", "auth": PASSWORD}),
    ),
    "bind3PID": Case(
        good=refused(
            400,
            "M_SERVER_NOT_TRUSTED",
            {"client_secret": "secret", "id_server": "id.example", "id_access_token": "token", "sid": "1"},
        ),
        bad=refused(400, "M_MISSING_PARAM", {"client_secret": "secret"}),
    ),
    "delete3pidFromAccount": Case(good=ok(EMAIL), bad=refused(400, "M_MISSING_PARAM", {"medium": "email"})),
    "unbind3pidFromAccount": Case(good=ok(EMAIL), bad=refused(400, "M_MISSING_PARAM", {"medium": "email"})),
    "requestTokenTo3PIDEmail": Case(
        good=ok(BY_EMAIL, who="nobody", remember="sid"),
        bad=refused(400, "M_MISSING_PARAM", {"email": "alice@example.org"}, who="nobody"),
    ),
    "requestTokenTo3PIDMSISDN": Case(
        good=refused(400, NO_PHONES, BY_PHONE, who="nobody"),
        bad=refused(400, "M_MISSING_PARAM", {"country": "GB"}, who="nobody"),
    ),
}

DEVICES: Final[Table] = {
    "getDevices": Case(good=ok(), bad=without_token()),
    "getDevice": Case(good=ok(), bad=refused(404, "M_NOT_FOUND", deviceId="{other_device}")),
    "updateDevice": Case(
        good=ok({"display_name": "Phone"}),
        bad=refused(404, "M_NOT_FOUND", {"display_name": "Phone"}, deviceId="{other_device}"),
    ),
    "deleteDevice": Case(good=ok({"auth": PASSWORD}), bad=refused(401, "M_FORBIDDEN", {"auth": WRONG_PASSWORD})),
    "deleteDevices": Case(
        good=ok({"devices": ["{device}"], "auth": PASSWORD}),
        bad=refused(400, "M_MISSING_PARAM", {"auth": PASSWORD}),
    ),
}

PROFILES: Final[Table] = {
    "getUserProfile": Case(
        good=ok(who="nobody", after="setProfileField"),
        bad=refused(404, "M_NOT_FOUND", who="nobody", userId="@nobody:tab.test"),
    ),
    "setProfileField": Case(
        good=ok({"displayname": "Alice"}), bad=refused(403, "M_FORBIDDEN", {"displayname": "Bob"}, userId=BOB)
    ),
    "getProfileField": Case(
        good=ok(who="nobody", after="setProfileField"),
        bad=refused(404, "M_NOT_FOUND", who="nobody", userId="@nobody:tab.test"),
    ),
    "deleteProfileField": Case(good=ok(after="setProfileField"), bad=refused(403, "M_FORBIDDEN", userId=BOB)),
    "searchUserDirectory": Case(good=ok({"search_term": "bob"}), bad=refused(400, "M_MISSING_PARAM", {})),
    "setPresence": Case(
        good=ok({"presence": "online", "status_msg": "Here"}),
        bad=refused(403, "M_FORBIDDEN", {"presence": "online"}, userId=BOB),
    ),
    "getPresence": Case(
        good=ok(after="setPresence"),
        bad=refused(403, "M_FORBIDDEN", who="carol"),
    ),
    "getMutualRooms": Case(
        good=ok(query={"user_id": BOB}), bad=refused(400, "M_INVALID_PARAM", query={"user_id": ALICE})
    ),
}

OWN_DATA: Final[Table] = {
    "setAccountData": Case(good=ok({"text": "Milk"}), bad=refused(403, "M_FORBIDDEN", {"text": "Milk"}, userId=BOB)),
    "getAccountData": Case(good=ok(after="setAccountData"), bad=refused(404, "M_NOT_FOUND")),
    "setAccountDataPerRoom": Case(
        good=ok({"text": "Milk"}), bad=refused(405, "M_BAD_JSON", {"event_id": "{event}"}, type="m.fully_read")
    ),
    "getAccountDataPerRoom": Case(good=ok(after="setAccountDataPerRoom"), bad=refused(404, "M_NOT_FOUND")),
    "getRoomTags": Case(good=ok(after="setRoomTag"), bad=refused(403, "M_FORBIDDEN", userId=BOB)),
    "setRoomTag": Case(good=ok({"order": 0.5}), bad=refused(403, "M_FORBIDDEN", {"order": 0.5}, userId=BOB)),
    "deleteRoomTag": Case(good=ok(after="setRoomTag"), bad=refused(403, "M_FORBIDDEN", userId=BOB)),
    "defineFilter": Case(
        good=ok({"room": {"timeline": {"limit": 5}}}, remember="filter_id"),
        bad=refused(400, "M_BAD_JSON", {"room": {"timeline": {"limit": "five"}}}),
    ),
    "getFilter": Case(good=ok(after="defineFilter"), bad=refused(404, "M_NOT_FOUND")),
}

ADMINISTRATION: Final[Table] = {
    "getWhoIs": Case(good=ok(who="admin", userId=ALICE), bad=refused(403, "M_FORBIDDEN", userId=BOB)),
    "getAdminSuspendUser": Case(good=ok(who="admin"), bad=refused(403, "M_FORBIDDEN", userId=BOB)),
    "setAdminSuspendUser": Case(
        good=ok({"suspended": True}, who="admin", userId=CAROL),
        bad=refused(403, "M_FORBIDDEN", {"suspended": True}, who="admin", userId=ADMIN),
    ),
    "getAdminLockUser": Case(
        good=ok(who="admin"), bad=refused(400, "M_INVALID_PARAM", who="admin", userId="@alice:elsewhere.test")
    ),
    "setAdminLockUser": Case(
        good=ok({"locked": True}, who="admin", userId=CAROL),
        bad=refused(404, "M_NOT_FOUND", {"locked": True}, who="admin", userId="@nobody:tab.test"),
    ),
}

ACCOUNTS: Final[Table] = {
    **REGISTRATION,
    **LOGIN,
    **ACCOUNT,
    **DEVICES,
    **PROFILES,
    **OWN_DATA,
    **ADMINISTRATION,
}
