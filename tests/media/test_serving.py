"""Headers of served media, and ranges."""

import pytest

from tabstead.media.serving import (
    ByteRange,
    build_media_headers,
    clean_content_type,
    clean_filename,
    entity_tag,
    find_range,
    is_cached,
)

SHA256 = bytes(range(32))


def disposition(content_type: str, filename: str | None = None) -> str:
    return build_media_headers(SHA256, content_type, filename)["content-disposition"]


def test_the_recommended_policies_are_sent() -> None:
    headers = build_media_headers(SHA256, "image/png", None)
    assert headers["content-security-policy"] == (
        "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; "
        "style-src 'unsafe-inline'; object-src 'self';"
    )
    assert headers["cross-origin-resource-policy"] == "cross-origin"


@pytest.mark.parametrize("content_type", ["image/png", "IMAGE/PNG", "text/plain; charset=utf-8", "video/mp4"])
def test_listed_types_are_shown_in_place(content_type: str) -> None:
    assert disposition(content_type) == "inline"


@pytest.mark.parametrize("content_type", ["text/html", "image/svg+xml", "application/pdf", "text/html; a=image/png"])
def test_all_other_types_are_attachments(content_type: str) -> None:
    assert disposition(content_type) == "attachment"


@pytest.mark.parametrize("content_type", ["text/javascript", "Application/X-JavaScript; a=b", "text/jscript1.1"])
def test_a_script_is_given_out_as_bytes(content_type: str) -> None:
    assert build_media_headers(SHA256, content_type, None)["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("filename", "parameter"),
    [
        ("cat.png", 'filename="cat.png"'),
        ('a "b" \\c', 'filename="a \\"b\\" \\\\c"'),
        ("Käse.png", "filename*=utf-8''K%C3%A4se.png"),
    ],
)
def test_a_file_name_is_quoted_or_encoded(filename: str, parameter: str) -> None:
    assert disposition("image/png", filename) == f"inline; {parameter}"


def test_a_file_name_can_not_break_out_of_its_header() -> None:
    assert clean_filename("a\r\nSet-Cookie: b\x00\ud800") == "aSet-Cookie: b"
    assert clean_filename("\r\n") is None
    assert clean_filename(None) is None


@pytest.mark.parametrize("claimed", [None, "", "png", "image/", "a/b\r\nx: y", "a/" + "b" * 300, "text/plain\u00e9"])
def test_a_content_type_that_is_none_becomes_octets(claimed: str | None) -> None:
    assert clean_content_type(claimed) == "application/octet-stream"


def test_a_valid_content_type_is_kept() -> None:
    assert clean_content_type("text/plain; charset=utf-8") == "text/plain; charset=utf-8"


def test_what_a_client_has_is_told_by_its_tag() -> None:
    tag = entity_tag(SHA256)
    assert is_cached({"if-none-match": f'"other", W/{tag}'}, SHA256)
    assert is_cached({"if-none-match": "*"}, SHA256)
    assert not is_cached({"if-none-match": '"other"'}, SHA256)
    assert not is_cached({}, SHA256)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bytes=0-9", ByteRange(start=0, end=10)),
        ("bytes=90-", ByteRange(start=90, end=100)),
        ("bytes=90-500", ByteRange(start=90, end=100)),
        ("bytes=-5", ByteRange(start=95, end=100)),
        ("bytes=-500", ByteRange(start=0, end=100)),
        ("bytes=100-", ByteRange(start=100, end=100)),
        ("bytes=-0", ByteRange(start=100, end=100)),
        ("bytes=9-3", None),
        ("bytes=-", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("", None),
    ],
)
def test_one_range_is_understood(text: str, found: ByteRange | None) -> None:
    assert find_range({"range": text}, SHA256, 100) == found


def test_a_range_of_something_else_is_all_of_this() -> None:
    assert find_range({"range": "bytes=0-1", "if-range": '"other"'}, SHA256, 100) is None
    assert find_range({"range": "bytes=0-1", "if-range": entity_tag(SHA256)}, SHA256, 100) is not None
