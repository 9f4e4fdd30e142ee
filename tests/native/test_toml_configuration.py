"""The configuration file: what it may say, what it is told when it is wrong, and that its document is complete."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from tabstead.native.toml_configuration import InvalidConfiguration, Settings, parse_settings, read_settings

FOLDER = Path("/etc/tabstead")
DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"


def parse(text: str) -> Settings:
    return parse_settings(text, folder=FOLDER)


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidConfiguration) as caught:
        parse(text)
    return caught.value.problems


def test_a_server_name_is_enough() -> None:
    settings = parse('server_name = "example.org"')
    configuration = settings.build_configuration()
    assert settings.listen.chosen_http_port == 8008
    assert configuration.base_url == "https://example.org"
    assert not configuration.registration.open, "strangers can't register unless the operator says so"
    assert configuration.rate_limits.enabled


def test_paths_start_at_the_files_folder() -> None:
    settings = parse('server_name = "a"\n[database]\npath = "data/t.db"')
    assert settings.database.path == FOLDER / "data/t.db"
    assert parse('server_name = "a"').database.path == FOLDER / "tabstead.db"
    assert parse('server_name = "a"\n[database]\npath = "/srv/t.db"').database.path == Path("/srv/t.db")


def test_https_alone_opens_no_plain_port() -> None:
    listen = parse(
        'server_name = "a"\n[listen]\nhttps_port = 8448\ntls_certificate = "c.pem"\ntls_key = "k.pem"'
    ).listen
    assert listen.chosen_http_port is None
    assert listen.tls_certificate == FOLDER / "c.pem"


def test_other_servers_are_talked_with_unless_the_file_says_otherwise() -> None:
    assert parse('server_name = "a"').federation.enabled
    text = 'server_name = "a"\n[federation]\nblocked_servers = ["b"]\ncertificate_authorities = "ca.pem"'
    settings = parse(text)
    assert settings.federation.certificate_authorities == FOLDER / "ca.pem"
    federation = settings.build_configuration().federation
    assert (federation.allows("b"), federation.allows("c")) == (False, True)
    only = parse('server_name = "a"\n[federation]\nallowed_servers = ["b"]').build_configuration().federation
    assert (only.allows("b"), only.allows("c")) == (True, False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "server_name is missing."),
        ("server_name = 3", "server_name must be a string, not 3."),
        ('server_name = "no domain"', "server_name must be a host name, with or without a port."),
        ('server_name = "a"\nserver_nme = "b"', "server_nme is not an option. Did you mean server_name?"),
        (
            'server_name = "a"\n[listen]\nhtp_port = 1',
            "listen.htp_port is not an option. Did you mean listen.http_port?",
        ),
        ('server_name = "a"\n[listen]\nhttp_port = "1"', "listen.http_port must be an integer, not '1'."),
        ('server_name = "a"\n[listen]\nhttp_port = true', "listen.http_port must be an integer, not True."),
        ('server_name = "a"\n[listen]\nhttp_port = 65536', "listen.http_port must be between 0 and 65535."),
        (
            'server_name = "a"\n[listen]\nhttps_port = 1',
            "listen.https_port needs listen.tls_certificate and listen.tls_key.",
        ),
        ('server_name = "a"\n[registration]\nopen = 1', "registration.open must be true or false, not 1."),
        ('server_name = "a"\n[registration]\nshared_secret = ""', "registration.shared_secret must not be empty."),
        ('server_name = "a"\ndatabase = "x.db"', "database must be a table, not 'x.db'."),
        ('server_name = "a"\n[media]\nmax_upload_bytes = 0', "media.max_upload_bytes must be more than 0."),
        ('server_name = "a"\n[email]\nsmtp_host = "b"', "email.smtp_host needs email.sender."),
        ('server_name = "a"\n[email]\nsecurity = "ssl"', 'email.security must be "starttls", "tls" or "none".'),
        (
            'server_name = "a"\n[registration]\nrequires_email = true',
            "registration.requires_email needs email.smtp_host.",
        ),
        (
            'server_name = "a"\n[[registration.terms]]\nid = "b"\nversion = "1"\nname = "c"',
            "registration.terms[0].url is missing.",
        ),
        (
            'server_name = "a"\n[outbound]\nallowed_networks = ["10.0.0.0/40"]',
            'outbound.allowed_networks must be networks such as "10.0.0.0/8".',
        ),
        ('server_name = "a"\n[outbound]\nallowed_networks = "x"', "outbound.allowed_networks must be a list, not 'x'."),
        (
            'server_name = "a"\n[outbound]\nallowed_networks = ["::1/128", 3]',
            "outbound.allowed_networks[1] must be a string, not 3.",
        ),
        ('server_name = "a"\nappservices = 1', "appservices must be a table, not 1."),
        (
            'server_name = "a"\n[federation]\nblocked_servers = ["https://b"]',
            "federation: address, key_servers, allowed_servers and blocked_servers must be server names.",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_path(text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert len(problems('colour = "red"\n[listen]\nhost = 1\n[registration]\nguests = "no"')) == 4


def test_broken_toml_and_a_missing_file_are_problems_too(tmp_path: Path) -> None:
    assert problems("server_name = ")[0].startswith("This is not TOML")
    with pytest.raises(InvalidConfiguration, match=re.escape("none.toml can't be read")):
        read_settings(tmp_path / "none.toml")


def test_reserved_tables_may_hold_anything() -> None:
    settings = parse('server_name = "a"\n[appservices.irc]\nurl = "x"')
    assert settings.appservices == {"irc": {"url": "x"}}


def options(kind: type[Any] = Settings, path: str = "") -> set[str]:
    """Every key of the file, as a dotted path."""
    found: set[str] = set()
    for option in fields(kind):
        option_type = get_type_hints(kind)[option.name]
        item_type = get_args(option_type)[0] if get_origin(option_type) is tuple else option_type
        nested = isinstance(item_type, type) and is_dataclass(item_type)
        if nested:
            found |= options(item_type, f"{path}{option.name}.")
        if not nested or item_type is not option_type:
            found.add(path + option.name)
    return found


def test_the_document_lists_every_option_and_no_other() -> None:
    native = DOCUMENT.read_text("utf-8").partition("## The server in a tab")[0]
    documented = re.findall(r"^\| `([a-z_.]+)` \|", native, re.MULTILINE)
    assert sorted(documented) == sorted(options())


def test_the_documents_example_is_valid() -> None:
    example = re.search(r"```toml\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert example
    assert parse(example[1]).listen.https_port == 8448
