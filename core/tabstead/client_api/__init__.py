"""The Client-Server API: one module per section of the specification.

An endpoint parses, calls one function of the layers below and shapes the answer; no SQL, no rules. Its docstring begins
with the method and the path, then the section of the specification.
"""

from tabstead.client_api import (
    account,
    account_data,
    admin_register,
    devices,
    directory,
    filters,
    key_backup,
    keys,
    login,
    media,
    membership,
    notifications,
    presence,
    profile,
    push_rules,
    receipts,
    register,
    relations,
    room_events,
    room_history,
    room_state,
    rooms,
    server,
    sync,
    tags,
    to_device,
    typing,
)
from tabstead.client_api.routes import Routes

ROUTES: tuple[Routes, ...] = (
    server.routes,
    register.routes,
    login.routes,
    account.routes,
    devices.routes,
    profile.routes,
    keys.routes,
    key_backup.routes,
    admin_register.routes,
    media.routes,
    filters.routes,
    account_data.routes,
    tags.routes,
    receipts.routes,
    typing.routes,
    presence.routes,
    push_rules.routes,
    notifications.routes,
    to_device.routes,
    sync.routes,
    rooms.routes,
    membership.routes,
    room_events.routes,
    room_state.routes,
    room_history.routes,
    relations.routes,
    directory.routes,
)
"""Every module's endpoints."""
