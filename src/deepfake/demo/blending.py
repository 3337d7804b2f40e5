"""Code that the generators share: a finished picture, and masks of the parts that they alter."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from deepfake.demo.brushes import edge, white
from deepfake.demo.traits import FacePlace
from deepfake.media.fields import Field, Pixels, as_field


class Shot(NamedTuple):
    """A finished picture, uint8 [S, S, 3] RGB, and the place of the face in it."""

    pixels: Pixels
    face: FacePlace


def face_mask(rng: np.random.Generator, face: FacePlace, side: int) -> Field:
    """A soft, uneven mask of the inner face: float32 [side, side] in [0, 1]."""
    u, v = face.grid(side)
    u, v = face.turned(u, v)
    wobble = cv2.resize(white(rng, 4, 4), (side, side), interpolation=cv2.INTER_CUBIC)
    reach = np.hypot(u / rng.uniform(0.72, 0.95), (v - 0.28) / rng.uniform(0.78, 1.0))
    return edge(as_field(reach - 1 + 0.05 * as_field(wobble)), rng.uniform(0.15, 0.5))


def region_mask(rng: np.random.Generator, face: FacePlace, side: int) -> Field:
    """A soft mask over one, two or all of eyes, nose and mouth: float32 [side, side] in [0, 1]."""
    u, v = face.grid(side)
    u, v = face.turned(u, v)
    parts = {
        "eyes": np.hypot(u / 0.72, (v + 0.05) / 0.33),
        "nose": np.hypot(u / 0.34, (v - 0.32) / 0.36),
        "mouth": np.hypot(u / 0.5, (v - 0.83) / 0.27),
    }
    chosen = rng.choice(list(parts), size=rng.integers(1, 4), replace=False)
    reach = np.min([parts[part] for part in chosen], axis=0)
    return edge(as_field(reach - 1), rng.uniform(0.1, 0.3))
