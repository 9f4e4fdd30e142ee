"""The authorisation rules of `m.room.member`: who may become what, and who may make others so.

One function per membership, each with the specification's rules in their order.
"""

from collections.abc import Callable, Mapping
from typing import Final

from tabstead.protocol.auth_rules.room_state import RoomState, creator_of
from tabstead.protocol.auth_rules.verdict import ALLOWED, Rejected, Verdict
from tabstead.protocol.events.event import Event
from tabstead.protocol.identifiers import find_server_name_of
from tabstead.protocol.signatures import has_signature_by_any


def check_membership(event: Event, state: RoomState, create: Event) -> Verdict:
    """The verdict on an `m.room.member` event in a room with this state."""
    # All: "If there is no state_key property, or no membership property in content, reject."
    target, membership = event.state_key, event.membership
    if target is None or membership is None:
        return Rejected("a membership has a state key and content.membership")
    # v8-: "If content has a join_authorised_via_users_server key: if the event is not validly signed by the homeserver
    # of the user ID denoted by the key, reject."
    if state.room_version.restricted_joins and "join_authorised_via_users_server" in event.content:
        authoriser = event.content["join_authorised_via_users_server"]
        if not isinstance(authoriser, str) or not _is_signed_by_server_of(authoriser, event):
            return Rejected("the server that is said to authorise the join has not signed it")
    if membership == "join" and _is_creators_first_join(event, target, state, create):
        return ALLOWED
    check = _CHECKS.get(membership)
    # All: "Otherwise, the membership is unknown. Reject."
    if check is None or (membership == "knock" and not state.room_version.knocking):
        return Rejected("the membership is unknown")
    return check(event, target, state)


def _is_signed_by_server_of(user_id: str, event: Event) -> bool:
    """Whether that server signed; that the signature is valid was checked when the event came in."""
    return bool(event.pdu.get("signatures", {}).get(find_server_name_of(user_id)))


def _is_creators_first_join(event: Event, target: str, state: RoomState, create: Event) -> bool:
    # All: "If the only previous event is an m.room.create and the state_key is the creator, allow."
    return event.prev_events == (create.event_id,) and target == creator_of(create, state.room_version)


def _check_join(event: Event, target: str, state: RoomState) -> Verdict:
    # All: "If the sender does not match state_key, reject."
    if event.sender != target:
        return Rejected("nobody can be joined by another user")
    # All: "If the sender is banned, reject."
    membership = state.membership_of(target)
    if membership == "ban":
        return Rejected("the user is banned")
    join_rule = state.join_rule
    # All: "If the join_rule is public, allow."
    if join_rule == "public":
        return ALLOWED
    is_restricted = _is_restricted(join_rule, state)
    # v1-v6: "If the join_rule is invite then allow if membership state is invite or join." v7-: or knock.
    # v8-: "If the join_rule is restricted: if membership state is join or invite, allow." v10-: or knock_restricted.
    if join_rule == "invite" or (join_rule == "knock" and state.room_version.knocking) or is_restricted:
        if membership in ("invite", "join"):
            return ALLOWED
        if is_restricted:
            return _check_restricted_join(event, state)
    # All: "Otherwise, reject."
    return Rejected(f"the join rule is {join_rule[:40]!r} and the user is not invited")


def _is_restricted(join_rule: str, state: RoomState) -> bool:
    if join_rule == "restricted":
        return state.room_version.restricted_joins  # v8-
    return join_rule == "knock_restricted" and state.room_version.knock_restricted_joins  # v10-


def _check_restricted_join(event: Event, state: RoomState) -> Verdict:
    # v8-: "If the join_authorised_via_users_server key in content is not a user with sufficient permission to invite
    # other users or is not a joined member of the room, reject. Otherwise, allow."
    authoriser = event.content.get("join_authorised_via_users_server")
    if not isinstance(authoriser, str):
        return Rejected("the room is restricted and nobody in it authorises the join")
    if state.membership_of(authoriser) != "join":
        return Rejected("the user who authorises the join is not joined")
    levels = state.power_levels
    if levels.user_power_level(authoriser) < levels.invite:
        return Rejected("the user who authorises the join may not invite")
    return ALLOWED


def _check_invite(event: Event, target: str, state: RoomState) -> Verdict:
    # All: "If content has a third_party_invite property: …"
    if "third_party_invite" in event.content:
        return _check_third_party_invite(event, target, state)
    # All: "If the sender's current membership state is not join, reject."
    if state.membership_of(event.sender) != "join":
        return Rejected("the sender is not joined to the room")
    # All: "If target user's current membership state is join or ban, reject."
    if state.membership_of(target) in ("join", "ban"):
        return Rejected("the invited user is joined or banned")
    # All: "If the sender's power level is greater than or equal to the invite level, allow. Otherwise, reject."
    levels = state.power_levels
    if levels.user_power_level(event.sender) < levels.invite:
        return Rejected("the sender may not invite")
    return ALLOWED


def _check_third_party_invite(event: Event, target: str, state: RoomState) -> Verdict:
    # All: "If target user is banned, reject."
    if state.membership_of(target) == "ban":
        return Rejected("the invited user is banned")
    # All: "If content.third_party_invite does not have a signed property, reject."
    third_party_invite = event.content["third_party_invite"]
    signed = third_party_invite.get("signed") if isinstance(third_party_invite, dict) else None
    if not isinstance(signed, dict):
        return Rejected("the third-party invite has nothing signed")
    # All: "If signed does not have mxid and token properties, reject."
    token = signed.get("token")
    if "mxid" not in signed or not isinstance(token, str):
        return Rejected("the third-party invite has no mxid and token")
    # All: "If mxid does not match state_key, reject."
    if signed["mxid"] != target:
        return Rejected("the third-party invite is for another user")
    # All: "If there is no m.room.third_party_invite event in the current room state with state_key matching token,
    # reject."
    promise = state.third_party_invite(token)
    if promise is None:
        return Rejected("there is no third-party invite with this token in the room")
    # All: "If sender does not match sender of the m.room.third_party_invite, reject."
    if event.sender != promise.sender:
        return Rejected("the third-party invite is another user's")
    # All: "If any signature in signed matches any public key in the m.room.third_party_invite event, allow. Otherwise,
    # reject."
    if not has_signature_by_any(signed, _public_keys(promise)):
        return Rejected("the third-party invite is not signed by a key that the room lists")
    return ALLOWED


def _public_keys(promise: Event) -> list[str]:
    """The keys in base64: "a single public key in the public_key property", "a list of public keys in public_keys"."""
    keys = [promise.content.get("public_key")]
    listed = promise.content.get("public_keys")
    if isinstance(listed, list):
        keys += [entry.get("public_key") for entry in listed if isinstance(entry, dict)]
    return [key for key in keys if isinstance(key, str)]


def _check_leave(event: Event, target: str, state: RoomState) -> Verdict:
    membership = state.membership_of(target)
    # v1-v6: "If the sender matches state_key, allow if and only if that user's current membership state is invite or
    # join." v7-: or knock.
    if event.sender == target:
        may_leave = membership in ("invite", "join") or (membership == "knock" and state.room_version.knocking)
        return ALLOWED if may_leave else Rejected("the user is not in the room")
    # All: "If the sender's current membership state is not join, reject."
    if state.membership_of(event.sender) != "join":
        return Rejected("the sender is not joined to the room")
    # All: "If the target user's current membership state is ban, and the sender's power level is less than the ban
    # level, reject."
    levels = state.power_levels
    sender_level = levels.user_power_level(event.sender)
    if membership == "ban" and sender_level < levels.ban:
        return Rejected("the sender may not unban")
    # All: "If the sender's power level is greater than or equal to the kick level, and the target user's power level is
    # less than the sender's power level, allow. Otherwise, reject."
    if sender_level >= levels.kick and levels.user_power_level(target) < sender_level:
        return ALLOWED
    return Rejected("the sender may not kick this user")


def _check_ban(event: Event, target: str, state: RoomState) -> Verdict:
    # All: "If the sender's current membership state is not join, reject."
    if state.membership_of(event.sender) != "join":
        return Rejected("the sender is not joined to the room")
    # All: "If the sender's power level is greater than or equal to the ban level, and the target user's power level is
    # less than the sender's power level, allow. Otherwise, reject."
    levels = state.power_levels
    sender_level = levels.user_power_level(event.sender)
    if sender_level >= levels.ban and levels.user_power_level(target) < sender_level:
        return ALLOWED
    return Rejected("the sender may not ban this user")


def _check_knock(event: Event, target: str, state: RoomState) -> Verdict:
    # v7-v9: "If the join_rule is anything other than knock, reject." v10-: or knock_restricted.
    join_rule = state.join_rule
    if join_rule != "knock" and not (join_rule == "knock_restricted" and state.room_version.knock_restricted_joins):
        return Rejected("the room does not take knocks")
    # v7-: "If sender does not match state_key, reject."
    if event.sender != target:
        return Rejected("nobody can knock for another user")
    # v7-: "If the sender's current membership is not ban, invite, or join, allow. Otherwise, reject."
    if state.membership_of(target) in ("ban", "invite", "join"):
        return Rejected("the user is banned, invited or joined")
    return ALLOWED


_CHECKS: Final[Mapping[str, Callable[[Event, str, RoomState], Verdict]]] = {
    "join": _check_join,
    "invite": _check_invite,
    "leave": _check_leave,
    "ban": _check_ban,
    "knock": _check_knock,
}
