"""The everyday views of a face crop: the same picture after a flip, a re-encoding, a smaller scale."""

from __future__ import annotations

import cv2
import numpy as np

from deepfake.media.encoding import jpeg_round_trip

PLAIN, FLIP, JPEG80, SCALE75 = "plain", "flip", "jpeg80", "scale75"
EVERYDAY = (FLIP, JPEG80, SCALE75)
_QUALITY, _SCALE = 80, 0.75


def everyday_view(crop: np.ndarray, name: str) -> np.ndarray:
    """One view of a crop.

    Args:
        crop: uint8 [size, size, 3], RGB.
        name: `PLAIN` or one of `EVERYDAY`.

    Returns:
        uint8 [size, size, 3].

    Raises:
        ValueError: there is no such view.
    """
    if name == PLAIN:
        return crop
    if name == FLIP:
        return np.ascontiguousarray(crop[:, ::-1])
    if name == JPEG80:
        return jpeg_round_trip(crop, _QUALITY, "yuv420")
    if name == SCALE75:
        return _down_and_up(crop)
    raise ValueError(f"no view {name!r}; there are {', '.join((PLAIN, *EVERYDAY))}")


def _down_and_up(crop: np.ndarray) -> np.ndarray:
    side = crop.shape[0]
    small = cv2.resize(crop, (round(_SCALE * side),) * 2, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def everyday_views(crops: np.ndarray) -> dict[str, np.ndarray]:
    """Crops, and their everyday views.

    Args:
        crops: uint8 [n, size, size, 3], RGB.

    Returns:
        name of the view -> uint8 [n, size, size, 3]; `PLAIN` first.
    """
    return {name: np.stack([everyday_view(crop, name) for crop in crops]) for name in (PLAIN, *EVERYDAY)}
