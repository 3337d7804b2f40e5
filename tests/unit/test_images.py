"""Images: every accepted format decodes upright to RGB; everything else is refused with a reason."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile, WebPImagePlugin

from deepfake.media.header import Header, ImageRejected
from deepfake.media.images import decode_image, read_file
from deepfake.media.opening import read_header
from deepfake.params.ingest.limits import Limits

LIMITS = Limits(max_bytes=2**20, max_pixels=1_000_000, min_side=8)
LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}}
ORIENTATION = 0x0112


def upright(height: int = 40, width: int = 64) -> np.ndarray:
    """A smooth picture without any symmetry: [height, width, 3]."""
    rows, columns = np.mgrid[0:height, 0:width]
    red, green = rows * 255 / (height - 1), columns * 255 / (width - 1)
    return np.stack([red, green, (red + 2 * green) / 3], axis=2).astype(np.uint8)


def encode(pixels: np.ndarray | Image.Image, kind: str, mode: str = "RGB", **options: object) -> bytes:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    (picture if picture.mode == mode else picture.convert(mode)).save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int = 1) -> Image.Exif:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    tags[0x010F] = "maker"
    return tags


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size but has no pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def reason_of(data: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(ImageRejected) as caught:
        decode_image(data, limits)
    assert str(caught.value).startswith(caught.value.reason + ": ")
    return caught.value.reason


@pytest.fixture
def no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test fail if a pixel is decoded."""

    def load(self: object) -> None:
        raise AssertionError("pixels were decoded")

    for reader in (ImageFile.ImageFile, WebPImagePlugin.WebPImageFile):
        monkeypatch.setattr(reader, "load", load)


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_give_back_every_pixel(kind: str) -> None:
    decoded = decode_image(encode(upright(), kind, **LOSSLESS[kind]), LIMITS)
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, upright())


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_lossy_formats_come_close(kind: str, options: dict) -> None:
    decoded = decode_image(encode(upright(), kind, quality=95, **options), LIMITS)
    assert decoded.shape == upright().shape
    assert np.abs(decoded.astype(int) - upright()).mean() < 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_gives_the_upright_picture(kind: str, orientation: int) -> None:
    seen = upright()
    stored = {
        1: seen, 2: seen[:, ::-1], 3: seen[::-1, ::-1], 4: seen[::-1], 5: seen.transpose(1, 0, 2),
        6: np.rot90(seen), 7: seen[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(seen, -1),
    }[orientation]  # fmt: skip
    options = LOSSLESS.get(kind, {"quality": 95, "subsampling": 0})
    data = encode(np.ascontiguousarray(stored), kind, exif=exif(orientation), **options)
    decoded = decode_image(data, LIMITS)
    assert decoded.shape == seen.shape
    assert np.abs(decoded.astype(int) - seen).mean() < (3 if kind == "JPEG" else 1e-9)


def test_rotation_survives_odd_exif_tags() -> None:
    """A picture with a tag of an unexpected type is still usable: only the orientation is read."""
    tags = exif(6)
    tags[0x011A] = 72.5  # a rational; changed below to the type of a text
    data = encode(upright(), "JPEG", exif=tags)
    odd = data.replace(b"\x01\x1a\x00\x05", b"\x01\x1a\x00\x02").replace(
        b"\x1a\x01\x05\x00", b"\x1a\x01\x02\x00"
    )
    assert odd != data
    assert decode_image(odd, LIMITS).shape == (64, 40, 3)


def test_cmyk_jpeg_becomes_rgb() -> None:
    data = encode(upright(), "JPEG", mode="CMYK", quality=95)
    assert read_header(data, LIMITS).mode == "CMYK"
    assert np.abs(decode_image(data, LIMITS).astype(int) - upright()).mean() < 4


def test_sixteen_bit_greys_are_scaled_not_clipped() -> None:
    values = np.linspace(0, 65535, 64 * 64).round().astype(np.uint16).reshape(64, 64)
    decoded = decode_image(encode(Image.fromarray(values), "PNG", mode="I;16"), LIMITS)
    expected = (values / 257.0).round().astype(np.uint8)
    assert np.array_equal(decoded, np.repeat(expected[..., None], 3, axis=2))


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "L"), ("JPEG", "L"), ("PNG", "1")])
def test_greys_fill_all_three_channels(kind: str, mode: str) -> None:
    grey = np.repeat(np.array([[0, 255]], np.uint8), 32, axis=1).repeat(32, axis=0)
    decoded = decode_image(encode(grey, kind, mode=mode), LIMITS)
    assert np.abs(decoded.astype(int) - grey[..., None]).max() <= 1


def test_palettes_keep_their_colours_and_transparent_slots_are_white() -> None:
    colours = np.array([[10, 200, 90], [250, 30, 160]], np.uint8)
    striped = colours[None, np.arange(32) % 2].repeat(32, axis=0)
    palette = Image.fromarray(striped).quantize(2)
    first, second = (palette.convert("RGB").getpixel((x, 0)) for x in (0, 1))
    slot = palette.getpixel((0, 0))
    for transparency in (None, slot, bytes([0, 0]), bytes([255, 255])):  # none, one slot, tables
        options = {} if transparency is None else {"transparency": transparency}
        decoded = decode_image(encode(palette, "PNG", mode="P", **options), LIMITS)
        white = {slot: (True, False), bytes([0, 0]): (True, True)}.get(transparency, (False, False))
        expected = [(255,) * 3 if w else c for w, c in zip(white, (first, second), strict=True)]
        assert [tuple(decoded[0, x]) for x in (0, 1)] == expected, transparency


@pytest.mark.parametrize(("alpha", "seen"), [(0, 255), (255, 77), (128, 166)])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_lies_on_white(mode: str, kind: str, alpha: int, seen: int) -> None:
    picture = Image.fromarray(np.full((32, 32, 3), 77, np.uint8)).convert(mode)
    picture.putalpha(alpha)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    decoded = decode_image(
        encode(picture, kind, mode="RGBA" if kind == "WEBP" else mode, **options), LIMITS
    )
    assert np.array_equal(decoded, np.full((32, 32, 3), seen, np.uint8))


def test_a_transparent_colour_of_a_png_is_white() -> None:
    stored = upright()
    data = encode(stored, "PNG", transparency=tuple(map(int, stored[5, 9])))
    expected = stored.copy()
    expected[(stored == stored[5, 9]).all(axis=2)] = 255
    assert np.array_equal(decode_image(data, LIMITS), expected)


def test_a_phones_jpeg_with_a_second_picture_is_its_first() -> None:
    data = encode(upright(), "MPO", save_all=True, append_images=[Image.new("RGB", (32, 32))])
    assert read_header(data, LIMITS).format == "JPEG"
    assert np.abs(decode_image(data, LIMITS).astype(int) - upright()).mean() < 4


def test_jpeg_quality_is_read_from_the_tables() -> None:
    written = range(5, 101)
    read = [read_header(encode(upright(), "JPEG", quality=q), LIMITS).jpeg_quality for q in written]
    assert read == list(written)


@pytest.mark.usefixtures("no_decoder")
@pytest.mark.parametrize("with_exif", [False, True])
@pytest.mark.parametrize(("kind", "quality"), [("JPEG", 81), ("PNG", None), ("WEBP", None)])
def test_headers_are_read_without_decoding(kind: str, quality: int | None, with_exif: bool) -> None:
    options = {"exif": exif(6)} if with_exif else {}
    data = encode(upright(), kind, quality=81, **options)
    assert read_header(data, LIMITS) == Header(kind, 64, 40, "RGB", quality, with_exif)


@pytest.mark.usefixtures("no_decoder")
@pytest.mark.parametrize(
    "side", [1001, 9_000, 12_000, 20_000]
)  # Pillow warns from 9,459 and refuses from 13,378
def test_pixel_bombs_never_reach_the_decoder(side: int) -> None:
    for read in (read_header, decode_image):
        with pytest.raises(ImageRejected) as caught:
            read(png_header(side, side), LIMITS)
        assert caught.value.reason == "too_many_pixels"
        assert caught.value.header == Header("PNG", side, side, "RGB", None, False)


def test_a_huge_webp_canvas_is_too_many_pixels() -> None:
    data = bytearray(encode(upright(), "WEBP", exif=exif()))
    data[24:30] = b"\xff\x3f\0" * 2  # 16,384 x 16,384: Pillow's reader refuses it by itself
    assert reason_of(bytes(data)) == "too_many_pixels"


def test_broken_and_foreign_content_is_refused_with_its_reason() -> None:
    jpeg = encode(upright(), "JPEG")
    for data, reason in {
        jpeg[: len(jpeg) // 2]: "corrupt",
        jpeg[:4]: "corrupt",
        encode(upright(), "PNG")[:-40]: "corrupt",
        encode(upright(), "WEBP")[:60]: "corrupt",
        encode(Image.new("RGB", (1, 1)), "PNG"): "too_small",
        encode(Image.new("RGB", (300, 7)), "PNG"): "too_small",
        b"\0\0\0\x1cftypavif" + bytes(64): "corrupt",
        b"just a text\n" * 9: "not_an_image",
        b"": "not_an_image",
        jpeg + bytes(LIMITS.max_bytes): "too_many_bytes",
    }.items():
        assert reason_of(data) == reason, data[:16]


def test_a_file_name_says_nothing(tmp_path: Path) -> None:
    frames = [Image.fromarray(upright()), Image.fromarray(upright()[::-1].copy())]
    file = tmp_path / "portrait.jpg"
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert read_header(read_file(file, LIMITS), LIMITS).format == "GIF"


def test_files_over_the_limit_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "large.jpg"
    file.write_bytes(bytes(10))
    assert read_file(file, LIMITS) == bytes(10)
    os.truncate(file, LIMITS.max_bytes + 1)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("the file was read"))
    with pytest.raises(ImageRejected, match="too_many_bytes"):
        read_file(file, LIMITS)


def test_what_is_no_plain_file_is_unreadable(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for a writer
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in (".", "pipe", "loop", "missing"):
        with pytest.raises(ImageRejected, match="unreadable"):
            read_file(tmp_path / name, LIMITS)


def _seeds() -> list[bytes]:
    p = Image.fromarray(upright(24, 32))
    grey16 = Image.fromarray(np.arange(24 * 32, dtype=np.uint16).reshape(24, 32))
    pngs = [encode(p, "PNG", mode=mode) for mode in ("RGB", "L", "LA", "RGBA", "P", "1")]
    pngs += [encode(p, "PNG", exif=exif(5)), encode(grey16, "PNG", mode="I;16")]
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    jpegs = [
        encode(p, "JPEG", exif=exif(6)),
        encode(p, "JPEG", mode="CMYK"),
        encode(p, "JPEG", progressive=True),
        encode(p, "JPEG", icc_profile=profile),
    ]
    webps = [
        encode(p, "WEBP", exif=exif(7)),
        encode(p, "WEBP", lossless=True),
        encode(p, "WEBP", mode="RGBA"),
    ]
    return [*jpegs, *pngs, *webps]


def _with_checksums(data: bytes) -> bytes:
    """Correct a PNG's chunk checksums, so that mutated chunks reach the decoder."""
    mended, at = bytearray(data), 8
    while data.startswith(b"\x89PNG") and at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        mended[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return bytes(mended)


EDITS = st.lists(
    st.tuples(st.sampled_from(["set", "cut", "insert", "end"]), st.floats(0, 0.999), st.integers(0, 255)),
    min_size=1,
    max_size=6,
)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow warns of broken EXIF and APNG blocks
@settings(max_examples=3000, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(_seeds()), edits=EDITS, mend=st.booleans())
def test_mutated_files_decode_within_the_limits_or_are_refused(
    seed: bytes, edits: list[tuple[str, float, int]], mend: bool
) -> None:
    data = bytearray(seed)
    for edit, where, value in edits:
        at = int(where**2 * len(data))  # squared: headers are at the front
        if edit == "set":
            data[at : at + 1] = bytes([value])
        elif edit == "insert":
            data[at:at] = bytes([value]) * (1 + value % 7)
        else:
            del data[at : at + 1 + value % 32 if edit == "cut" else None if value < 32 else at + 1]
    limits = Limits(max_bytes=2**20, max_pixels=20_000, min_side=8)
    try:
        picture = decode_image(_with_checksums(bytes(data)) if mend else bytes(data), limits)
    except ImageRejected:
        return
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    assert picture.shape[0] * picture.shape[1] <= 20_000 and min(picture.shape[:2]) >= 8
