"""Writes the demo corpus: as many real as fake portraits, which differ only in the manipulation."""

from __future__ import annotations

import io
from enum import IntEnum
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from deepfake.degrade.resynthesis import Fake
from deepfake.demo.blending import Shot
from deepfake.demo.camera import photograph, sample_camera
from deepfake.demo.generators import GENERATORS
from deepfake.demo.scene import render
from deepfake.demo.traits import sample_traits
from deepfake.media.fields import Pixels
from deepfake.media.images import decode_image
from deepfake.params.ingest.limits import Limits
from deepfake.shards.executors import map_shards, process_pool

QUALITY = (88, 96)  # JPEG quality of both classes, sampled evenly, ends included
_OWN = Limits(max_bytes=1 << 22, max_pixels=1 << 20, min_side=1)  # all that write_corpus writes is smaller
SUPERSAMPLE = 2  # scene pixels per picture pixel along each axis; a hair is about one scene pixel wide


class CorpusPurpose(IntEnum):
    """Use of a stream of random numbers. Streams of different uses are independent."""

    PORTRAIT = 0
    DONOR = 1
    FAKE = 2
    REAL_JPEG = 3
    FAKE_JPEG = 4


def _stream(seed: int, index: int, purpose: CorpusPurpose) -> np.random.Generator:
    return np.random.default_rng([seed, index, int(purpose)])


def _shoot(rng: np.random.Generator, size: int) -> Shot:
    """A picture of a new person by a new camera."""
    who, camera = sample_traits(rng), sample_camera(rng)
    scene = render(rng, who, size * SUPERSAMPLE)
    return Shot(photograph(rng, scene, camera, size), who.face)


def generator_of(index: int) -> str:
    """The generator that makes the fake of portrait `index`: they take turns."""
    names = list(GENERATORS)
    return names[index % len(names)]


def make_pair(seed: int, index: int, size: int) -> tuple[Pixels, Fake]:
    """One real picture and the fake made of it.

    Args:
        seed: of the corpus.
        index: of the portrait; seed, index and size decide every pixel.
        size: height and width, even, at least 64.

    Returns:
        The real picture, uint8 [size, size, 3] RGB, and its fake with the mask, before JPEG.
    """
    shot = _shoot(_stream(seed, index, CorpusPurpose.PORTRAIT), size)
    name = generator_of(index)
    # Only `edit` uses the donor, and a portrait takes longer than all other steps together.
    donor = _shoot(_stream(seed, index, CorpusPurpose.DONOR), size) if name == "edit" else shot
    return shot.pixels, GENERATORS[name](_stream(seed, index, CorpusPurpose.FAKE), shot, donor)


def _jpeg(rng: np.random.Generator, pixels: Pixels) -> bytes:
    """Baseline JPEG, 4:4:4, without EXIF. Both classes share one distribution of qualities."""
    quality = int(rng.integers(QUALITY[0], QUALITY[1] + 1))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling="4:4:4")
    return buffer.getvalue()


def _write_pair(index: int, *, folder: Path, size: int, seed: int) -> None:
    real, fake = make_pair(seed, index, size)
    name = f"{index:05d}.jpg"
    (folder / "real" / "camera" / name).write_bytes(
        _jpeg(_stream(seed, index, CorpusPurpose.REAL_JPEG), real)
    )
    (folder / "fake" / generator_of(index) / name).write_bytes(
        _jpeg(_stream(seed, index, CorpusPurpose.FAKE_JPEG), fake.pixels)
    )


def write_corpus(folder: Path, *, portraits: int, size: int, seed: int, workers: int = 1) -> None:
    """Write `real/camera/<index>.jpg` and `fake/<generator>/<index>.jpg` below `folder`.

    Each portrait gives one real picture and one fake, so the classes are balanced. The file's stem (five
    digits) is the group. The bytes depend only on seed, size and index.

    Args:
        folder: made if missing; files of the same names are overwritten.
        portraits: number of pairs.
        size: height and width of every picture, even, at least 64.
        seed: of the corpus, not negative.
        workers: number of processes; 1 works in this process.

    Raises:
        ValueError: `size` is odd or below 64.
    """
    if size < 64 or size % 2:
        raise ValueError(f"size must be even and at least 64, got {size}")
    for part in ("real/camera", *(f"fake/{name}" for name in GENERATORS)):
        (folder / part).mkdir(parents=True, exist_ok=True)
    work = partial(_write_pair, folder=folder, size=size, seed=seed)
    with process_pool(workers) as pool:
        for _ in map_shards(work, range(portraits), pool, "demo portraits"):
            pass


def contact_sheet(folder: Path, columns: int = 10) -> Pixels:
    """A picture of the corpus: one row of real pictures, then one row per generator.

    Args:
        folder: written by `write_corpus`.
        columns: pictures per row; grey fills a shorter row.

    Returns:
        uint8 [5 * size, columns * size, 3] RGB.

    Raises:
        FileNotFoundError: there are no pictures below `folder`.
    """
    rows = []
    for part in ("real/camera", *(f"fake/{name}" for name in GENERATORS)):
        files = sorted((folder / part).glob("*.jpg"))[:columns]
        pictures = [decode_image(file.read_bytes(), _OWN) for file in files]
        rows.append(pictures)
    sizes = [picture.shape[0] for row in rows for picture in row]
    if not sizes:
        raise FileNotFoundError(f"no demo pictures under {folder}; run write_corpus first")
    sheet = np.full((len(rows) * sizes[0], columns * sizes[0], 3), 128, np.uint8)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            sheet[r * sizes[0] : (r + 1) * sizes[0], c * sizes[0] : (c + 1) * sizes[0]] = picture
    return sheet
