"""Toy clips: what the stage clips reads, with frames that tell real from fake by their order, or do not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from starter_helpers import CALIBRATION

from deepfake.base.labels import FAKE
from deepfake.clips.sources import ClipSources
from deepfake.evaluate.predictions import MODEL, Predictions, calibrated
from deepfake.networks.detector import Architecture, save_detector
from deepfake.networks.frozen import FROZEN, FrozenDetector
from deepfake.networks.head import Head
from deepfake.params.clips import Clips, Temporal
from deepfake.shards.manifest import SCHEMA, write_manifest
from deepfake.shards.shards import array_column, shard_path, write_shard

TOKENS, WIDTH, FRAMES, LAYERS = 13, 8, 6, (5, 12)
PARAMS = Clips(
    min_frames=4, temporal=Temporal(min_clips=20, frames=6, axes=4, units=4, epochs=15)
)  # fmt: skip
ENOUGH = {"train": 40, "val": 30, "test": 30}  # clips of each class


def toy_frames(number: Mapping[str, int], seed: int = 0) -> pd.DataFrame:
    """Frames of clips, one group each. Frames of a clip have similar logits; fakes have higher ones."""
    rng = np.random.default_rng(seed)
    rows = []
    for split, of_split in number.items():
        for clip in range(2 * of_split):
            label, of_clip = clip % 2, rng.normal()
            kind = ("tv", "none") if label != FAKE else ("swap", f"swap{clip % 4 // 2}")
            path = f"clips/{kind[0]}/{split}-{clip:04d}.mp4"
            rows += [
                {
                    "image_id": f"{split}-{clip:04d}-{frame}", "path": f"{path}/frame-{10 * frame:06d}.png",
                    "label": label, "source": kind[0], "generator": kind[1], "group": path, "split": split,
                    "logit": of_clip + rng.normal() / 2 + 1.5 * label,
                }
                for frame in range(FRAMES)
            ]  # fmt: skip
    frame = pd.DataFrame(rows).assign(distance=0.0)
    frame["score"] = CALIBRATION.score(frame["logit"].to_numpy())
    frame["verdict"] = [CALIBRATION.verdict(score) for score in frame["score"]]
    frame["reason"] = [CALIBRATION.reason(score) for score in frame["score"]]
    return frame


def toy_tokens(frames: pd.DataFrame, by_order: bool) -> np.ndarray:
    """float16 [n, 13, 8]: noise; `by_order`: one feature rises through a real clip and falls in a fake."""
    tokens = np.random.default_rng(1).normal(size=(len(frames), TOKENS, WIDTH))
    if by_order:
        place = np.tile(np.linspace(-1.0, 1.0, FRAMES), len(frames) // FRAMES)
        tokens[:, :, 0] = 5.0 * np.where(frames["label"] == FAKE, -place, place)[:, None]
    return tokens.astype(np.float16)


def toy_sources(folder: Path, frames: pd.DataFrame, tokens: np.ndarray) -> ClipSources:
    """Write the folders that the stage reads."""
    facts = pd.DataFrame({name: pd.Series([None] * len(frames), dtype=object) for name in SCHEMA.names})
    known = [name for name in SCHEMA.names if name in frames]
    write_manifest(facts.assign(**frames[known]), folder / "faces/manifest.parquet")
    for split in frames["split"].unique():
        mine = (frames["split"] == split).to_numpy()
        rows = frames.loc[mine, ["image_id", "source", "generator", "group", "label", "split"]]
        table = pa.Table.from_pandas(rows.assign(view="plain"), preserve_index=False)
        table = table.append_column("tokens", array_column(tokens[mine]))
        write_shard(shard_path(folder / "embeddings" / split, 0), table)
    size = WIDTH * len(LAYERS)
    zeros = np.zeros(size, np.float32)
    head = Head(
        LAYERS, zeros, zeros + 1, zeros[None], np.zeros(1, np.float32), np.eye(WIDTH, 2, dtype=np.float32),
        np.zeros((1, 2), np.float32),
    )  # fmt: skip
    fakes = frames[(frames["split"] == "val") & (frames["label"] == FAKE)]
    detector = FrozenDetector(head, leave_one_out=fakes[["image_id", "generator", "group", "logit"]])
    save_detector(detector, Architecture(FROZEN, 224, 0.0, 0.0, layers=LAYERS), folder / "detector")
    judged = frames[frames["split"] != "train"].reset_index(drop=True)
    detectors = {MODEL: calibrated("score", "logit", CALIBRATION)}
    predictions = Predictions(judged, detectors, (), {}, 200, 5, 7)
    return ClipSources(predictions, folder / "faces", folder / "embeddings", folder / "detector")
