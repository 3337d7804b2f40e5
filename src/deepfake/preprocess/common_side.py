"""What `preprocess.neutralise` leaves to the data: the side that every face is brought to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from deepfake.base.errors import SourceError
from deepfake.media.history import History
from deepfake.params.preprocess import Neutralise


def resolve_history(params: Neutralise, size: int, sides: Mapping[str, Sequence[int]]) -> History:
    """Settle what `params` leaves to the data.

    Args:
        size: side of a finished crop in pixels.
        sides: native sides in pixels of the training faces, by class name.

    Returns:
        The history. With `cap: auto` its band is `size`, or the `auto_percentile` of the class whose
        faces are smaller there where that is less: the network would not see a larger one, which only
        drops or enlarges more faces. It is never less than `min_side`.

    Raises:
        SourceError: a class has no training face for `cap: auto` to look at.
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
            f"no {' and no '.join(empty)} face in the training pictures to choose a common size from: "
            "add pictures, or give preprocess.neutralise.cap a number"
        )
    low = min(float(np.percentile(list(each), params.auto_percentile)) for each in sides.values())
    return max(params.min_side, min(size, int(low)))
