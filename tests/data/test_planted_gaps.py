"""A planted difference of files, not of faces, separates the classes before preprocess, but not after."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import tiny_params
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from deepfake.base.parameters import parse_params
from deepfake.demo.corpus import make_pair
from deepfake.ingest.ingest import ingest
from deepfake.ingest.raw import RawData
from deepfake.media.encoding import jpeg_round_trip
from deepfake.params.whole import Params
from deepfake.preprocess.preprocess import preprocess
from deepfake.preprocess.splits import SplitRule
from deepfake.shards.manifest import usable
from deepfake.shards.shards import read_examples

PICTURES, SIDE = 90, 48
GAPS = ("resolution", "jpeg", "exif")


def file_of(crop: np.ndarray, fake: bool, gap: str) -> bytes:
    """A JPEG of the same kind of picture for both classes; only its history depends on the class."""
    options: dict = {"quality": 90}
    if gap == "resolution":
        # Both sizes are well above the common side. A known limit: 128 against 72 pixels leaves a trace at
        # 48 even with a blur (AUC 0.64, interval 0.52 to 0.77).
        side = 192 if fake else 96
        crop = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    elif gap == "jpeg":
        crop = jpeg_round_trip(crop, 98 if fake else 60, "yuv420")
        options["quality"] = 98 if fake else 60
    elif fake:
        exif = Image.Exif()
        exif[0x0131] = "made by a machine"
        options["exif"] = exif
    file = io.BytesIO()
    Image.fromarray(crop).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def portraits() -> list[np.ndarray]:
    """A picture that does not depend on the class, uint8 [192, 192, 3]: only the files differ."""
    return [make_pair(3, number, 192)[0] for number in range(PICTURES)]


def write_gap(root: Path, gap: str, portraits: list[np.ndarray]) -> None:
    for number, portrait in enumerate(portraits):
        fake = bool(number % 2)
        crop = portrait
        if gap != "resolution":
            crop = cv2.resize(portrait, (128, 128), interpolation=cv2.INTER_AREA)
        folder = root / ("fake/made" if fake else "real/taken")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:03d}.jpg").write_bytes(file_of(crop, fake, gap))


def params(root: Path, enabled: bool) -> Params:
    source = {"kind": "folder", "name": "folder", "path": ".", "cropped": True}
    return parse_params(Params,
        tiny_params(**{
            "ingest.root": str(root), "ingest.sources": [source], "preprocess.size": SIDE,
            "preprocess.neutralise.enabled": enabled, "preprocess.neutralise.blur": 1.0,
            "preprocess.neutralise.jpeg_quality": 35,
        }), origin="test",
    )  # fmt: skip


def sharpness(crop: np.ndarray) -> list[float]:
    grey = crop.mean(axis=2)
    edges = cv2.Laplacian(grey, cv2.CV_64F)
    grain = np.abs(grey - cv2.medianBlur(grey.astype(np.uint8), 3)).mean()
    blocks = np.abs(np.diff(grey, axis=1))[:, 7::8].mean() / (np.abs(np.diff(grey, axis=1)).mean() + 1e-6)
    return [np.log(edges.var() + 1), grain, float(blocks)]


def auc(features: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    """Cross-validated AUC and its 95 % bootstrap interval."""
    model = make_pipeline(StandardScaler(), LogisticRegression())
    scores = cross_val_predict(model, features, labels, cv=5, method="predict_proba")[:, 1]
    rng, values = np.random.default_rng(0), []
    for _ in range(300):
        resampled = rng.integers(0, len(labels), len(labels))
        values.append(roc_auc_score(labels[resampled], scores[resampled]))
    return (float(roc_auc_score(labels, scores)), *map(float, np.percentile(values, [2.5, 97.5])))


def examined(raw: Path, out: Path, settings: Params) -> tuple[np.ndarray, np.ndarray]:
    """File facts and sharpness. With neutralise on, the facts are those of the files that training reads.

    Returns:
        float64 [pictures, 6] and the labels.
    """
    source = RawData.read(raw, settings.ingest)
    frame, _, _ = preprocess(source, settings.preprocess, SplitRule(7), out, 1)
    neutral = settings.preprocess.neutralise.enabled
    rows, features, labels = usable(frame).set_index("image_id"), [], []
    for path in sorted(out.rglob("shard-*.arrow")):
        for record in read_examples(path):
            crop, row = Image.open(io.BytesIO(record["image"])), rows.loc[record["image_id"]]
            original = [row["width"], row["jpeg_quality"], row["has_exif"]]
            finished = [crop.width, len(crop.info), len(record["image"])]
            facts = finished if neutral else original
            features.append([*map(float, facts), *sharpness(np.asarray(crop))])
            labels.append(record["label"])
    return np.array(features), np.array(labels)


@pytest.mark.parametrize("gap", GAPS)
def test_a_planted_gap_is_clear_before_and_at_chance_after(
    gap: str, portraits: list[np.ndarray], tmp_path: Path
) -> None:
    write_gap(tmp_path / "in", gap, portraits)
    before, after = params(tmp_path / "in", False), params(tmp_path / "in", True)
    ingest(before.ingest, 7, tmp_path / "raw", workers=1)
    value, low, _ = auc(*examined(tmp_path / "raw", tmp_path / "off", before))
    assert value > 0.9 and low > 0.8, f"{gap}: the gap was not planted, AUC {value:.2f}"
    value, low, high = auc(*examined(tmp_path / "raw", tmp_path / "on", after))
    assert low <= 0.5 <= high, f"{gap}: AUC {value:.2f} [{low:.2f}, {high:.2f}]"
