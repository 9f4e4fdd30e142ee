"""Which servers an ACL lets into a room."""

from typing import Any

import pytest

from tabstead.protocol.server_acls import is_server_allowed


@pytest.mark.parametrize(
    ("content", "allowed", "denied"),
    [
        ({"allow": ["*"]}, ["tab.test", "1.2.3.4", "[::1]:8448"], []),
        ({}, [], ["tab.test"]),
        (
            {"allow": ["*"], "deny": ["evil.test", "*.evil.test"]},
            ["tab.test"],
            ["evil.test:8448", "EVIL.test", "x.evil.test"],
        ),
        ({"allow": ["*.tab.test", "tab?.test"]}, ["a.tab.test", "tabs.test"], ["tab.test", "tabsy.test"]),
        ({"allow": ["*"], "allow_ip_literals": False}, ["tab.test"], ["1.2.3.4:80", "[::1]"]),
        ({"allow": ["*"], "allow_ip_literals": "no"}, ["1.2.3.4"], []),
        ({"allow": "tab.test"}, [], ["tab.test"]),
        ({"allow": [3, "tab.test"], "deny": [None]}, ["tab.test"], []),
    ],
)
def test_acls(content: dict[str, Any], allowed: list[str], denied: list[str]) -> None:
    assert [server for server in (*allowed, *denied) if is_server_allowed(server, content)] == allowed
