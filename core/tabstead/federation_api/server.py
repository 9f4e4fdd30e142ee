"""What software this is. Server-server API, § Server Implementation."""

from importlib.metadata import PackageNotFoundError, version

from tabstead.federation_api.call import FederationCall
from tabstead.federation_api.routes import Routes
from tabstead.http import Response, json_response
from tabstead.storage.database import Db

routes = Routes()


@routes.read("GET", "/_matrix/federation/v1/version", is_signed=False)
def get_version(call: FederationCall, db: Db) -> Response:
    """GET /_matrix/federation/v1/version. § Server Implementation."""
    return json_response({"server": {"name": "Tabstead", "version": _version()}})


def _version() -> str:
    try:
        return version("tabstead")
    except PackageNotFoundError:  # where the sources alone are, as in a worker
        return "unknown"
