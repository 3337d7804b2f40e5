"""The five families of the shortcut audit: the name of every number of their vectors, and its words."""

from __future__ import annotations

from dataclasses import dataclass

from deepfake.base.text import percent
from deepfake.media.readers import FORMATS

THUMBNAIL = 16  # pixels a side
GRID = 8  # cells a side; the frame is the outer ring of this grid
FINE_GRID = 32  # cells a side; the rim, where watermarks are, is the outer ring of this grid
PATCH = 128  # side in pixels of the centre patch, at native resolution; its spectrum is measured
BANDS = 32  # of the spectrum, from zero frequency to Nyquist
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCCK")
SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0", "other")
_NO_YES = ("no", "yes")


@dataclass(frozen=True)
class Feature:
    """One number of a family.

    Attributes:
        words: the feature in words, for the start of a sentence.
        values: names of the codes 0, 1, ... of a category; empty for a quantity.
        named_by_hash: a category without fixed names, such as quantisation tables.
        topic: name of a group of similar features. The audit names only the strongest feature of a topic.
            An empty topic is a topic of its own.
        mirror_words: the words for low values of a difference between two places; the sign then changes.
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


# Causes come before effects: if two facts are equally strong, the report names the first.
CONTAINER = (
    Feature("format", "file format", FORMATS),
    Feature("mode", "colour mode", MODES),
    Feature("width", "width in pixels", topic="size"),
    Feature("height", "height in pixels", topic="size"),
    Feature("short_side", "shorter side in pixels", topic="size"),
    Feature("aspect", "aspect (width / height)"),
    Feature("jpeg_quality", "JPEG quality", topic="jpeg"),
    Feature("tables", "JPEG quantisation tables", named_by_hash=True, topic="jpeg"),
    Feature("luminance_step", "mean step of the JPEG luminance table", topic="jpeg"),
    Feature("chroma_step", "mean step of the JPEG chroma table", topic="jpeg"),
    Feature("subsampling", "JPEG chroma subsampling", SUBSAMPLINGS, topic="jpeg"),
    Feature("progressive", "progressive JPEG", _NO_YES, topic="jpeg"),
    Feature("exif", "EXIF block", _NO_YES),
    Feature("icc", "ICC profile", _NO_YES),
    Feature("xmp", "XMP block", _NO_YES),
    Feature("bytes", "file size in bytes", topic="size"),
    Feature("bytes_per_pixel", "bytes per pixel"),
)
NATIVE_SIDE = Feature("native_side", "native side of the face in pixels")
# The network gets pixels, not files. The size of a crop's file depends only on its pixels, which the other
# families measure. Its JPEG tables do not depend on the class.
CROP_CONTAINER = tuple(
    f for f in CONTAINER if f.topic != "jpeg" and f.name not in ("bytes", "bytes_per_pixel")
)


def ring(count: int) -> list[tuple[int, int]]:
    """Row and column of the outermost cells of a `count` x `count` grid."""
    outer = (0, count - 1)
    return [(r, c) for r in range(count) for c in range(count) if r in outer or c in outer]


def right_ring() -> list[tuple[int, int]]:
    """The cells of the right half of the rim. Each is compared with its mirror image on the left."""
    return [(r, c) for r, c in ring(FINE_GRID) if c >= FINE_GRID // 2]


def place(row: int, column: int, count: int) -> str:
    """The place of a cell of a `count` x `count` grid, in words."""
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
        f"fine detail in the {place(row, c, FINE_GRID)}, more than in its mirror image (a watermark?)"
        for c in (column, FINE_GRID - 1 - column)
    )
    return Feature(f"one_sided_{row:02d}_{column:02d}", here, topic="one_sided", mirror_words=there)


_RIM = tuple(_one_sided(r, c) for r, c in right_ring())
BORDER = (*_FRAME, *_RIM)
SPECTRUM = tuple(
    Feature(
        f"band_{i:02d}", f"power at {percent(i / (BANDS - 1), 0)} of the Nyquist frequency", topic="power"
    )
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
