"""Auth events selection: which part of the room state gives a sender permission to send an event.

(server-server API, "Auth events selection")
"""

from typing import Any

from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.identifiers import StateTuple
from tabstead.protocol.room_versions import RoomVersion


def select_auth_event_types(
    event_type: str,
    state_key: str | None,
    sender: str,
    content: JsonDict,
    room_version: RoomVersion,
) -> list[StateTuple]:
    """The keys of the room state whose events, where there are any, belong in `auth_events`. No key twice."""
    if event_type == "m.room.create":
        return []
    selected: list[StateTuple] = []
    if not room_version.room_id_is_create_hash:  # v1-v11
        selected.append(("m.room.create", ""))
    selected += [("m.room.power_levels", ""), ("m.room.member", sender)]
    if event_type == "m.room.member" and state_key is not None:
        selected += _select_for_membership(state_key, content, room_version)
    return list(dict.fromkeys(selected))


def _select_for_membership(target: str, content: JsonDict, room_version: RoomVersion) -> list[StateTuple]:
    selected = [("m.room.member", target)]
    membership = content.get("membership")
    if membership in ("join", "invite", "knock"):
        selected.append(("m.room.join_rules", ""))
    if membership == "invite":
        token = third_party_invite_token(content)
        if token is not None:
            selected.append(("m.room.third_party_invite", token))
    if membership == "join" and room_version.restricted_joins:  # v8-
        authoriser = content.get("join_authorised_via_users_server")
        if isinstance(authoriser, str):
            selected.append(("m.room.member", authoriser))
    return selected


def third_party_invite_token(content: JsonDict) -> str | None:
    """`content.third_party_invite.signed.token`, if all of that is there."""
    value: Any = content
    for key in ("third_party_invite", "signed", "token"):
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value if isinstance(value, str) else None
