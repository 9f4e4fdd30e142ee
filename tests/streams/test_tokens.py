"""Tokens survive their encoding, and nothing else is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabstead.errors import InvalidParam
from tabstead.streams.tokens import SyncToken, encode_timeline_token, parse_sync_token, parse_timeline_token

positions = st.integers(0, 2**53)


@given(position=positions, ephemeral=positions, to_device=positions, rooms=st.frozensets(positions, max_size=3))
def test_sync_tokens_are_read_as_they_were_written(
    position: int, ephemeral: int, to_device: int, rooms: frozenset[int]
) -> None:
    token = SyncToken(position=position, ephemeral=ephemeral, to_device=to_device, typing_rooms=rooms)

    assert parse_sync_token(token.encode()) == token
    assert parse_timeline_token(token.encode()) == position


@given(position=positions)
def test_timeline_tokens_are_read_as_they_were_written(position: int) -> None:
    assert parse_timeline_token(encode_timeline_token(position)) == position


def test_an_ordinary_token_is_short() -> None:
    assert SyncToken(position=7, ephemeral=1234, to_device=7).encode() == "s7_1234"


@pytest.mark.parametrize(
    "text", ["", "s", "s1", "s1_", "s_1", "t1", "s1_2_", "s1_2_t", "s-1_2", "s1_2 ", "s1_²", "s" + "9" * 20 + "_1"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidParam):
        parse_sync_token(text)
