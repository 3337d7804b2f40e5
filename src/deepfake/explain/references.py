"""References: fine detail in which the model sees nothing fake, to put in the place of a picture's own.

What counts as the absence of evidence decides what an explanation shows. A blurred or grey picture, as
usual elsewhere, is none for a detector of traces: it may look more fake than the fake. A picture with
its own coarse content and the fine detail of reals is: the face stays, the traces go. So that no person
can be recognised in a reference that is shipped with a model, it is a patchwork of many people's. A frozen
tower, trained on pictures of any sharpness, needs none: its fakes lose their score without any detail.
"""

from __future__ import annotations

import numpy as np

from deepfake.explain.heat import blurred, logits
from deepfake.media.encoding import decode_crop, encode_png
from deepfake.networks.detector import Detector
from deepfake.networks.frozen import FrozenDetector

REFERENCES = 2  # so that no single patch decides; time is proportional
_COARSE = 1 / 32  # sigma of what counts as coarse, share of the side
_CELL = 8  # pixels, JPEG's block: the side of a patch
_SUREST = 0.25  # share of the reals, those with the lowest logits, that patches come from
_GREY = 128


def with_detail(crops: np.ndarray, details: np.ndarray) -> np.ndarray:
    """Pictures with other detail in place of their own.

    Args:
        crops: [n, size, size, 3], RGB 0..255.
        details: [n or 1, size, size, 3], from `fine_detail` or a reference.

    Returns:
        float32 [n, size, size, 3], 0..255.
    """
    return np.clip(blurred(crops, _COARSE * crops.shape[1]) + details, 0.0, 255.0)


def fine_detail(crops: np.ndarray) -> np.ndarray:
    """What blurring takes from pictures [n, size, size, 3]; float32, grey levels about 0."""
    return crops.astype(np.float32) - blurred(crops, _COARSE * crops.shape[1])


def substitutes(model: Detector, pictures: np.ndarray, donors: np.ndarray) -> np.ndarray:
    """What pictures look like without evidence: with the detail of donors; for a frozen tower with none.

    Measured on the starter, with 16 fakes: without detail every logit falls, by 3.9 in the mean; with a
    real's detail by 2.7, and one in four by less than `MIN_FALL`.

    Args:
        pictures: [n, size, size, 3], RGB 0..255.
        donors: real pictures of the same size, one or more; they take turns.
    """
    if isinstance(model, FrozenDetector):
        return with_detail(pictures, np.zeros((1, *pictures.shape[1:]), np.float32))
    return with_detail(pictures, fine_detail(donors[np.arange(len(pictures)) % len(donors)]))


def make_references(model: Detector, reals: np.ndarray, seed: int) -> np.ndarray:
    """Patchworks of the detail of reals, each patch from another picture, at the place where it was.

    For a frozen tower one without any detail.

    Args:
        reals: [n, size, size, 3], RGB 0..255, real pictures of the training split.

    Returns:
        float32 [1 or REFERENCES, size, size, 3], whole grey levels from -128 to 127.
    """
    if isinstance(model, FrozenDetector):
        return np.zeros((1, *reals.shape[1:]), np.float32)
    order = np.argsort(logits(model, reals), kind="stable")
    pool = fine_detail(reals[order[: max(1, int(_SUREST * len(reals)))]])
    size, rng = reals.shape[1], np.random.default_rng(seed)
    made = np.empty((REFERENCES, size, size, 3), np.float32)
    for row in range(0, size, _CELL):
        for column in range(0, size, _CELL):
            place = (slice(row, row + _CELL), slice(column, column + _CELL))
            fit = _ordinary(pool[(slice(None), *place)])
            for one, donor in zip(made, rng.choice(fit, REFERENCES), strict=True):
                one[place] = pool[donor][place]
    return np.clip(made.round(), -_GREY, _GREY - 1)


def _ordinary(patches: np.ndarray) -> np.ndarray:
    """Numbers of the half with middling power: one patch with an edge would light up in every map."""
    power = (patches**2).mean(axis=(1, 2, 3))
    order = np.argsort(power, kind="stable")
    return order[len(order) // 4 : len(order) - len(order) // 4]


def encode_references(references: np.ndarray) -> bytes:
    """A PNG of what `make_references` gave, one below the other; `decode_references` gives it back."""
    size = references.shape[1]
    return encode_png((references + _GREY).astype(np.uint8).reshape(-1, size, 3))


def decode_references(png: bytes) -> np.ndarray:
    """float32 [1 or REFERENCES, size, size, 3] from `encode_references`."""
    sheet = decode_crop(png)
    return sheet.reshape(-1, sheet.shape[1], sheet.shape[1], 3).astype(np.float32) - _GREY
