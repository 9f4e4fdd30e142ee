"""Requests, bodies and routes."""

import pytest

from tabstead.errors import BadJson, InvalidParam, MissingParam, NotJson, Unrecognized
from tabstead.http import MAX_JSON_DEPTH, JsonObject, Query, Request, Router, parse_json


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


class TestParsingABody:
    def test_the_deepest_allowed_body_is_parsed(self) -> None:
        assert parse_json(nested(MAX_JSON_DEPTH))

    @pytest.mark.parametrize("body", [nested(MAX_JSON_DEPTH + 1), nested(100_000), b'{"a":' * 201 + b"1" + b"}" * 201])
    def test_a_deeper_one_is_refused_before_it_is_parsed(self, body: bytes) -> None:
        with pytest.raises(BadJson, match="nested deeper"):
            parse_json(body)

    def test_brackets_inside_strings_are_not_nesting(self) -> None:
        assert parse_json(b'["\\"' + b"[{" * 5000 + b'"]') == ['"' + "[{" * 5000]

    def test_many_siblings_are_not_nesting(self) -> None:
        assert len(parse_json(b"[" + b"{}," * 5000 + b"{}]")) == 5001

    @pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"\xff", b"NaN", b"[Infinity]", b"9" * 5000])
    def test_what_is_no_json_is_said_to_be_none(self, body: bytes) -> None:
        with pytest.raises(NotJson):
            parse_json(body)

    def test_a_body_must_be_an_object(self) -> None:
        with pytest.raises(BadJson, match="object"):
            Request(method="POST", path="/", body=b"[]").json_object()

    def test_an_empty_body_may_stand_for_an_empty_object(self) -> None:
        assert dict(Request(method="POST", path="/").optional_json_object()) == {}


class TestReadingFields:
    fields = JsonObject({"name": "x", "count": 3, "yes": True, "list": ["a", 1], "nothing": None})

    def test_a_missing_field_and_a_null_are_missing(self) -> None:
        for key in ("absent", "nothing"):
            with pytest.raises(MissingParam, match=key):
                self.fields.string(key)
            assert self.fields.find_string(key) is None
            assert self.fields.string(key, "default") == "default"

    def test_a_wrong_type_is_named(self) -> None:
        with pytest.raises(BadJson, match="'count' must be a string"):
            self.fields.string("count")
        with pytest.raises(BadJson, match="'yes' must be an integer"):
            self.fields.integer("yes")
        with pytest.raises(BadJson, match="array of strings"):
            self.fields.strings("list")

    def test_false_is_not_missing(self) -> None:
        assert JsonObject({"flag": False}).boolean("flag", True) is False


class TestReadingTheQuery:
    query = Query("limit=10&limit=20&bad=x&empty=&name=a%20b")

    def test_the_first_of_a_repeated_parameter_counts(self) -> None:
        assert self.query.integer("limit", 1) == 10
        assert self.query.all("limit") == ["10", "20"]

    def test_values_are_decoded(self) -> None:
        assert self.query.string("name") == "a b"

    def test_a_bad_number_is_refused(self) -> None:
        with pytest.raises(InvalidParam, match="'bad' must be an integer"):
            self.query.integer("bad", 1)
        assert self.query.integer("empty", 7) == 7


class TestTheAccessToken:
    @pytest.mark.parametrize(
        ("headers", "query", "token"),
        [
            ({"authorization": "Bearer secret"}, "", "secret"),
            ({"authorization": "bearer secret"}, "access_token=other", "secret"),
            ({}, "access_token=secret", "secret"),
            ({"authorization": "Basic secret"}, "", None),
            ({"authorization": "Bearer "}, "", None),
        ],
    )
    def test_it_is_the_headers_or_the_querys(self, headers: dict[str, str], query: str, token: str | None) -> None:
        assert Request(method="GET", path="/", headers=headers, query_string=query).access_token() == token


class TestRouting:
    @pytest.fixture
    def router(self) -> Router[str]:
        router: Router[str] = Router()
        router.add("GET", "/rooms/{roomId}/state", "all")
        router.add("GET", "/rooms/{roomId}/state/{type}", "default key")
        router.add("PUT", "/rooms/{roomId}/state/{type}/{key}", "put")
        router.add("GET", "/rooms/joined/state", "literal")
        return router

    def test_literals_win_over_parameters(self, router: Router[str]) -> None:
        assert router.match("GET", "/rooms/joined/state").endpoint == "literal"
        assert router.match("GET", "/rooms/other/state").endpoint == "all"

    def test_parameters_are_decoded_after_the_path_was_split(self, router: Router[str]) -> None:
        match = router.match("PUT", "/rooms/%21a%3Ab%2Fc/state/m.x/%40u")
        assert match.parameters == {"roomId": "!a:b/c", "type": "m.x", "key": "@u"}

    def test_an_unknown_path_is_404_and_an_unknown_method_405(self, router: Router[str]) -> None:
        with pytest.raises(Unrecognized) as unknown_path:
            router.match("GET", "/elsewhere")
        with pytest.raises(Unrecognized) as unknown_method:
            router.match("POST", "/rooms/a/state")
        assert (unknown_path.value.status, unknown_method.value.status) == (404, 405)

    def test_a_route_declared_twice_is_a_bug(self, router: Router[str]) -> None:
        with pytest.raises(ValueError, match="twice"):
            router.add("GET", "/rooms/{roomId}/state", "again")
