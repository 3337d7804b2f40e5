"""Pictures that people have: each format behind header checks, what is not judged said, right names."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pylibjxl
import pytest
from helpers import REPO, clean_environment
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from deepfake.media import readers
from deepfake.media.formats import HEAD, name_of
from deepfake.media.header import ImageRejected
from deepfake.media.images import decode_image
from deepfake.media.metadata import read_metadata
from deepfake.media.opening import read_header
from deepfake.params.ingest.limits import Limits

LIMITS = Limits(max_bytes=2**25, max_pixels=1_000_000, min_side=8)
LOSSLESS = {"TIFF": {}, "BMP": {}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def smooth(height: int = 40, width: int = 64) -> np.ndarray:
    """uint8 [height, width, 3] without any symmetry."""
    rows, columns = np.mgrid[0:height, 0:width]
    red, green = rows * 255 / (height - 1), columns * 255 / (width - 1)
    return np.stack([red, green, (red + 2 * green) / 3], axis=2).astype(np.uint8)


def encode(pixels: np.ndarray, kind: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def heic(pixels: np.ndarray, **options: object) -> bytes:
    heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    heif.from_pillow(Image.fromarray(pixels)).save(buffer, quality=95, **options)
    return buffer.getvalue()


def refusal(data: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(ImageRejected) as caught:
        decode_image(data, limits)
    return str(caught.value)


def _orientation(number: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = number
    return tags


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["TIFF", "AVIF"])
def test_pictures_are_upright(kind: str, orientation: int) -> None:
    seen = smooth()
    stored = {
        1: seen, 2: seen[:, ::-1], 3: seen[::-1, ::-1], 4: seen[::-1], 5: seen.transpose(1, 0, 2),
        6: np.rot90(seen), 7: seen[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(seen, -1),
    }[orientation]  # fmt: skip
    data = encode(np.ascontiguousarray(stored), kind, exif=_orientation(orientation), **LOSSLESS[kind])
    decoded = decode_image(data, LIMITS)
    assert decoded.shape == seen.shape and np.abs(decoded.astype(int) - seen).max() <= 4


@pytest.mark.parametrize("kind", LOSSLESS)
def test_pixels_and_header_of_each_format(kind: str) -> None:
    data = encode(smooth(), kind, **LOSSLESS[kind])
    header = read_header(data, LIMITS)
    assert (header.format, header.width, header.height, header.note) == (kind, 64, 40, "")
    assert np.abs(decode_image(data, LIMITS).astype(int) - smooth()).max() <= (4 if kind == "AVIF" else 0)


def test_a_heic_of_a_phone() -> None:
    data = heic(smooth())
    assert read_header(data, LIMITS).format == "HEIC"
    assert np.abs(decode_image(data, LIMITS).astype(int) - smooth()).mean() < 4
    assert refusal(data, LIMITS.model_copy(update={"max_pixels": 100})).startswith("too_many_pixels")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "find_spec", lambda name: None)
    assert refusal(b"\0\0\0\x18ftypheic" + bytes(40)) == (
        "unsupported_format: HEIC needs a package: pip install pillow-heif"
    )
    assert refusal(b"\xff\x0a" + bytes(40)) == (
        "unsupported_format: JPEG XL needs a package: pip install pylibjxl"
    )


def jpeg_xl(pixels: np.ndarray, **options: object) -> bytes:
    return bytes(pylibjxl.encode(np.ascontiguousarray(pixels), lossless=True, **options))


def test_a_jpeg_xl(monkeypatch: pytest.MonkeyPatch) -> None:
    assert np.array_equal(decode_image(jpeg_xl(smooth()), LIMITS), smooth())
    tags = _orientation(6)
    tags[0x010F] = "Camera"
    data = jpeg_xl(smooth(), exif=tags.tobytes())  # only the stream of pixels says how it is turned
    header = read_header(data, LIMITS)
    assert (header.format, header.width, header.height, header.has_exif) == ("JPEG XL", 64, 40, True)
    assert np.array_equal(decode_image(data, LIMITS), smooth())
    box = bytes(4) + tags.tobytes()[6:]
    plain = jpeg_xl(smooth(), exif=b"packed")
    plain = plain[: plain.index(b"brob") - 4] + struct.pack(">I4s", 8 + len(box), b"Exif") + box
    for marked in (data, plain):  # packed with Brotli, and not
        assert read_metadata(marked, LIMITS).exif["camera maker"] == "Camera"
    grey, seen = smooth()[..., :1], np.dstack([smooth(), np.zeros((40, 64), np.uint8)])
    assert np.array_equal(decode_image(jpeg_xl(grey), LIMITS), grey.repeat(3, axis=2))
    assert decode_image(jpeg_xl(seen), LIMITS).min() == 255
    assert refusal(data[:-200]).startswith("corrupt: the file")
    assert refusal(data[:20]).startswith("corrupt: the file")
    monkeypatch.setattr(pylibjxl, "decode", lambda *args, **options: pytest.fail("pixels were decoded"))
    few = LIMITS.model_copy(update={"max_pixels": 100})
    assert refusal(data, few) == "too_many_pixels: 64 x 40 pixels, at most 100"


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_jpeg_in_jpeg_xl_is_upright_and_has_its_colours(orientation: int) -> None:
    swapped = SRGB.replace(b"rXYZ", b"?XYZ", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"?XYZ", b"gXYZ", 1)
    jpeg = encode(smooth(), "JPEG", quality=97, exif=_orientation(orientation), icc_profile=swapped)
    decoded, expected = (decode_image(data, LIMITS) for data in (pylibjxl.jpeg_to_jxl(jpeg), jpeg))
    assert decoded.shape == expected.shape
    assert np.abs(decoded.astype(int) - expected).mean() < 2


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_the_first_of_several_frames_is_judged_and_that_is_said(kind: str) -> None:
    first, second = np.full((32, 32, 3), 90, np.uint8), np.full((32, 32, 3), 200, np.uint8)
    several = {"save_all": True, "append_images": [Image.fromarray(second)] * 3}
    data = encode(first, kind, **several)
    assert np.abs(decode_image(data, LIMITS).astype(int) - 90).max() <= 3
    what = "page" if kind == "TIFF" else "frame"
    assert read_header(data, LIMITS).note == f"only the first {what} is judged"
    assert read_header(encode(first, kind), LIMITS).note == ""


def test_an_animation_in_jpeg_xl_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pylibjxl, "decode", lambda *args, **options: pytest.fail("pixels were decoded"))
    data = (REPO / "tests/fixtures/animated.jxl").read_bytes()  # 32 pixels, two frames, each of one colour
    assert refusal(data) == "unsupported_format: an animation in JPEG XL; save its first frame as PNG"


def _bombs() -> dict[str, bytes]:
    """Files that declare 60,000 x 60,000 pixels and have none of them."""
    side = 60_000
    gif = bytearray(encode(smooth(), "GIF"))
    gif[6:10] = struct.pack("<HH", side, side)
    bmp = bytearray(encode(smooth(), "BMP"))
    bmp[18:26] = struct.pack("<ii", side, side)
    tiff = bytearray(encode(smooth(), "TIFF"))
    for tag in (256, 257):
        for kind in (3, 4):
            at = tiff.find(struct.pack("<HHI", tag, kind, 1))
            if at > 0:
                tiff[at : at + 12] = struct.pack("<HHII", tag, 4, 1, side)
    avif = encode(smooth(), "AVIF")
    declared = struct.pack(">II", 64, 40)
    assert declared in avif
    return {
        "GIF": bytes(gif), "BMP": bytes(bmp), "TIFF": bytes(tiff),
        "AVIF": avif.replace(declared, struct.pack(">II", 12_000, 12_000)),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "AVIF"])
def test_pixel_bombs_are_refused_by_their_header(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = _bombs()[kind]
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("pixels were decoded"))
    monkeypatch.setattr(readers.READERS[kind], "load", lambda self: pytest.fail("pixels were decoded"))
    assert refusal(bomb).startswith("too_many_pixels: ")


@pytest.mark.parametrize("place", [b"zTXt", b"tEXt", b"iTXt"])
@pytest.mark.parametrize("behind", [False, True])
def test_large_texts_of_a_png_cost_no_picture(place: bytes, behind: bool) -> None:
    text, info = "prompt " * 400_000, PngInfo()
    if place == b"iTXt":
        info.add_itxt("parameters", text, zip=True)
    else:
        info.add_text("parameters", text, zip=place == b"zTXt")
    data = encode(smooth(), "PNG", pnginfo=info)
    if behind:  # the text stands after the pixels
        start = data.index(place) - 4
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        chunk, rest = data[start:end], data[:start] + data[end:]
        data = rest[:-12] + chunk + rest[-12:]
    assert np.array_equal(decode_image(data, LIMITS), smooth())


def test_a_large_profile_of_a_png_is_applied() -> None:
    swapped = SRGB.replace(b"rXYZ", b"?XYZ", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"?XYZ", b"gXYZ", 1)
    large = swapped + bytes(3 * 2**20)
    large = len(large).to_bytes(4, "big") + large[4:]
    plain, padded = (encode(smooth(), "PNG", icc_profile=profile) for profile in (swapped, large))
    assert np.array_equal(decode_image(padded, LIMITS), decode_image(plain, LIMITS))
    assert np.abs(decode_image(padded, LIMITS).astype(int) - smooth()[..., [1, 0, 2]]).max() <= 6
    bomb = encode(smooth(), "PNG", icc_profile=swapped + bytes(2**25))
    assert np.array_equal(decode_image(bomb, LIMITS), smooth())


SMALLER = """
import resource, sys
from deepfake.media.images import decode_image
from deepfake.media.metadata import read_metadata
from deepfake.media.opening import read_header
from deepfake.params.ingest.limits import Limits
data, limits = open(sys.argv[1], "rb").read(), Limits(max_bytes=2**25, max_pixels=50_000_000, min_side=8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(*decode_image(data, limits).shape, read_header(data, limits).note, sep="|")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_phones_64_megapixels_are_decoded_smaller_in_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "huge.jpg"
    Image.new("L", (9248, 6936), 77).save(file, quality=50)
    done = subprocess.run(
        [sys.executable, "-c", SMALLER, str(file)],
        capture_output=True, text=True, check=True, env=clean_environment(),
    )  # fmt: skip
    shape, memory = done.stdout.splitlines()
    assert shape == (
        "3468|4624|3|it is decoded at 1/2 of its 9248 x 6936 pixels, and boxes are in pixels of that"
    )
    assert int(memory) < 250_000  # KiB; whole, it takes 64 million pixels of 3 bytes twice


def test_jpegs_that_are_shrunk_keep_their_content_and_those_that_cannot_be_are_refused() -> None:
    limits = LIMITS.model_copy(update={"max_pixels": 50_000})
    pixels = smooth(240, 320)
    for subsampling in (0, 2):
        data = encode(pixels, "JPEG", quality=95, subsampling=subsampling, exif=_orientation(6))
        decoded = decode_image(data, limits)
        expected = np.rot90(pixels, -1)[::2, ::2]
        assert decoded.shape == (160, 120, 3) and np.abs(decoded.astype(int) - expected).mean() < 3
    progressive = encode(pixels, "JPEG", progressive=True)
    assert refusal(progressive, limits).startswith("too_many_pixels")
    far = LIMITS.model_copy(update={"max_pixels": 19_000})
    assert refusal(encode(pixels, "JPEG"), far).startswith("too_many_pixels")
    assert refusal(encode(pixels, "PNG"), limits).startswith("too_many_pixels")


def _names() -> dict[str, bytes]:
    return {
        "MP4 or QuickTime video": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41",
        "Matroska or WebM video": b"\x1a\x45\xdf\xa3\x01",
        "AVI video": b"RIFF\0\0\0\0AVI LIST",
        "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n",
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
        "camera raw": b"II*\0\x10\0\0\0CR\2\0",
        "SVG drawing": b'<?xml version="1.0"?>\n<svg xmlns="x">',
        "web page": b"\n<!DOCTYPE html><title>404</title>",
        "PDF": b"%PDF-1.7",
        "ZIP": b"PK\x03\x04",
        "HEIC": b"\0\0\0\x1cftypmif1\0\0\0\0mif1heic",
        "AVIF": b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif",
        "GIF": b"GIF89a",
    }


@pytest.mark.parametrize("name", _names())
def test_formats_have_their_right_name(name: str) -> None:
    assert name_of(_names()[name][:HEAD]) == name


def test_messages_name_the_problem_and_no_exception() -> None:
    names = _names()
    assert refusal(names["MP4 or QuickTime video"]) == (
        "not_an_image: it is a file of the kind MP4 or QuickTime video"
    )
    assert refusal(names["JPEG 2000"]).startswith("unsupported_format: it is a JPEG 2000 file; save it as")
    assert refusal(b"") == "not_an_image: the file is empty"
    assert refusal(b"\n" + encode(smooth(), "JPEG")).startswith(
        "not_an_image: it is a JPEG picture with 1 stray"
    )
    float_tiff = io.BytesIO()
    Image.fromarray(np.ones((32, 32), np.float32)).save(float_tiff, "TIFF")
    assert "kind F; save it with 8 or 16 bits" in refusal(float_tiff.getvalue())
    for data in (encode(smooth(), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF", "BMP")):
        said = refusal(data[: len(data) // 2]) if len(data) > 400 else ""
        assert "Error" not in said and "(" not in said and "0x" not in said


def test_a_cameras_raw_file_is_no_tiff() -> None:
    thumbnail = io.BytesIO()
    Image.fromarray(smooth()).save(thumbnail, "TIFF", tiffinfo={254: 1})
    assert refusal(thumbnail.getvalue()).startswith("unsupported_format: a camera's raw file")
