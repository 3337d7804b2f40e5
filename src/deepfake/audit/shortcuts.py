"""Facts of a picture other than traces of forgery: five families, each a vector.

A detector can learn any of them instead of forgery, and published detectors did ("Fake or JPEG?",
arXiv 2403.17608). The audit measures how well each family alone tells real from fake. `names.py` names
every number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from deepfake.audit.names import (
    BANDS,
    CONTAINER,
    FINE_GRID,
    GRID,
    MODES,
    PATCH,
    SUBSAMPLINGS,
    THUMBNAIL,
    right_ring,
    ring,
)  # fmt: skip
from deepfake.media.container import ContainerFacts, container_facts
from deepfake.media.images import decode_image
from deepfake.media.readers import FORMATS
from deepfake.media.spectrum import azimuthal_profile
from deepfake.params.ingest.limits import Limits


def container(facts: ContainerFacts) -> np.ndarray:
    """float64 [17], in the order of `CONTAINER`; nan if the format does not have the feature."""
    head = facts.header
    values: Mapping[str, float | None] = {
        "format": FORMATS.index(head.format),
        "mode": MODES.index(head.mode) if head.mode in MODES else None,
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
        "subsampling": None if facts.subsampling is None else SUBSAMPLINGS.index(facts.subsampling),
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

    The face is inside the frame. Detail is the log of the mean absolute Laplacian at native resolution,
    minus its median over the frame. So it does not measure sharpness again, but where the picture is
    sharp. One-sided detail compares a cell of the rim with its mirror image. People and scenes are similar
    on the left and on the right, but a watermark is on one side only.

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
        float64 [BANDS], natural logarithms at equal steps from zero frequency to Nyquist.
    """
    side = min(PATCH, *picture.shape[:2]) // 2 * 2
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    profile = azimuthal_profile(picture[None, top : top + side, left : left + side])[0]
    profile = profile - 2.0 * np.log(side)  # the power of the sum grows with the size of the patch
    wanted, known = (np.linspace(0.0, 1.0, n) for n in (BANDS, len(profile)))
    return np.interp(wanted, known, profile)


def sharpness(picture: np.ndarray) -> np.ndarray:
    """float64 [4], in the order of `SHARPNESS`.

    Noise is after Immerkaer 1996, "Fast Noise Variance Estimation". Blockiness is the mean step across
    the borders of the 8 x 8 JPEG grid, divided by the mean step elsewhere (similar to Wang et al. 2000).
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


_OF_PIXELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "thumbnail": thumbnail, "border": border, "spectrum": spectrum, "sharpness": sharpness
}  # fmt: skip


def measure(data: bytes, limits: Limits) -> dict[str, np.ndarray]:
    """All families of one picture file, float64 vectors in the order of `FAMILIES`' features.

    Raises:
        ImageRejected: the bytes can't be used as a picture.
    """
    picture = decode_image(data, limits)
    facts = {"container": container(container_facts(data, limits))}
    return facts | {name: fn(picture) for name, fn in _OF_PIXELS.items()}
