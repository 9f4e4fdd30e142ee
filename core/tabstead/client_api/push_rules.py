"""What the user wants to be notified of. Client-Server API, § Push Rules: API."""

from tabstead.client_api.call import Call
from tabstead.client_api.routes import Routes
from tabstead.errors import InvalidParam, NotFound
from tabstead.http import Response, json_response
from tabstead.protocol.canonical_json import JsonDict
from tabstead.protocol.push_rules import (
    POSTCONTENT,
    PUSH_RULE_KINDS,
    find_rule,
    parse_push_rule,
    with_actions,
    with_enabled,
    with_rule,
    without_rule,
)
from tabstead.storage.database import Db
from tabstead.streams.push_rules import read_rules, read_ruleset, update_ruleset

routes = Routes()

_ALL = "/_matrix/client/v3/pushrules/"
_GLOBAL = "/_matrix/client/v3/pushrules/global/"
_RULE = _GLOBAL + "{kind}/{ruleId}"


# The specification has these two with a trailing slash; clients ask without, too.
@routes.read("GET", _ALL, _ALL.rstrip("/"))
def get_push_rules(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/pushrules/. § Push Rules: API."""
    return json_response(read_rules(db, call.user_id))


@routes.read("GET", _GLOBAL, _GLOBAL.rstrip("/"))
def get_global_push_rules(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/pushrules/global/. § Push Rules: API."""
    return json_response(read_ruleset(db, call.user_id))


@routes.read("GET", _RULE)
def get_push_rule(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}. § Push Rules: API."""
    return json_response(_get_rule(call, db))


@routes.write("PUT", _RULE)
def set_push_rule(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}. § Push Rules: API."""
    kind = call.parameter("kind")
    rule = parse_push_rule(kind, call.parameter("ruleId"), call.body().values_dict)
    before, after = call.query.get("before"), call.query.get("after")
    update_ruleset(db, call.user_id, lambda ruleset: with_rule(ruleset, kind, rule, before=before, after=after))
    return json_response({})


@routes.write("DELETE", _RULE)
def delete_push_rule(call: Call, db: Db) -> Response:
    """DELETE /_matrix/client/v3/pushrules/global/{kind}/{ruleId}. § Push Rules: API."""
    kind, rule_id = _kind(call), call.parameter("ruleId")
    update_ruleset(db, call.user_id, lambda ruleset: without_rule(ruleset, kind, rule_id))
    return json_response({})


@routes.read("GET", _RULE + "/enabled")
def get_push_rule_enabled(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled. § Push Rules: API."""
    return json_response({"enabled": _get_rule(call, db)["enabled"]})


@routes.write("PUT", _RULE + "/enabled")
def set_push_rule_enabled(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled. § Push Rules: API."""
    kind, rule_id, enabled = _kind(call), call.parameter("ruleId"), call.body().boolean("enabled")
    update_ruleset(db, call.user_id, lambda ruleset: with_enabled(ruleset, kind, rule_id, enabled=enabled))
    return json_response({})


@routes.read("GET", _RULE + "/actions")
def get_push_rule_actions(call: Call, db: Db) -> Response:
    """GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions. § Push Rules: API."""
    return json_response({"actions": _get_rule(call, db)["actions"]})


@routes.write("PUT", _RULE + "/actions")
def set_push_rule_actions(call: Call, db: Db) -> Response:
    """PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions. § Push Rules: API."""
    kind, rule_id, actions = _kind(call), call.parameter("ruleId"), call.body().array("actions")
    update_ruleset(db, call.user_id, lambda ruleset: with_actions(ruleset, kind, rule_id, actions))
    return json_response({})


def _kind(call: Call) -> str:
    kind = call.parameter("kind")
    if kind not in (*PUSH_RULE_KINDS, POSTCONTENT):
        raise InvalidParam("There is no such kind of push rules.")
    return kind


def _get_rule(call: Call, db: Db) -> JsonDict:
    rule = find_rule(read_ruleset(db, call.user_id), _kind(call), call.parameter("ruleId"))
    if rule is None:
        raise NotFound("There is no such push rule.")
    return rule
