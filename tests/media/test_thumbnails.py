"""Which thumbnail a request gets."""

import pytest

from tabstead.errors import TooLarge
from tabstead.media.image_header import ImageHeader
from tabstead.media.thumbnails import Box, ThumbnailMethod, ThumbnailRequest, choose_box


def choose(
    image: tuple[int, int],
    wanted: tuple[int, int],
    method: ThumbnailMethod = "scale",
    *,
    content_type: str = "image/png",
    is_animated: bool = False,
    animated: bool = False,
) -> Box | None:
    header = ImageHeader(content_type=content_type, width=image[0], height=image[1], is_animated=is_animated)
    return choose_box(header, ThumbnailRequest(width=wanted[0], height=wanted[1], method=method, animated=animated))


@pytest.mark.parametrize(
    ("method", "wanted", "size"),
    [
        ("crop", (1, 1), (32, 32)),
        ("crop", (32, 32), (32, 32)),
        ("crop", (33, 20), (96, 96)),
        ("crop", (97, 97), (320, 320)),
        ("scale", (32, 32), (320, 240)),
        ("scale", (320, 241), (640, 480)),
        ("scale", (800, 600), (800, 600)),
    ],
)
def test_the_smallest_size_that_is_big_enough_is_made(
    method: ThumbnailMethod, wanted: tuple[int, int], size: tuple[int, int]
) -> None:
    assert choose((4000, 3000), wanted, method) == Box(method=method, width=size[0], height=size[1])


def test_nothing_is_scaled_up() -> None:
    assert choose((20, 30), (96, 96), "crop") is None
    assert choose((300, 200), (320, 240)) is None
    assert choose((2000, 50), (96, 96), "crop") == Box(method="crop", width=50, height=50)


def test_more_than_the_biggest_size_is_the_image_itself() -> None:
    assert choose((4000, 3000), (1920, 1080)) is None


def test_a_type_that_no_thumbnail_may_have_is_encoded_anew() -> None:
    assert choose((300, 200), (320, 240), content_type="image/avif") == Box(method="scale", width=300, height=200)


def test_an_animation_is_for_those_who_ask_for_it() -> None:
    gif = {"content_type": "image/gif", "is_animated": True}
    assert choose((500, 400), (96, 96), animated=True, **gif) is None  # type: ignore[arg-type]
    assert choose((500, 400), (320, 240), **gif) == Box(method="scale", width=320, height=240)  # type: ignore[arg-type]
    assert choose((50, 40), (320, 240), **gif) == Box(method="scale", width=50, height=40)  # type: ignore[arg-type]


def test_who_asks_for_an_animation_of_a_still_image_gets_it_still() -> None:
    assert choose((500, 400), (320, 240), animated=True) == Box(method="scale", width=320, height=240)


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(TooLarge):
        choose((60_000, 60_000), (96, 96))
