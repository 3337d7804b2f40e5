"""Pictures as float32 arrays for calculation, and back to uint8."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Pixels = NDArray[np.uint8]


def as_field(array: Any) -> Field:
    """Any numeric array as float32. OpenCV 5's type hints are too loose for mypy; this makes them exact."""
    return np.asarray(array, dtype=np.float32)


def to_pixels(field: Any) -> Pixels:
    """Round and clip grey levels to uint8. A plain cast would turn 256 into 0."""
    return np.asarray(np.clip(np.rint(field), 0, 255), dtype=np.uint8)
