"""Room versions as data."""

import pytest

from tabstead.errors import UnsupportedRoomVersion
from tabstead.protocol.room_versions import DEFAULT_ROOM_VERSION, ROOM_VERSIONS, get_room_version


def test_all_twelve_are_there():
    assert list(ROOM_VERSIONS) == [str(number) for number in range(1, 13)]
    assert all(version.name == name for name, version in ROOM_VERSIONS.items())
    assert get_room_version(DEFAULT_ROOM_VERSION) is ROOM_VERSIONS["12"]


@pytest.mark.parametrize("name", ["", "0", "13", "org.example.future", "1" * 1000])
def test_another_is_unsupported(name):
    with pytest.raises(UnsupportedRoomVersion) as caught:
        get_room_version(name)
    assert len(str(caught.value)) < 100
