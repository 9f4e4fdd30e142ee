"""Thumbnails by Pillow."""

from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from tabstead.media.thumbnails import ThumbnailMethod
from tabstead.native.pillow_thumbnailer import PillowThumbnailer


def encode(image: Image.Image, image_format: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


async def make(data: bytes, width: int, height: int, method: ThumbnailMethod = "scale") -> Image.Image:
    thumbnail = await PillowThumbnailer().make_thumbnail(data, width=width, height=height, method=method)
    assert thumbnail
    image = Image.open(BytesIO(thumbnail.data))
    assert (thumbnail.width, thumbnail.height) == image.size
    assert thumbnail.content_type == Image.MIME[image.format or ""]
    return image


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "GIF", "WEBP", "AVIF"])
async def test_scaling_keeps_the_shape_and_cropping_fills_the_box(image_format: str) -> None:
    data = encode(Image.new("RGB", (1000, 500), (200, 30, 30)), image_format)
    assert (await make(data, 320, 240)).size == (320, 160)
    assert (await make(data, 96, 96, "crop")).size == (96, 96)


async def test_an_opaque_image_becomes_a_jpeg_and_a_transparent_one_a_png() -> None:
    opaque = Image.new("RGBA", (500, 500), (1, 2, 3, 255)).convert("RGB")
    assert (await make(encode(opaque, "PNG"), 96, 96)).format == "JPEG"
    transparent = await make(encode(Image.new("RGBA", (500, 500), (1, 2, 3, 0)), "PNG"), 96, 96)
    assert transparent.format == "PNG"
    assert transparent.getpixel((5, 5)) == (0, 0, 0, 0)


async def test_a_photo_that_was_taken_sideways_is_turned_upright() -> None:
    photo = Image.new("RGB", (400, 200))
    exif = photo.getexif()
    exif[0x0112] = 6  # turn it by 90 degrees
    assert (await make(encode(photo, "JPEG", exif=exif), 100, 100)).size == (50, 100)


async def test_where_and_when_a_photo_was_taken_is_not_told() -> None:
    photo = Image.new("RGB", (400, 200))
    exif = photo.getexif()
    exif[0x010F] = "a camera"
    assert not (await make(encode(photo, "JPEG", exif=exif), 100, 100)).getexif()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no image",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        encode(Image.effect_noise((200, 200), 50), "PNG")[:3000],
        encode(Image.new("1", (9000, 9000)), "PNG"),  # small as a file, 81 megapixels
        encode(Image.new("RGB", (9, 9)), "PDF"),
    ],
    ids=["empty", "text", "svg", "cut off", "bomb", "pdf"],
)
async def test_what_can_not_or_must_not_be_decoded_is_none(data: bytes) -> None:
    assert await PillowThumbnailer().make_thumbnail(data, width=96, height=96, method="crop") is None
