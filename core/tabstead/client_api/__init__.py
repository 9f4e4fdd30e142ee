"""The Client-Server API: one module per section of the specification.

An endpoint parses, calls one function of the layers below and shapes the answer; no SQL, no rules. Its docstring begins
with the method and the path, then the section of the specification.
"""

from tabstead.client_api import account, login, media, register, server
from tabstead.client_api.routes import Routes

ROUTES: tuple[Routes, ...] = (
    server.routes,
    register.routes,
    login.routes,
    account.routes,
    media.routes,
)
"""Every module's endpoints."""
