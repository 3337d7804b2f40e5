"""One history for both classes: one border, one native side, one JPEG pass, drawn alike.

What differs between real and fake files for other reasons than their content (resolution, compression,
watermarks, EXIF) is learned first and proves nothing: Grommelt et al. 2024, "Fake or JPEG?". So every face
is averaged down to one side, which none has to be enlarged for, and compressed with a quality that is
drawn from its bytes alone. A blur makes up for what averaging leaves: a face taken from far above the
common side is sharper than one taken from just above it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from deepfake.base.errors import SourceError
from deepfake.media.encoding import encode_jpeg
from deepfake.media.squares import resize
from deepfake.params.data import Chroma, Neutralise
from deepfake.params.section import Fraction, Positive, Quality, Section


class History(Section):
    """What every face goes through; stored with the model.

    Attributes:
        border: share of the picture's shorter side that is cut off at each edge before detection.
        band: side in pixels that every face is brought to; a smaller one is rejected.
        blur: standard deviation in pixels of the common side.
        noise: standard deviation in grey levels, added after the blur.
        jpeg_quality: lowest and highest IJG quality.
        subsampling: chroma subsamplings to draw from.
    """

    border: Fraction
    band: Positive
    blur: float
    noise: float
    jpeg_quality: tuple[Quality, Quality]
    subsampling: tuple[Chroma, ...]


def resolve_history(params: Neutralise, size: int, sides: Mapping[str, Sequence[int]]) -> History:
    """Settle what `params` leaves to the data.

    Args:
        size: side of a finished crop in pixels.
        sides: native sides in pixels of the training faces, by class name.

    Returns:
        The history. With `cap: auto` its band is `size`, or the `auto_percentile` of the class whose
        faces are smaller there where that is less: the network would not see a larger one, which only
        drops more faces. It is never less than `min_side`.

    Raises:
        SourceError: a class has no training face for `cap: auto` to look at.
    """
    return History(
        border=params.border,
        band=_common_side(params, size, sides) if params.cap == "auto" else params.cap,
        blur=params.blur,
        noise=params.noise,
        jpeg_quality=params.jpeg_quality,
        subsampling=params.subsampling,
    )


def _common_side(params: Neutralise, size: int, sides: Mapping[str, Sequence[int]]) -> int:
    empty = [name for name, values in sides.items() if not values]
    if empty:
        raise SourceError(
            f"no {' and no '.join(empty)} face in the training pictures to choose a common size from: "
            "add pictures, or give preprocess.neutralise.cap a number"
        )
    low = min(float(np.percentile(list(each), params.auto_percentile)) for each in sides.values())
    return max(params.min_side, min(size, int(low)))


def without_border(picture: np.ndarray, share: float) -> tuple[np.ndarray, int]:
    """Cut `share` of the shorter side off at each edge.

    Returns:
        uint8 [height - 2 n, width - 2 n, 3], a view, and n in pixels.
    """
    height, width = picture.shape[:2]
    cut = border_width((height, width), share)
    return picture[cut : height - cut, cut : width - cut], cut


def border_width(shape: tuple[int, ...], share: float) -> int:
    """Pixels that `without_border` takes off each edge of a picture [height, width, ...]."""
    return round(share * min(shape[:2]))


@dataclass(frozen=True)
class Draw:
    """What chance has decided for one face.

    Attributes:
        quality: of the JPEG pass.
        subsampling: of its chroma.
        rng: for the noise.
    """

    quality: int
    subsampling: Chroma
    rng: np.random.Generator


def draw(history: History, image_id: str, face: int) -> Draw:
    """A function of the picture's bytes and the face's number: neither class nor source has a say.

    Args:
        image_id: sha256 of the picture's bytes, in hexadecimal.
        face: its number in the picture, 0 for the largest.
    """
    seed = int.from_bytes(hashlib.sha256(f"{image_id}:{face}".encode()).digest()[:8], "big")
    rng = np.random.default_rng(seed)
    quality = int(rng.integers(history.jpeg_quality[0], history.jpeg_quality[1], endpoint=True))
    return Draw(quality, history.subsampling[int(rng.integers(len(history.subsampling)))], rng)


def neutralise(cut: np.ndarray, history: History, drawn: Draw) -> bytes:
    """Give a face the common history: averaged down, blurred, grained and compressed.

    Args:
        cut: uint8 [side, side, 3], RGB, side >= history.band.

    Returns:
        A JPEG file of [band, band, 3].

    Raises:
        ValueError: the face would have to be enlarged.
    """
    if min(cut.shape[:2]) < history.band:
        raise ValueError(f"a face of {min(cut.shape[:2])} pixels can't be brought to {history.band}")
    common = resize(cut, history.band)
    if history.blur > 0.0:
        common = cv2.GaussianBlur(common, (0, 0), history.blur)
    if history.noise > 0.0:
        grain = drawn.rng.normal(0.0, history.noise, common.shape)
        common = (common + grain).round().clip(0, 255).astype(np.uint8)
    return encode_jpeg(common, drawn.quality, drawn.subsampling)
