"""Hashing and verifying passwords."""

import subprocess
import sys

import pytest

from tabstead.accounts.passwords import hash_password, is_password
from tabstead.errors import InvalidParam, WeakPassword


def test_a_hash_names_its_algorithm_and_cost_and_is_salted() -> None:
    one, other = hash_password("rosebud"), hash_password("rosebud")
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != other
    assert is_password("rosebud", one) and is_password("rosebud", other)


@pytest.mark.parametrize("wrong", ["", "Rosebud", "rosebud ", "rosebud\0", "x" * 5000])
def test_nothing_but_the_password_matches(wrong: str) -> None:
    assert not is_password(wrong, hash_password("rosebud"))


@pytest.mark.parametrize("password", ["пароль", "🦎", "a\0b", "\ud800", "x" * 4096])
def test_any_text_may_be_a_password(password: str) -> None:
    hashed = hash_password(password)
    assert is_password(password, hashed)
    assert not is_password(password + "x", hashed)


def test_without_a_hash_nothing_matches() -> None:
    assert not is_password("rosebud", None)
    assert not is_password("", None)


def test_an_empty_and_an_endless_password_are_refused() -> None:
    with pytest.raises(WeakPassword):
        hash_password("")
    with pytest.raises(InvalidParam):
        hash_password("ü" * 2049)


def test_pynacl_is_not_loaded_before_it_is_needed() -> None:
    """A worker that wakes up for /sync should not pay for it."""
    code = "import sys, tabstead.homeserver; print(sorted({'nacl', 'cffi', 'signedjson'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_bcrypt_hash_from_another_server_still_holds() -> None:
    hashed = "$2a$04$uFx7uc8IvRotd6K2kmG/jeO0GhiZzQWP/FyRSZHSSFauZAhFbR0L2"
    assert is_password("correct horse", hashed)
    assert not is_password("battery staple", hashed)
    assert not is_password("x" * 5000, hashed)
    assert not is_password("correct horse", hashed[:40])


def test_without_bcrypt_nothing_matches_its_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bcrypt", None)
    assert not is_password("correct horse", "$2a$04$uFx7uc8IvRotd6K2kmG/jeO0GhiZzQWP/FyRSZHSSFauZAhFbR0L2")
