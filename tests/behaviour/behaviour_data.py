"""Face shards that a network learns in seconds, and an untrained predictor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from deepfake.base.stage import write_json
from deepfake.bundle.bundle import StageFacts, write_bundle
from deepfake.bundle.predictor import Predictor
from deepfake.evaluate.calibration import Calibration
from deepfake.evaluate.scaling import Scaling
from deepfake.explain.choice import Explanation
from deepfake.explain.references import encode_references
from deepfake.export.export import export
from deepfake.media.encoding import encode_png
from deepfake.networks.detector import WEIGHTS, Architecture, build_detector
from deepfake.params.whole import Params
from deepfake.shards.manifest import FACE_SCHEMA, write_manifest
from deepfake.shards.shards import shard_path, write_shard


def write_faces(
    folder: Path, per_split: int, size: int = 64, seed: int = 0, shuffled: bool = False
) -> Path:
    """Write face shards of smooth pictures; fakes have a weak checkerboard, as after up-convolutions.

    Args:
        shuffled: labels are random, so there is nothing to learn.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for split in ("train", "val", "test"):
        examples = []
        for number in range(per_split):
            fake = number % 2
            crop = np.full((size, size, 3), rng.uniform(60, 190, 3)) + rng.normal(0, 3, (size, size, 3))
            crop += fake * 8.0 * (np.indices((size, size)).sum(axis=0) % 2)[:, :, None]
            label = int(rng.integers(0, 2)) if shuffled else fake
            image_id = f"{split}-{number:04d}"
            generator = ("toy", "other")[number // 2 % 2] if label else "none"
            rows.append({
                "image_id": image_id, "label": label, "split": split, "path": image_id,
                "group": image_id, "source": "toy", "generator": generator,
            })  # fmt: skip
            examples.append({"image_id": image_id, "label": label,
                             "image": encode_png(crop.clip(0, 255).astype(np.uint8))})  # fmt: skip
        write_shard(shard_path(folder / split, 0), pa.Table.from_pylist(examples))
    frame = pd.DataFrame(rows).reindex(columns=FACE_SCHEMA.names)
    write_manifest(
        frame.astype(object).where(frame.notna(), None), folder / "manifest.parquet", FACE_SCHEMA
    )
    return folder


def make_predictor(
    folder: Path, params: Params, statistics: dict, network: str = "hybrid-resnet50", exported: bool = False
) -> Predictor:
    """A predictor with an untrained network, because the tests do not depend on its weights.

    Args:
        exported: ONNX Runtime is its engine.
    """
    architecture = Architecture(network, params.preprocess.size, 0.0, 0.9)
    model = build_detector(architecture)
    (folder / "models" / "detector").mkdir(parents=True)
    model.save_weights(folder / "models" / "detector" / WEIGHTS)
    write_json(folder / "models" / "detector" / "architecture.json", architecture.__dict__)
    write_json(folder / "models" / "detector" / "augmentation.json", {"name": "none", "steps": []})
    calibration = Calibration(
        Scaling("temperature"), 0.5, 0.5, 0.5, 0.5, 0.05, 0.05, 0.1, 1, 1, 1, 1, "pooled", None
    )
    write_json(folder / "models" / "calibration.json", calibration.to_json())
    if exported:
        faces = write_faces(folder / "faces", 8, architecture.size)
        assert export(model, calibration, faces, folder / "models" / "served").runtime == "onnx"
    nothing = np.zeros((1, architecture.size, architecture.size, 3), np.float32)
    (folder / "models" / "references.png").write_bytes(encode_references(nothing))
    metrics: dict = {"test": {}, "per_source": {}}
    found = StageFacts([], statistics, metrics, Explanation("patch-logits", 20, 1.5))
    return Predictor(write_bundle(folder / "bundle", folder / "models", params, found))
