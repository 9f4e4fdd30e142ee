"""Whether a room state allows an event: the authorisation rules but the one about `auth_events`.

The same rules are used against the state that the auth events make, the state before the event, the current state, and
inside of state resolution. They are asked in the specification's order; the first that decides, decides.
Signatures were checked before (`signatures.check_event_signatures`).
(page of each room version, "Authorisation rules")
"""

from tabstead.protocol.auth_rules.membership import check_membership
from tabstead.protocol.auth_rules.power_levels import check_power_levels_change, check_power_levels_content
from tabstead.protocol.auth_rules.room_state import RoomState, StateEvents, creators_of
from tabstead.protocol.auth_rules.verdict import ALLOWED, Rejected, Verdict
from tabstead.protocol.events.event import Event
from tabstead.protocol.events.hashes import room_id_of
from tabstead.protocol.identifiers import find_server_name_of, is_user_id
from tabstead.protocol.room_versions import ROOM_VERSIONS, RoomVersion


def check_event_auth(event: Event, auth_state: StateEvents, room_version: RoomVersion) -> Verdict:
    """The verdict of the rules on an event in a room with this state.

    Of the state only what `select_auth_event_types` names is looked at, and the create event, which must always be
    there, also where auth events do not name it.
    """
    if event.type == "m.room.create":
        return _check_create(event, room_version)
    state = RoomState(auth_state, room_version)
    create = state.create
    if create is None:
        return Rejected("there is no create event in the room state")
    # v12-: "If the event's room_id is not an event ID for an accepted m.room.create event, with the sigil ! instead of
    # $, reject."
    if room_version.room_id_is_create_hash and event.room_id != room_id_of(create.event_id):
        return Rejected("the room ID is not that of the create event")
    # All: "If the content of the m.room.create event in the room state has the property m.federate set to false, and
    # the sender domain of the event does not match the sender domain of the create event, reject."
    if create.content.get("m.federate") is False and _domain(event.sender) != _domain(create.sender):
        return Rejected("the room is not federated and the sender is on another server")
    # v1-v5: m.room.aliases have a rule of their own.
    if event.type == "m.room.aliases" and room_version.special_aliases_rule:
        return _check_aliases(event)
    if event.type == "m.room.member":
        return check_membership(event, state, create)
    return _check_other(event, state, create)


def _check_other(event: Event, state: RoomState, create: Event) -> Verdict:
    """The rules for everything that only a joined member may send."""
    room_version = state.room_version
    # All: "If the sender's current membership state is not join, reject."
    if state.membership_of(event.sender) != "join":
        return Rejected("the sender is not joined to the room")
    levels = state.power_levels
    sender_level = levels.user_power_level(event.sender)
    # All: "If type is m.room.third_party_invite: allow if and only if sender's current power level is greater than or
    # equal to the invite level."
    if event.type == "m.room.third_party_invite":
        return ALLOWED if sender_level >= levels.invite else Rejected("the sender may not invite")
    # All: "If the event type's required power level is greater than the sender's power level, reject."
    required = levels.event_power_level_required(event.type, is_state=event.is_state)
    if required > sender_level:
        return Rejected(f"sending {event.type} needs power level {required}, the sender has {sender_level}")
    # All: "If the event has a state_key that starts with an @ and does not match the sender, reject."
    if event.state_key is not None and event.state_key.startswith("@") and event.state_key != event.sender:
        return Rejected("the state key is another user's ID")
    if event.type == "m.room.power_levels":
        verdict = check_power_levels_content(event.content, creators_of(create, room_version), room_version)
        if verdict is not ALLOWED:
            return verdict
        return check_power_levels_change(event.content, event.sender, levels)
    # v1-v2: redactions have a rule of their own.
    if event.type == "m.room.redaction" and room_version.redaction_rule:
        return _check_redaction(event, may_redact_others=sender_level >= levels.redact)
    # All: "Otherwise, allow."
    return ALLOWED


def _check_create(event: Event, room_version: RoomVersion) -> Verdict:
    # All: "If it has any prev_events, reject."
    if event.prev_events:
        return Rejected("a create event has no prev_events")
    if room_version.room_id_is_create_hash:
        # v12-: "If the event has a room_id, reject."
        if "room_id" in event.pdu:
            return Rejected("a create event has no room_id in this room version")
    # v1-v11: "If the domain of the room_id does not match the domain of the sender, reject."
    elif find_server_name_of(event.room_id) != _domain(event.sender):
        return Rejected("the room ID is not of the sender's server")
    # All: "If content.room_version is present and is not a recognised version, reject."
    named_version = event.content.get("room_version", room_version.name)
    if not isinstance(named_version, str) or named_version not in ROOM_VERSIONS:
        return Rejected("the room version is not recognised")
    # v1-v10: "If content has no creator property, reject."
    if room_version.creator_in_content and "creator" not in event.content:
        return Rejected("content has no creator")
    # v12-: "If additional_creators is present in content and is not an array of strings where each string passes the
    # same user ID validation applied to sender, reject."
    if room_version.privileged_creators and not _is_user_ids(event.content.get("additional_creators", [])):
        return Rejected("additional_creators is not an array of user IDs")
    # All: "Otherwise, allow."
    return ALLOWED


def _check_aliases(event: Event) -> Verdict:
    # v1-v5: "If event has no state_key, reject."
    if event.state_key is None:
        return Rejected("aliases have a state key")
    # v1-v5: "If sender's domain doesn't match state_key, reject. Otherwise, allow."
    if _domain(event.sender) != event.state_key:
        return Rejected("the aliases are another server's")
    return ALLOWED


def _check_redaction(event: Event, *, may_redact_others: bool) -> Verdict:
    # v1-v2: "If the sender's power level is greater than or equal to the redact level, allow."
    if may_redact_others:
        return ALLOWED
    # v1-v2: "If the domain of the event_id of the event being redacted is the same as the domain of the event_id of the
    # m.room.redaction, allow. Otherwise, reject."
    if event.redacts is not None and _domain(event.redacts) == _domain(event.event_id):
        return ALLOWED
    return Rejected("the sender may not redact events of another server")


def _is_user_ids(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(user_id, str) and is_user_id(user_id) for user_id in value)


def _domain(identifier: str) -> str | None:
    return find_server_name_of(identifier)
