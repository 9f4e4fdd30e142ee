"""Image headers, against files that Pillow writes."""

from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from tabstead.media.image_header import ImageHeader, find_image_header


def encode(image_format: str, size: tuple[int, int] = (300, 200), frames: int = 1, **options: Any) -> bytes:
    images = [Image.new("RGB", size, (40 * number, 90, 10)) for number in range(frames)]
    if frames > 1:
        options |= {"save_all": True, "append_images": images[1:], "duration": 100}
    file = BytesIO()
    images[0].save(file, image_format, **options)
    return file.getvalue()


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "GIF", "WEBP", "AVIF"])
def test_every_format_tells_its_type_and_size(image_format: str) -> None:
    assert find_image_header(encode(image_format)) == ImageHeader(
        content_type=f"image/{image_format.lower()}", width=300, height=200
    )


@pytest.mark.parametrize("image_format", ["PNG", "GIF", "WEBP", "AVIF"])
@pytest.mark.parametrize("looped", [False, True])
def test_animations_are_told_apart(image_format: str, looped: bool) -> None:
    header = find_image_header(encode(image_format, frames=3, **({"loop": 0} if looped else {})))
    assert header
    assert header.is_animated


@pytest.mark.parametrize("options", [{"lossless": True}, {"lossless": False}, {"exif": b"Exif\x00\x00MM"}])
def test_every_kind_of_webp_tells_its_size(options: dict[str, Any]) -> None:
    header = find_image_header(encode("WEBP", (123, 45), **options))
    assert header
    assert (header.width, header.height) == (123, 45)


def test_a_progressive_jpeg_behind_metadata_tells_its_size() -> None:
    header = find_image_header(encode("JPEG", progressive=True, icc_profile=bytes(100_000), comment=b"x" * 60_000))
    assert header == ImageHeader(content_type="image/jpeg", width=300, height=200)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "GIF", "WEBP", "AVIF"])
def test_a_file_cut_off_anywhere_is_no_error(image_format: str) -> None:
    data = encode(image_format)
    whole = find_image_header(data)
    for length in range(0, min(len(data), 400)):
        assert find_image_header(data[:length]) in (None, whole)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"\0\0\0\x20ftypmp42" + b"ispe" + bytes(20),
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        b"\xff\xd8\xff\xe0\0\0" * 5,
    ],
)
def test_what_is_no_image_has_no_header(data: bytes) -> None:
    assert find_image_header(data) is None
