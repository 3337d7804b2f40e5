"""Pictures as numbers to reckon with: float32 fields, and the way back to uint8."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Pixels = NDArray[np.uint8]


def as_field(array: Any) -> Field:
    """Gives any numeric array as float32 (OpenCV 5 is typed more loosely than it returns)."""
    return np.asarray(array, dtype=np.float32)


def to_pixels(field: Any) -> Pixels:
    """Rounds and clips grey levels to uint8. A bare cast would wrap 256 round to 0."""
    return np.asarray(np.clip(np.rint(field), 0, 255), dtype=np.uint8)
