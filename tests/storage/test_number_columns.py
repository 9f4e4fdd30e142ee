"""Columns of numbers come back as they were, in the bytes that they need."""

from hypothesis import given
from hypothesis import strategies as st

from tabstead.storage.number_columns import decode_columns, encode_columns, from_steps, to_steps


@given(st.lists(st.lists(st.integers(0, 2**56 - 1)) | st.lists(st.integers(2**40, 2**40 + 300)), max_size=4))
def test_columns_come_back(columns: list[list[int]]) -> None:
    assert decode_columns(encode_columns(*columns)) == columns


@given(st.lists(st.integers(0, 2**50)).map(sorted))
def test_rising_numbers_come_back_from_their_steps(rising: list[int]) -> None:
    assert from_steps(to_steps(rising)) == rising


def test_near_numbers_take_a_byte_each_however_great() -> None:
    far = [2**40 + number * 89 % 256 for number in range(1000)]

    assert len(encode_columns(far)) < 1100
