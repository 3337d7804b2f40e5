"""What a file says of its origin: read from any file, told in words, never fatal."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from deepfake.media import metadata
from deepfake.media.header import ImageRejected
from deepfake.media.metadata import parse_manifest, read_metadata
from deepfake.params.ingest.limits import Limits
from deepfake.present.file_origin import FileOrigin, read_file_origin

LIMITS = Limits(max_bytes=1 << 20, max_pixels=10_000, min_side=32)
PLAIN = Image.fromarray(np.full((40, 48, 3), 120, np.uint8))
SETTINGS = "a portrait\nSteps: 20, Sampler: Euler a, Seed: 7"
# A file of one grey, signed by a certificate that was made for it and thrown away; it says that a
# generator made the picture.
SIGNED = Path(__file__).parents[1] / "fixtures" / "c2pa-signed.jpg"


def saved(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    PLAIN.save(buffer, kind, **options)
    return buffer.getvalue()


def told(data: bytes) -> FileOrigin:
    return read_file_origin(data, LIMITS)


def png(packed: bool = False, **texts: str) -> bytes:
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text, zip=packed)
    return saved("PNG", pnginfo=info)


def exif(camera: str = "", comment: bytes = b"", place: bool = False) -> bytes:
    tags = Image.Exif()
    if camera:
        tags[0x0110] = camera
    if comment:
        tags.get_ifd(0x8769)[0x9286] = comment
    if place:
        tags.get_ifd(0x8825)[1] = "N"
    return saved("JPEG", exif=tags)


def test_a_bare_file_says_nothing_and_that_is_said() -> None:
    found = told(saved("PNG"))
    assert found.claims == () and not found.says_generated
    assert found.facts == {"file": f"PNG, 48 × 40 pixels, {len(saved('PNG')):,} bytes"}
    assert "proves nothing" in found.to_json()["note"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_prompt_in_a_png_is_shown(packed: bool) -> None:
    found = told(png(packed, parameters=SETTINGS))
    assert found.says_generated and "a portrait" in found.claims[0] and "Seed: 7" in found.claims[0]


@pytest.mark.parametrize(
    "comment",
    [b"ASCII\0\0\0" + SETTINGS.encode(), b"UNICODE\0" + SETTINGS.encode("utf-16-be"),
     b"UNICODE\0" + SETTINGS.encode("utf-16-le")],
)  # fmt: skip
def test_a_prompt_in_exif_is_shown(comment: bytes) -> None:
    found = told(exif(comment=comment))
    assert found.says_generated and "Sampler: Euler a" in found.claims[0]


def test_xmp_that_names_its_source_is_told() -> None:
    packet = b'<x Iptc:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/%s"/>'
    assert told(saved("JPEG", xmp=packet % b"trainedAlgorithmicMedia")).says_generated
    assert not told(saved("JPEG", xmp=packet % b"digitalCapture")).says_generated


def test_a_camera_is_named_but_not_the_place() -> None:
    found = told(exif(camera="Box <b>3</b>", place=True))
    assert found.claims == ("Its EXIF names a camera: Box <b>3</b>.",) and not found.says_generated
    assert found.facts["EXIF, place"] == "the file holds a GPS position"
    assert found.facts["JPEG"].startswith("quality about 75, chroma 4:2:0, baseline")


def test_large_and_hostile_texts_are_cut() -> None:
    bomb = png(True, parameters="x" * 900_000)
    assert len(bomb) < 20_000
    assert len(told(bomb).claims[0]) < 800
    found = read_metadata(png(**{f"key{n}": "\0\x1btext" for n in range(99)}), LIMITS)
    assert 0 < len(found.texts) <= 32 and not {"\0", "\x1b"} & {*"".join(found.texts.values())}


@pytest.mark.parametrize("chunk", [b"tEXt", b"zTXt", b"iTXt"])
@pytest.mark.parametrize(
    "content", [b"", b"key", b"key\0", b"key\0\1", b"key\0\0\0en\0", b"key\0\1\0\0\0x"]
)
def test_broken_texts_are_no_error(chunk: bytes, content: bytes) -> None:
    whole = saved("PNG")
    broken = len(content).to_bytes(4, "big") + chunk + content + bytes(4)
    assert told(whole[:33] + broken + whole[33:]).facts["file"].startswith("PNG")


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ImageRejected, match="not_an_image"):
        told(b"text")


def test_without_the_package_a_manifest_is_still_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "find_spec", lambda _: None)
    found = told(SIGNED.read_bytes())
    assert "pip install c2pa-python" in found.claims[0] and not found.says_generated


@pytest.mark.skipif(find_spec("c2pa") is None, reason="needs the extra `provenance`")
def test_a_manifest_is_read_and_a_change_after_it_is_noticed() -> None:
    data = SIGNED.read_bytes()
    found = told(data)
    assert found.says_generated and "Demo painter 1.0 wrote it, signed for Demo signer" in found.claims[0]
    changed = bytearray(data)
    changed[-20] ^= 0x55  # a pixel
    assert "does not fit this file (changed later)" in told(bytes(changed)).claims[0]
    assert not told(bytes(changed)).says_generated
    assert read_metadata(png(note="the word c2pa alone"), LIMITS).manifest is None
    at = data.index(b"c2pa")
    assert "can't be read" in told(data[:at] + b"c2pa" * 9 + data[at + 36 :]).claims[0]


def test_a_manifest_of_another_form_is_an_error_that_the_reader_catches() -> None:
    with pytest.raises(KeyError):
        parse_manifest({"manifests": {}})
