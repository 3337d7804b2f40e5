"""Toy features for a study of heads: one generator without clips, and one swap with its clips."""

from __future__ import annotations

import numpy as np
import pandas as pd

from deepfake.base.labels import FAKE, REAL
from deepfake.embed.features import JUDGING, Embeddings

TOKENS, WIDTH = 13, 8
_SPLITS = ("train", "val", "test")


def toy_embeddings() -> Embeddings:
    """90 reals of two sources, 45 fakes of each generator; swaps share groups with `video`.

    Fakes of every kind are one deviation away, along one common axis.
    """
    rows = []
    for number in range(45):
        split = _SPLITS[number // 5 % 3]
        clip = f"clip{number // 5}"
        rows += [
            _row(f"photo{number}", 0, "photos", "none", f"photo{number}", split),
            _row(f"frame{number}", 0, "video", "none", clip, split),
            _row(f"gan{number}", 1, "gan", "gan", f"gan{number}", split),
            _row(f"diffusion{number}", 1, "diffusion", "diffusion", f"diffusion{number}", split),
            _row(f"swap{number}", 1, "swaps", "swap", clip, split),
        ]
    facts = pd.DataFrame([view for row in rows for view in _views(row)])
    rng = np.random.default_rng(0)
    tokens = rng.normal(size=(len(facts), TOKENS, WIDTH))
    fake = (facts["label"] == FAKE) | facts["view"].str.startswith("self-blended")
    tokens[fake.to_numpy(), :, 0] += 2.0
    return Embeddings(facts, tokens.astype(np.float16))


def _row(image_id: str, label: int, source: str, generator: str, group: str, split: str) -> dict:
    return {
        "image_id": image_id, "label": label, "source": source, "generator": generator, "group": group,
        "split": split,
    }  # fmt: skip


def _views(row: dict) -> list[dict]:
    names = ["plain"]
    if row["split"] == "train":
        names += ["augmented-1"] + ["self-blended-1"] * (row["label"] == REAL)
    if row["label"] == FAKE or row["split"] != "train":
        names += JUDGING
    return [row | {"view": name} for name in names]
