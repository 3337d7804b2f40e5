"""The same history for both classes: one border cut, one size, one JPEG compression.

Real and fake files often differ in resolution, compression, watermarks or EXIF. A model learns these
differences first, and they prove nothing (Grommelt et al. 2024, "Fake or JPEG?"). So every face is averaged
down to one size and compressed at one quality. Nothing is random: the same pixels give the same crop, in
training and when a picture is judged. A face that was much larger than the common size stays sharper than
one that was only a little larger. A blur makes this difference smaller.
"""

from __future__ import annotations

import cv2
import numpy as np

from deepfake.base.parameters import Chroma, Fraction, Positive, Quality, Section
from deepfake.media.encoding import encode_jpeg
from deepfake.media.squares import resize


class History(Section):
    """The steps that every face goes through; stored with the model.

    Attributes:
        border: share of the picture's shorter side that is cut off at each edge before detection.
        band: common side of all faces, in pixels.
        enlarge: whether smaller faces are enlarged to `band` or rejected.
        blur: standard deviation in pixels, after the change of size.
        jpeg_quality: IJG quality, 1..100.
        subsampling: chroma subsampling of the JPEG.
    """

    border: Fraction
    band: Positive
    enlarge: bool
    blur: float
    jpeg_quality: Quality
    subsampling: Chroma


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


def neutralise(cut: np.ndarray, history: History) -> bytes:
    """Give a face the common history: brought to one side, blurred and compressed.

    Args:
        cut: uint8 [side, side, 3], RGB, side >= history.band unless `history.enlarge`.

    Returns:
        A JPEG file of [band, band, 3]. It depends on the pixels and the history only.

    Raises:
        ValueError: the face is smaller than `band`, and `history.enlarge` is off.
    """
    common = _to_side(cut, history)
    if history.blur > 0.0:
        common = cv2.GaussianBlur(common, (0, 0), history.blur)
    return encode_jpeg(common, history.jpeg_quality, history.subsampling)


def _to_side(cut: np.ndarray, history: History) -> np.ndarray:
    """uint8 [side, side, 3] -> [band, band, 3]: averaged if larger, bicubic interpolation if smaller."""
    side, band = min(cut.shape[:2]), history.band
    if side >= band:
        return resize(cut, band)
    if not history.enlarge:
        raise ValueError(f"a face of {side} pixels can't be brought to {band}: neutralise.enlarge is off")
    return np.asarray(cv2.resize(cut, (band, band), interpolation=cv2.INTER_CUBIC), np.uint8)
