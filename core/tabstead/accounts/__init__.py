"""Users, access tokens, devices and profiles of this server."""
