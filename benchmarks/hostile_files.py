"""Files that somebody sends to do harm; the same seed gives the same file."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
from fuzz_decoder import mutate, samples
from PIL import Image

_SIDE = 60_000  # pixels: a picture of 3.6 gigapixels


def hostile(seed: int) -> bytes:
    """In turns: mutated and cut files, bombs, polyglots, and bytes behind the magic of a format."""
    rng = np.random.default_rng(seed)
    kinds: tuple[Callable[[np.random.Generator], bytes], ...] = (_bomb, _polyglot, _noise, _cut)
    return mutate(_files(), seed) if rng.random() < 0.6 else kinds[rng.integers(len(kinds))](rng)


@cache
def _files() -> list[bytes]:
    return samples()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@cache
def _bombs() -> list[bytes]:
    """Few bytes that declare or hold many pixels, frames or texts."""
    head = b"\x89PNG\r\n\x1a\n"
    size = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    zeros = zlib.compress(bytes(20_000_000), 9)
    text = _chunk(b"zTXt", b"Comment\0\0" + zeros)
    small = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    frames = io.BytesIO()
    dots = [Image.new("P", (64, 64), number) for number in range(256)]
    dots[0].save(frames, "GIF", save_all=True, append_images=dots[1:])
    within = io.BytesIO()  # large, but within the limits: it has to be decoded
    Image.new("RGB", (7000, 7000)).save(within, "PNG", compress_level=9)
    declared = bytearray(samples()[0])
    at = declared.index(b"\xff\xc0") + 5
    declared[at : at + 4] = struct.pack(">HH", 65_000, 65_000)
    tiff = struct.pack("<2sHIH", b"II", 42, 8, 3) + b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in ((256, 2**31), (257, 2**31), (273, 8))
    )
    return [
        head + _chunk(b"IHDR", size) + _chunk(b"IDAT", zeros) + _chunk(b"IEND", b""),
        head + _chunk(b"IHDR", small) + text * 3 + _chunk(b"IDAT", zeros) + _chunk(b"IEND", b""),
        frames.getvalue(), bytes(declared), tiff, within.getvalue(),
    ]  # fmt: skip


def _bomb(rng: np.random.Generator) -> bytes:
    bombs = _bombs()
    # The last one takes a second to decode: it comes less often.
    return bombs[-1] if rng.random() < 0.02 else bombs[rng.integers(len(bombs) - 1)]


def _polyglot(rng: np.random.Generator) -> bytes:
    """A picture that is an archive, a page, a script or another picture too."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../run.sh", "rm -rf /")
    first, second = (_files()[rng.integers(len(_files()))] for _ in range(2))
    others = [packed.getvalue(), b"<script>alert(1)</script>", b"#!/bin/sh\n", second, b"%PDF-1.7\n"]
    other = others[rng.integers(len(others))]
    return first + other if rng.random() < 0.7 else other + first


def _noise(rng: np.random.Generator) -> bytes:
    """Random bytes behind the magic of a format, or of nothing."""
    magic = _files()[rng.integers(len(_files()))][: rng.integers(0, 33)]
    return magic + rng.bytes(int(rng.integers(0, 5000)))


def _cut(rng: np.random.Generator) -> bytes:
    whole = _files()[rng.integers(len(_files()))]
    return whole[: rng.integers(len(whole))]
