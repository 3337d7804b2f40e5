"""What a picture's file says of its origin: EXIF, texts, XMP and the C2PA manifest. No pixel is decoded,
except of a JPEG XL that packs its EXIF.

Everything here is untrusted text that anyone can write or remove. A score never depends on it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from deepfake.media.c2pa_reader import NONE
from deepfake.media.opening import opened
from deepfake.media.png import read_texts
from deepfake.media.readers import DECODER_ERRORS
from deepfake.params.ingest.limits import Limits

_TAGS = {
    "Make": "camera maker", "Model": "camera", "Software": "software", "DateTime": "changed",
    "Artist": "artist", "Copyright": "copyright", "ImageDescription": "description",
}  # fmt: skip
_EXIF_TAGS = {
    "DateTimeOriginal": "taken", "LensModel": "lens", "ExposureTime": "exposure, seconds",
    "FNumber": "f-number", "ISOSpeedRatings": "ISO", "FocalLength": "focal length, mm",
    "UserComment": "comment",
}  # fmt: skip
_LONGEST = 2**14  # characters of a value
_XMP_LIMIT = 2**18  # bytes that are searched
_SOURCE_TYPE = re.compile(r"digitalsourcetype/(\w{1,60})", re.IGNORECASE)
_XMP_TOOL = re.compile(r"(?:CreatorTool|photoshop:Credit)(?:=\"|>)([^<\"]{1,200})")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_C2PA_MARK = b"c2pa"  # the label of every manifest store
_MIME = {name: f"image/{name.lower()}" for name in ("JPEG", "PNG", "WEBP", "AVIF", "HEIC", "TIFF", "GIF")}
_MIME["JPEG XL"] = "image/jxl"
_PATIENCE = 10.0  # seconds for reading a manifest
_PACKAGE = "c2pa"
_PACKED = "Raw profile"  # ImageMagick packs EXIF and others into texts


@dataclass(frozen=True)
class Manifest:
    """The C2PA manifest of a file.

    Attributes:
        state: `valid` (the signature holds and covers these pixels), `invalid`, `unreadable`, or
            `not_checked` where the package c2pa-python is missing.
        tool: name of the program that wrote it.
        signer: organisation in the certificate. Whether it may be trusted is not checked.
        source_types: IPTC's digital source types of its actions, such as `trainedAlgorithmicMedia`.
        problem: why it is invalid or unreadable.
    """

    state: str
    tool: str = ""
    signer: str = ""
    source_types: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Metadata:
    """What a file says of its origin.

    Attributes:
        exif: tags in words -> values. The place is never read.
        has_place: whether EXIF holds a GPS position.
        texts: texts of a PNG, or a file's comment, by keyword.
        tools: programs that XMP names.
        source_types: IPTC's digital source types that XMP names.
        manifest: None: the file holds no C2PA manifest.
    """

    exif: Mapping[str, str] = field(default_factory=dict)
    has_place: bool = False
    texts: Mapping[str, str] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    source_types: tuple[str, ...] = ()
    manifest: Manifest | None = None


def read_metadata(data: bytes, limits: Limits) -> Metadata:
    """Read what a picture's file says of its origin.

    Raises:
        ImageRejected: the bytes can't be used; the reason says why.
    """
    with opened(data, limits) as (picture, header):
        exif, has_place = _exif(picture) if header.has_exif or header.format == "TIFF" else ({}, False)
        xmp, comment = picture.info.get("xmp", b""), picture.info.get("comment", b"")
    xmp = xmp if isinstance(xmp, str) else bytes(xmp)[:_XMP_LIMIT].decode("utf-8", "replace")
    texts, mark = read_texts(data) if header.format == "PNG" else {}, _C2PA_MARK in data
    xmp = xmp or texts.pop("XML:com.adobe.xmp", "")
    if comment:
        texts["comment"] = _words(comment)
    return Metadata(
        exif=exif,
        has_place=has_place,
        texts={_words(key): _words(text) for key, text in texts.items() if not key.startswith(_PACKED)},
        tools=tuple(dict.fromkeys(_words(tool) for tool in _XMP_TOOL.findall(xmp))),
        source_types=tuple(dict.fromkeys(_SOURCE_TYPE.findall(xmp))),
        manifest=_manifest(data, _MIME[header.format]) if mark and header.format in _MIME else None,
    )


def _exif(picture: Image.Image) -> tuple[dict[str, str], bool]:
    try:
        if picture.info.get("exif") == b"":  # a JPEG XL that packs it: only its decoder unpacks it
            picture.load()
        exif = picture.getexif()
        inner = exif.get_ifd(ExifTags.IFD.Exif)
        has_place = bool(exif.get_ifd(ExifTags.IFD.GPSInfo))
    except DECODER_ERRORS:
        return {}, False  # broken EXIF says nothing
    found = {words: exif.get(ExifTags.Base[tag]) for tag, words in _TAGS.items()}
    found |= {words: inner.get(ExifTags.Base[tag]) for tag, words in _EXIF_TAGS.items()}
    told = {words: _words(value) for words, value in found.items() if value is not None}
    return {words: value for words, value in told.items() if value}, has_place


def _words(value: Any) -> str:
    """Any value as a short text without control characters."""
    if isinstance(value, bytes):  # EXIF's comments have a charset in front
        head, rest = value[:8], value[8 : 8 + _LONGEST]
        if head.startswith(b"UNICODE"):
            wide = rest.decode("utf-16-be" if rest[:1] == b"\0" else "utf-16-le", "replace")
            return _CONTROL.sub("", wide).strip()
        value = (rest if head.startswith(b"ASCII") else value[:_LONGEST]).decode("utf-8", "replace")
    return _CONTROL.sub("", str(value)[:_LONGEST]).strip()


def _manifest(data: bytes, mime: str) -> Manifest | None:
    if find_spec(_PACKAGE) is None:
        return Manifest("not_checked", problem="to read it: pip install c2pa-python")
    program = [sys.executable, os.fspath(Path(__file__).with_name("c2pa_reader.py")), mime]
    try:
        done = subprocess.run(program, input=data, capture_output=True, timeout=_PATIENCE, check=False)
        if done.returncode == 0:
            return parse_manifest(json.loads(done.stdout))
        if done.returncode == NONE:
            return None
    except (subprocess.TimeoutExpired, OSError, ValueError, KeyError, TypeError, AttributeError):
        return Manifest("unreadable", problem="it is damaged, or it takes too long to read")
    why = _words(done.stderr).splitlines()
    return Manifest("unreadable", problem=why[0] if why else "its reader has crashed")


def parse_manifest(store: Mapping[str, Any]) -> Manifest:
    """From the manifest store as c2pa-python gives it.

    Raises:
        KeyError, TypeError, AttributeError: it has another form.
    """
    active = store["manifests"][store["active_manifest"]]
    actions = [
        action
        for assertion in active.get("assertions", ())
        if assertion["label"].startswith("c2pa.actions")
        for action in assertion["data"].get("actions", ())
    ]
    kinds = [_SOURCE_TYPE.search(str(action.get("digitalSourceType", ""))) for action in actions]
    tool: Mapping[str, Any] = next(iter(active.get("claim_generator_info") or ()), {})
    failures = store.get("validation_status", ())
    return Manifest(
        state="valid" if store.get("validation_state") in ("Valid", "Trusted") else "invalid",
        tool=_words(f"{tool.get('name', active.get('claim_generator', ''))} {tool.get('version', '')}"),
        signer=_words((active.get("signature_info") or {}).get("issuer", "")),
        source_types=tuple(dict.fromkeys(kind[1] for kind in kinds if kind)),
        problem="; ".join(_words(failure.get("explanation", failure["code"])) for failure in failures),
    )
