"""Generalisation: fakes of generators that no stage before evaluation saw."""

from __future__ import annotations

import pandas as pd

from deepfake.base.labels import FAKE
from deepfake.shards.manifest import HOLDOUT, usable


def holdout_generators(manifest: pd.DataFrame) -> list[str]:
    """Generators that have all their usable pictures in `holdout`.

    The split also has other fakes of the same groups. Training saw their generators: these do not count.
    """
    fakes = usable(manifest)[lambda frame: frame["label"] == FAKE]
    inside = fakes["split"] == HOLDOUT
    return sorted({*fakes.loc[inside, "generator"]} - {*fakes.loc[~inside, "generator"]})
