"""The OAuth 2.0 API, served by the homeserver itself. Client-Server API, § OAuth 2.0 API

What programs call is here; the pages that people see are in `tabstead.client_api.web`.
"""
