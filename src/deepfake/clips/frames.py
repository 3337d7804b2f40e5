"""Clips from the frames that ingest took of them: which frames, which scores, which features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from deepfake.embed.features import Embeddings
from deepfake.media.frames import evenly
from deepfake.networks.head import flat

_PATH = r"^(?P<clip>.+)/frame-(?P<number>\d{6,})\.png$"  # of a source of kind `video`
_FACTS = ["label", "source", "generator", "group", "split"]


def clip_frames(rows: pd.DataFrame, min_frames: int) -> pd.DataFrame:
    """The rows that are frames of clips, with `clip` and `number`, in the order of both.

    If a frame has several faces, the largest counts. Clips with fewer than `min_frames` do not count.

    Args:
        rows: `path` and `image_id` of usable pictures, and other columns.
    """
    found = rows["path"].str.extract(_PATH)
    frames = rows.assign(clip=found["clip"], number=found["number"].astype("Int64"))
    frames = frames[found["clip"].notna()].sort_values(["clip", "number", "image_id"])
    frames = frames.drop_duplicates(["clip", "number"])  # the largest face's image_id is the first
    enough = frames.groupby("clip")["clip"].transform("size") >= min_frames
    return frames[enough].reset_index(drop=True)


def clip_facts(frames: pd.DataFrame) -> pd.DataFrame:
    """Label, source, generator, group and split of each clip; the clips are the index, in sorted order."""
    return frames.groupby("clip", sort=True)[_FACTS].first()


def clip_table(frames: pd.DataFrame) -> pd.DataFrame:
    """One row per clip: its facts, its number of frames, and ways to make one score of theirs.

    Args:
        frames: from `clip_frames`, with the frames' scores.

    Returns:
        A frame with the clips as index: label, source, generator, group, split; `frames`; `median`, `mean`
        and `highest` of the scores; the frames' `verdicts` and `reasons` as lists.
    """
    clips = frames.groupby("clip", sort=True)
    score = clips["score"]
    return clip_facts(frames).assign(
        frames=clips.size(), median=score.median(), mean=score.mean(), highest=score.max(),
        verdicts=clips["verdict"].agg(list), reasons=clips["reason"].agg(list),
    )  # fmt: skip


def clip_features(
    frames: pd.DataFrame, embedded: Embeddings, layers: Sequence[int], number: int
) -> np.ndarray:
    """Features of evenly spaced frames of each clip; float32 [clips, number, d], clips in sorted order.

    Args:
        frames: from `clip_frames`.
        embedded: has the plain view of all these frames.
        layers: class tokens that are read.
    """
    place = pd.Series(np.arange(len(embedded.facts)), index=embedded.facts["image_id"])
    chosen = [
        place[ids.to_numpy()].to_numpy()[evenly(len(ids), number)]
        for _, ids in frames.groupby("clip", sort=True)["image_id"]
    ]
    features = flat(embedded.tokens[np.concatenate(chosen)], layers)
    return features.reshape(len(chosen), number, -1)
