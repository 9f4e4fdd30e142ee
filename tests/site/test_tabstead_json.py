"""`tabstead.json`: what the owner of a site may say, what is answered to a slip, and that its document is complete."""

import json
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from tabstead_edge.configuration import SiteSettings, parse_settings

from tabstead.configuration import Configuration
from tabstead.errors import InvalidConfiguration

DOCUMENT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8").partition("in a tab")[2]


def configured(text: str) -> Configuration:
    return parse_settings(text).build_configuration(server_name="here.test", base_url="https://here.test")


def test_nothing_needs_to_be_said() -> None:
    configuration = configured("{}")
    assert configuration.server_name == "here.test"
    assert configuration.base_url == "https://here.test"
    assert configuration.registration.open
    assert not configuration.rate_limits.enabled
    assert configuration.sync_timeout_cap_ms == 25_000, "the browser kills an idle worker after 30 seconds"


def test_what_is_said_holds() -> None:
    configuration = configured(
        '{"base_url": "https://there.test", "registration": {"open": false, "guests": true},'
        ' "rate_limits": {"enabled": true}, "media": {"max_upload_bytes": 1000}}'
    )
    assert configuration.base_url == "https://there.test"
    assert not configuration.registration.open
    assert configuration.registration.guests
    assert configuration.rate_limits.enabled
    assert configuration.max_upload_bytes == 1000


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"server_nme": "a"}', "tabstead.json: server_nme is not an option. Did you mean server_name?"),
        ('{"server_name": 3}', "tabstead.json: server_name must be a string, not 3."),
        ('{"server_name": "no name"}', "tabstead.json: server_name must be a host name, with or without a port."),
        ('{"registration": {"open": "yes"}}', "tabstead.json: registration.open must be true or false, not 'yes'."),
        ('{"registration": {"shared_secret": "x"}}', "tabstead.json: registration.shared_secret is not an option."),
        ('{"media": 5}', "tabstead.json: media must be a table, not 5."),
        ('{"media": {"max_upload_bytes": 0}}', "tabstead.json: media.max_upload_bytes must be more than 0."),
        ("[]", "tabstead.json: All of it must be a table, not []."),
    ],
)
def test_a_slip_is_said_with_its_path(text: str, problem: str) -> None:
    with pytest.raises(InvalidConfiguration, match=re.escape(problem)):
        parse_settings(text)


def options(kind: type[Any] = SiteSettings, path: str = "") -> set[str]:
    """Every key of the file, as a dotted path."""
    found: set[str] = set()
    for option in fields(kind):
        option_type = get_type_hints(kind)[option.name]
        nested = isinstance(option_type, type) and is_dataclass(option_type)
        found |= options(option_type, f"{option.name}.") if nested else {path + option.name}
    return found


def test_the_document_lists_every_option_and_no_other() -> None:
    documented = re.findall(r"^\| `([a-z_.]+)` \|", DOCUMENT, re.MULTILINE)
    assert sorted(documented) == sorted(options())


def test_the_documents_example_is_valid() -> None:
    example = re.search(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    assert example
    assert parse_settings(example[1]).server_name == json.loads(example[1])["server_name"]
