"""Generalisation: fakes of generators that nothing before evaluation has seen."""

from __future__ import annotations

import pandas as pd

from deepfake.shards.manifest import FAKE, HOLDOUT, usable


def unseen_generators(manifest: pd.DataFrame) -> list[str]:
    """Generators whose kept pictures are all in `holdout`.

    Siblings of held-out fakes go there with them; their generators were trained on and do not count.
    """
    fakes = usable(manifest)[lambda frame: frame["label"] == FAKE]
    inside = fakes["split"] == HOLDOUT
    return sorted({*fakes.loc[inside, "generator"]} - {*fakes.loc[~inside, "generator"]})
