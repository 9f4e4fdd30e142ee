"""The tables of Dendrite 0.4.0's roomserver in SQLite."""

from typing import Final

SCHEMA: Final = """
CREATE TABLE roomserver_event_types (
    event_type_nid INTEGER PRIMARY KEY AUTOINCREMENT, event_type TEXT NOT NULL UNIQUE);
INSERT INTO roomserver_event_types VALUES (1, 'm.room.create'), (2, 'm.room.power_levels'), (3, 'm.room.join_rules'),
    (4, 'm.room.third_party_invite'), (5, 'm.room.member'), (6, 'm.room.redaction'), (7, 'm.room.history_visibility');
CREATE TABLE roomserver_event_state_keys (
    event_state_key_nid INTEGER PRIMARY KEY AUTOINCREMENT, event_state_key TEXT NOT NULL UNIQUE);
INSERT INTO roomserver_event_state_keys VALUES (1, '');
CREATE TABLE roomserver_events (
    event_nid INTEGER PRIMARY KEY AUTOINCREMENT, room_nid INTEGER NOT NULL, event_type_nid INTEGER NOT NULL,
    event_state_key_nid INTEGER NOT NULL, sent_to_output BOOLEAN NOT NULL DEFAULT FALSE,
    state_snapshot_nid INTEGER NOT NULL DEFAULT 0, depth INTEGER NOT NULL, event_id TEXT NOT NULL UNIQUE,
    reference_sha256 BLOB NOT NULL, auth_event_nids TEXT NOT NULL DEFAULT '[]',
    is_rejected BOOLEAN NOT NULL DEFAULT FALSE);
CREATE TABLE roomserver_event_json (event_nid INTEGER NOT NULL PRIMARY KEY, event_json TEXT NOT NULL);
CREATE TABLE roomserver_previous_events (
    previous_event_id TEXT NOT NULL, previous_reference_sha256 BLOB, event_nids TEXT NOT NULL,
    UNIQUE (previous_event_id, previous_reference_sha256));
CREATE TABLE roomserver_rooms (
    room_nid INTEGER PRIMARY KEY AUTOINCREMENT, room_id TEXT NOT NULL UNIQUE,
    latest_event_nids TEXT NOT NULL DEFAULT '[]', last_event_sent_nid INTEGER NOT NULL DEFAULT 0,
    state_snapshot_nid INTEGER NOT NULL DEFAULT 0, room_version TEXT NOT NULL);
CREATE TABLE roomserver_room_aliases (
    alias TEXT NOT NULL PRIMARY KEY, room_id TEXT NOT NULL, creator_id TEXT NOT NULL);
CREATE INDEX roomserver_room_id_idx ON roomserver_room_aliases (room_id);
CREATE TABLE roomserver_redactions (
    redaction_event_id TEXT PRIMARY KEY, redacts_event_id TEXT NOT NULL, validated BOOLEAN NOT NULL);
CREATE TABLE roomserver_membership (
    room_nid INTEGER NOT NULL, target_nid INTEGER NOT NULL, sender_nid INTEGER NOT NULL DEFAULT 0,
    membership_nid INTEGER NOT NULL DEFAULT 1, event_nid INTEGER NOT NULL DEFAULT 0,
    target_local BOOLEAN NOT NULL DEFAULT false, forgotten BOOLEAN NOT NULL DEFAULT false,
    UNIQUE (room_nid, target_nid));
CREATE TABLE roomserver_invites (
    invite_event_id TEXT PRIMARY KEY, room_nid INTEGER NOT NULL, target_nid INTEGER NOT NULL,
    sender_nid INTEGER NOT NULL DEFAULT 0, retired BOOLEAN NOT NULL DEFAULT FALSE, invite_event_json TEXT NOT NULL);
CREATE INDEX roomserver_invites_active_idx ON roomserver_invites (target_nid, room_nid) WHERE NOT retired;
CREATE TABLE roomserver_transactions (
    transaction_id TEXT NOT NULL, session_id INTEGER NOT NULL, user_id TEXT NOT NULL, event_id TEXT NOT NULL,
    PRIMARY KEY (transaction_id, session_id, user_id));
CREATE TABLE roomserver_published (room_id TEXT NOT NULL PRIMARY KEY, published BOOLEAN NOT NULL DEFAULT false);
CREATE TABLE roomserver_state_snapshots (
    state_snapshot_nid INTEGER PRIMARY KEY AUTOINCREMENT, state_snapshot_hash BLOB UNIQUE, room_nid INTEGER NOT NULL,
    state_block_nids TEXT NOT NULL DEFAULT '[]');
CREATE TABLE roomserver_state_block (
    state_block_nid INTEGER PRIMARY KEY AUTOINCREMENT, state_block_hash BLOB UNIQUE,
    event_nids TEXT NOT NULL DEFAULT '[]');
"""
