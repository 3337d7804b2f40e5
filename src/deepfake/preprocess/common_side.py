"""The common side of all faces, which `preprocess.neutralise` may choose from the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from deepfake.base.errors import SourceError
from deepfake.media.history import History
from deepfake.params.preprocess import Neutralise


def resolve_history(params: Neutralise, size: int, sides: Mapping[str, Sequence[int]]) -> History:
    """The history of all faces, with the common side chosen from the data if `params.cap` is `auto`.

    Args:
        size: side of a finished crop in pixels.
        sides: native sides in pixels of the training faces, by class name.

    Returns:
        The history. With `cap: auto` its band is the `auto_percentile` of the sides of the class that has
        the smaller one. The band is at most `size`: a larger one would drop or enlarge more faces, and the
        network would not see the difference. It is at least `min_side`.

    Raises:
        SourceError: `cap` is `auto`, and a class has no training face.
    """
    return History(
        border=params.border,
        band=_common_side(params, size, sides) if params.cap == "auto" else params.cap,
        enlarge=params.enlarge,
        blur=params.blur,
        jpeg_quality=params.jpeg_quality,
        subsampling=params.subsampling,
    )


def _common_side(params: Neutralise, size: int, sides: Mapping[str, Sequence[int]]) -> int:
    empty = [name for name, values in sides.items() if not values]
    if empty:
        raise SourceError(
            f"the training pictures have no {' and no '.join(empty)} face to choose a common size from: "
            "add pictures, or set preprocess.neutralise.cap to a number"
        )
    low = min(float(np.percentile(list(each), params.auto_percentile)) for each in sides.values())
    return max(params.min_side, min(size, int(low)))
