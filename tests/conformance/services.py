"""What the server offers beside rooms: media, discovery, calls, bridges."""

from typing import Final

from conformance.cases import Case, Table, ok, refused, with_method, without_token
from conformance.world import PICTURE

SMALL: Final = {"width": 32, "height": 32}
PAGE: Final = {"url": "https://page.example/"}
PNG: Final = {"content-type": "image/png"}
NOTHING: Final = "nothing"

MEDIA: Final[Table] = {
    "uploadContent": Case(
        good=ok(PICTURE, headers=PNG, query={"filename": "red.png"}),
        bad=refused(413, "M_TOO_LARGE", bytes(100_001)),
    ),
    "createContent": Case(good=ok(remember="content_uri"), bad=without_token()),
    "uploadContentToMXC": Case(
        good=ok(PICTURE, headers=PNG, after="createContent", mediaId="{content_uri}"),
        bad=refused(409, "M_CANNOT_OVERWRITE_MEDIA", PICTURE),
    ),
    "getContentAuthed": Case(good=ok(), bad=refused(404, "M_NOT_FOUND", mediaId=NOTHING)),
    "getContentOverrideNameAuthed": Case(good=ok(), bad=refused(404, "M_NOT_FOUND", mediaId=NOTHING)),
    "getContentThumbnailAuthed": Case(good=ok(query=SMALL), bad=refused(400, "M_MISSING_PARAM", query={"width": 32})),
    "getUrlPreviewAuthed": Case(good=ok(query=PAGE), bad=refused(400, "M_MISSING_PARAM")),
    "getConfigAuthed": Case(good=ok(), bad=without_token()),
    "getContent": Case(good=ok(), bad=refused(404, "M_NOT_FOUND", who="nobody")),
    "getContentOverrideName": Case(good=ok(), bad=refused(404, "M_NOT_FOUND", who="nobody")),
    "getContentThumbnail": Case(good=ok(query=SMALL), bad=refused(404, "M_NOT_FOUND", who="nobody", query=SMALL)),
    "getUrlPreview": Case(good=ok(query=PAGE), bad=refused(400, "M_MISSING_PARAM")),
    "getConfig": Case(good=ok(), bad=without_token()),
}

DISCOVERY: Final[Table] = {
    "getVersions": Case(good=ok(who="nobody"), bad=with_method("POST")),
    "getCapabilities": Case(good=ok(), bad=without_token()),
    "getWellknown": Case(good=ok(who="nobody"), bad=with_method("POST")),
    "getWellknownSupport": Case(good=ok(who="nobody"), bad=with_method("POST")),
    "getWellknownPolicy": Case(good=ok(who="nobody"), bad=with_method("POST")),
    "getTurnServer": Case(good=ok(), bad=without_token()),
}

BRIDGES: Final[Table] = {
    "pingAppservice": Case(good=refused(403, "M_FORBIDDEN", {}), bad=refused(401, "M_MISSING_TOKEN", {}, who="nobody")),
    "getProtocols": Case(good=ok(), bad=without_token()),
    "getProtocolMetadata": Case(good=refused(404, "M_NOT_FOUND"), bad=without_token()),
    "queryLocationByProtocol": Case(good=refused(404, "M_NOT_FOUND"), bad=without_token()),
    "queryUserByProtocol": Case(good=refused(404, "M_NOT_FOUND"), bad=without_token()),
    "queryLocationByAlias": Case(
        good=refused(404, "M_NOT_FOUND", query={"alias": "{alias}"}), bad=refused(400, "M_MISSING_PARAM")
    ),
    "queryUserByID": Case(
        good=refused(404, "M_NOT_FOUND", query={"userid": "@alice:tab.test"}), bad=refused(400, "M_MISSING_PARAM")
    ),
}
"""No application service is connected: nothing can be found, and nobody is one."""

SERVICES: Final[Table] = {**MEDIA, **DISCOVERY, **BRIDGES}
