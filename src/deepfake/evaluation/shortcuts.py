"""What a picture tells beside forgery traces: five families of facts, each a vector with names.

A detector is free to learn any of them, and the field's recurring scandal is that it did ("Fake or
JPEG?", arXiv 2403.17608). The audit asks of each family how far it alone tells real from fake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from deepfake.evaluation.baseline import azimuthal_profile
from deepfake.images import FORMATS, ContainerFacts, container_facts, decode_image
from deepfake.params import Limits

THUMBNAIL = 16  # pixels a side
GRID = 8  # the frame is the outer ring of this grid of cells
FINE_GRID = 32  # the rim, where watermarks stand, is the outer ring of this one
PATCH = 128  # pixels; side of the centre patch whose spectrum is taken, at native resolution
BANDS = 32  # of the spectrum, from zero frequency to Nyquist
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCCK")
_SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0", "other")
_NO_YES = ("no", "yes")


@dataclass(frozen=True)
class Feature:
    """One number of a family.

    Attributes:
        words: what it is, to stand at the start of a sentence.
        values: names of the codes 0, 1, ... of a category; empty for a quantity.
        named_by_hash: a category without fixed names, such as quantisation tables.
        topic: what it shares with its like, of which only the strongest is told; its words if empty.
        mirror_words: what it is when it is low, for a difference of two places; its sign turns.
    """

    name: str
    words: str
    values: tuple[str, ...] = ()
    named_by_hash: bool = False
    topic: str = ""
    mirror_words: str = ""

    @property
    def is_category(self) -> bool:
        return bool(self.values) or self.named_by_hash


# Causes before effects: of equally strong facts the first is told.
CONTAINER = (
    Feature("format", "file format", FORMATS),
    Feature("mode", "colour mode", _MODES),
    Feature("width", "width in pixels", topic="size"),
    Feature("height", "height in pixels", topic="size"),
    Feature("short_side", "shorter side in pixels", topic="size"),
    Feature("aspect", "aspect (width / height)"),
    Feature("jpeg_quality", "JPEG quality", topic="jpeg"),
    Feature("tables", "JPEG quantisation tables", named_by_hash=True, topic="jpeg"),
    Feature("luminance_step", "mean step of the JPEG luminance table", topic="jpeg"),
    Feature("chroma_step", "mean step of the JPEG chroma table", topic="jpeg"),
    Feature("subsampling", "JPEG chroma subsampling", _SUBSAMPLINGS, topic="jpeg"),
    Feature("progressive", "progressive JPEG", _NO_YES, topic="jpeg"),
    Feature("exif", "EXIF block", _NO_YES),
    Feature("icc", "ICC profile", _NO_YES),
    Feature("xmp", "XMP block", _NO_YES),
    Feature("bytes", "file size in bytes", topic="size"),
    Feature("bytes_per_pixel", "bytes per pixel"),
)
NATIVE_SIDE = Feature("native_side", "native side of the face in pixels")
# The network gets pixels, not files: the length of a file that preprocess wrote is a function of its
# pixels alone, which the other families judge. The face's native side is how far it was scaled down.
CROP_CONTAINER = (
    *(f for f in CONTAINER if f.name not in ("bytes", "bytes_per_pixel")),
    NATIVE_SIDE,
)


def container(facts: ContainerFacts) -> np.ndarray:
    """float64 [17], in the order of `CONTAINER`; nan where the format has no such thing."""
    head = facts.header
    values: Mapping[str, float | None] = {
        "format": FORMATS.index(head.format),
        "mode": _MODES.index(head.mode) if head.mode in _MODES else None,
        "width": head.width,
        "height": head.height,
        "short_side": min(head.width, head.height),
        "aspect": head.width / head.height,
        "bytes": facts.bytes,
        "bytes_per_pixel": facts.bytes / (head.width * head.height),
        "jpeg_quality": head.jpeg_quality,
        "tables": None if facts.tables is None else int(facts.tables, 16),
        "luminance_step": facts.luminance_step,
        "chroma_step": facts.chroma_step,
        "subsampling": None if facts.subsampling is None else _SUBSAMPLINGS.index(facts.subsampling),
        "progressive": facts.progressive,
        "exif": head.has_exif,
        "icc": facts.has_icc,
        "xmp": facts.has_xmp,
    }
    return np.array([np.nan if values[f.name] is None else values[f.name] for f in CONTAINER], np.float64)


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """uint8 [height, width, 3] -> float64 [16 * 16 * 3], 0..255, rows of RGB pixels."""
    small = cv2.resize(picture, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return small.astype(np.float64).ravel()


def border(picture: np.ndarray) -> np.ndarray:
    """Brightness and detail of each cell of the outer frame, and how one-sided the rim's detail is.

    The face lies inside the frame. Detail is the log of the mean absolute Laplacian at native
    resolution, less its median over the frame: not sharpness again, but where it lies. One-sided
    detail compares a cell of the rim with its mirror image: people and scenes are alike left and
    right, a watermark is not.

    Args:
        picture: uint8 [height, width, 3].

    Returns:
        float64, in the order of `BORDER`; brightness in 0..255, details as natural logarithms.
    """
    grey = _grey(picture)
    fine = np.abs(cv2.Laplacian(grey, cv2.CV_32F))
    rows, columns = np.array(ring(GRID)).T
    light = _cells(grey, GRID)[rows, columns]
    detail = np.log(_cells(fine, GRID)[rows, columns] + 0.1)
    power = np.log(_cells(fine**2, FINE_GRID) + 0.1)
    rows, columns = np.array(right_ring()).T
    one_sided = (power - power[:, ::-1])[rows, columns]
    return np.concatenate([light, detail - np.median(detail), one_sided]).astype(np.float64)


def _cells(field: np.ndarray, count: int) -> np.ndarray:
    """Mean of a field [height, width] in each cell of a `count` x `count` grid."""
    return np.asarray(cv2.resize(field, (count, count), interpolation=cv2.INTER_AREA))


def spectrum(picture: np.ndarray) -> np.ndarray:
    """Azimuthal mean log power of the centre patch, per pixel.

    Args:
        picture: uint8 [height, width, 3].

    Returns:
        float64 [BANDS], natural logarithm; equally spaced from zero frequency to Nyquist.
    """
    side = min(PATCH, *picture.shape[:2]) // 2 * 2
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    profile = azimuthal_profile(picture[None, top : top + side, left : left + side])[0]
    profile = profile - 2.0 * np.log(side)  # power of the sum grows with the patch
    wanted, known = (np.linspace(0.0, 1.0, n) for n in (BANDS, len(profile)))
    return np.interp(wanted, known, profile)


def sharpness(picture: np.ndarray) -> np.ndarray:
    """float64 [4], in the order of `SHARPNESS`.

    Noise is Immerkaer 1996, "Fast Noise Variance Estimation". Blockiness is the mean step across the
    borders of the 8 x 8 JPEG grid over the mean step elsewhere (Wang et al. 2000, in spirit).
    """
    grey = _grey(picture)
    laplacian = cv2.Laplacian(grey, cv2.CV_32F).var()
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    noise = np.sqrt(np.pi / 2) / 6 * np.abs(cv2.filter2D(grey, cv2.CV_32F, mask)[1:-1, 1:-1]).mean()
    steps = [np.abs(np.diff(grey, axis=axis)).mean(axis=1 - axis) for axis in (0, 1)]
    at_grid = [np.arange(1, len(step) + 1) % 8 == 0 for step in steps]
    on = np.concatenate([step[grid] for step, grid in zip(steps, at_grid, strict=True)]).mean()
    off = np.concatenate([step[~grid] for step, grid in zip(steps, at_grid, strict=True)]).mean()
    share = laplacian / (grey.var() + 1.0)
    return np.array(
        [np.log(laplacian + 1.0), np.log(share + 1e-3), noise, np.log((on + 0.1) / (off + 0.1))]
    )


def _grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)


def ring(count: int) -> list[tuple[int, int]]:
    """Row and column of the outermost cells of a `count` x `count` grid."""
    outer = (0, count - 1)
    return [(r, c) for r in range(count) for c in range(count) if r in outer or c in outer]


def right_ring() -> list[tuple[int, int]]:
    """The right half of the rim; each cell stands for itself and its mirror image."""
    return [(r, c) for r, c in ring(FINE_GRID) if c >= FINE_GRID // 2]


def place(row: int, column: int, count: int) -> str:
    """Where a cell of a `count` x `count` grid lies, in words."""
    vertical = "top" if row < count / 4 else "bottom" if row >= count * 3 / 4 else ""
    horizontal = "left" if column < count / 4 else "right" if column >= count * 3 / 4 else ""
    if vertical and horizontal:
        return f"{vertical} {horizontal} corner"
    return f"{vertical or horizontal} edge" if vertical or horizontal else "middle"


THUMBNAIL_FEATURES = tuple(
    Feature(
        f"{hue}_{r:02d}_{c:02d}", f"{hue} in the {place(r, c, THUMBNAIL)} of the thumbnail", topic="colour"
    )
    for r in range(THUMBNAIL)
    for c in range(THUMBNAIL)
    for hue in ("red", "green", "blue")
)
_FRAME = tuple(
    Feature(f"{kind}_{r}_{c}", f"{words} in the {place(r, c, GRID)}", topic=kind)
    for kind, words in (("brightness", "brightness"), ("detail", "fine detail"))
    for r, c in ring(GRID)
)


def _one_sided(row: int, column: int) -> Feature:
    here, there = (
        f"fine detail in the {place(row, c, FINE_GRID)} beyond that of its mirror image (a watermark?)"
        for c in (column, FINE_GRID - 1 - column)
    )
    return Feature(f"one_sided_{row:02d}_{column:02d}", here, topic="one_sided", mirror_words=there)


_RIM = tuple(_one_sided(r, c) for r, c in right_ring())
BORDER = (*_FRAME, *_RIM)
SPECTRUM = tuple(
    Feature(f"band_{i:02d}", f"power at {i / (BANDS - 1):.0%} of the Nyquist frequency", topic="power")
    for i in range(BANDS)
)
SHARPNESS = (
    Feature("laplacian", "sharpness (log variance of the Laplacian)"),
    Feature("fine_share", "share of fine detail in the contrast (log)"),
    Feature("noise", "noise level (Immerkaer)"),
    Feature("blockiness", "JPEG blockiness (log)"),
)
# In the order of tables and figures; `container` is measured on the file, the others on its pixels.
FAMILIES = {
    "container": CONTAINER,
    "thumbnail": THUMBNAIL_FEATURES,
    "border": BORDER,
    "spectrum": SPECTRUM,
    "sharpness": SHARPNESS,
}
_OF_PIXELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "thumbnail": thumbnail, "border": border, "spectrum": spectrum, "sharpness": sharpness
}  # fmt: skip


def measure(data: bytes, limits: Limits) -> dict[str, np.ndarray]:
    """All families of one picture file, float64 vectors in the order of `FAMILIES`' features.

    Raises:
        ImageRejected: the bytes are no usable picture.
    """
    picture = decode_image(data, limits)
    facts = {"container": container(container_facts(data, limits))}
    return facts | {name: fn(picture) for name, fn in _OF_PIXELS.items()}
