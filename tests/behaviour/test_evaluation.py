"""Evaluation on toy faces: its outputs, and that a killed evaluation resumes at the next shard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from behaviour_data import write_faces

from deepfake.base.errors import ParamsError
from deepfake.base.labels import FAKE
from deepfake.evaluate.calibration import Sample, calibrate
from deepfake.evaluate.evaluate import HeldOut, predict_splits
from deepfake.evaluate.tables import score_table
from deepfake.media.encoding import encode_png
from deepfake.params.whole import Params
from deepfake.shards.manifest import FACE_SCHEMA, read_manifest, write_manifest
from deepfake.shards.shards import read_shard, shard_path, shard_paths, write_shard
from deepfake.train.selection import epoch_choosers


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Toy faces with facts about their files: three shards per split, one of them empty."""
    folder = write_faces(tmp_path / "faces", 64)
    for split in ("train", "val", "test"):
        (shard,) = shard_paths(folder / split)
        table = read_shard(shard)
        write_shard(shard, table[:40])
        write_shard(shard_path(folder / split, 1), table[40:])
        write_shard(shard_path(folder / split, 2), table[:0])  # no picture of it is in this split
    frame = read_manifest(folder / "manifest.parquet")
    facts = {"format": "JPEG", "mode": "RGB", "width": 64, "height": 64, "has_exif": False}
    frame = frame.assign(**facts, bytes=np.where(frame["label"] == FAKE, 4000, 3000), jpeg_quality=90)
    write_manifest(frame, folder / "manifest.parquet", FACE_SCHEMA)
    return folder


class Toy(keras.Model):
    """Recognises fakes by their checkerboard, counts crops, and can stop after some."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__()
        self.seen, self._stop_after = 0, stop_after

    def predict_on_batch(self, x: np.ndarray) -> np.ndarray:
        if self._stop_after is not None and self.seen + len(x) > self._stop_after:
            raise KeyboardInterrupt
        self.seen += len(x)
        detail = np.abs(np.diff(x, axis=2)).mean(axis=(1, 2, 3))
        return (detail - 8.0)[:, None].astype(np.float32)


def test_predictions_hold_all_that_figures_need(
    faces: Path, tmp_path: Path, make_params: Callable[..., Params]
) -> None:
    params = make_params().evaluate
    predictions = predict_splits(Toy(), faces, params, 7, tmp_path / "work", HeldOut())
    frame = predictions.frame
    assert {*frame["split"]} == {"val", "test"} and frame["image_id"].is_monotonic_increasing
    logits = {"logit", "flip_logit", "jpeg80_logit", "scale75_logit", "baseline_logit", "metadata_logit"}
    facts = {"path", "label", "source", "generator", "group", "split"}
    scores = {"score", "baseline_score", "metadata_score", "spread", "verdict", "reason"}
    assert {*frame.columns} == {"image_id"} | facts | logits | scores
    table = score_table(predictions)
    assert table["detectors"] == ["model", "spectrum_baseline", "metadata_baseline"]
    # The files' length depends on the class, and the metadata baseline finds this.
    assert table["test"]["metadata_baseline"]["auc"]["value"] == 1.0
    calibration = predictions.first.calibration
    assert calibration is not None and calibration.max_spread is not None
    for row in frame.itertuples():
        assert row.verdict == calibration.verdict(row.score, row.spread)


def test_the_half_that_chose_the_epoch_sets_no_threshold(
    faces: Path, tmp_path: Path, make_params: Callable[..., Params]
) -> None:
    predictions = predict_splits(Toy(), faces, make_params().evaluate, 7, tmp_path / "work", HeldOut())
    choosers = epoch_choosers(faces, 7)
    val = predictions.frame[predictions.frame["split"] == "val"]
    calibrates = val[~val["image_id"].isin(choosers)]
    assert 0 < len(choosers) < len(val) and len(calibrates) + len(choosers) == len(val)
    for detector in predictions.detectors.values():
        found = detector.calibration
        again = calibrate(Sample.of_rows(calibrates, detector.logit), 0.05, 0.1, rule="worst-source")
        assert replace(found, max_spread=None) == again


@pytest.mark.parametrize("key", ["generators", "selected_on"])
def test_baselines_know_no_fakes_that_the_model_was_not_fitted_on(
    key: str, faces: Path, tmp_path: Path, make_params: Callable[..., Params]
) -> None:
    """Other training pictures of such a generator do not change the baselines."""
    params, held_out = make_params().evaluate, HeldOut(**{key: ("other",)})
    before = predict_splits(Toy(), faces, params, 7, tmp_path / "before", held_out)
    frame = read_manifest(faces / "manifest.parquet")
    changed = (frame["generator"] == "other") & (frame["split"] == "train")
    assert changed.any()
    write_manifest(
        frame.assign(bytes=frame["bytes"].mask(changed, 3000)), faces / "manifest.parquet", FACE_SCHEMA
    )
    names = {*frame.loc[changed, "image_id"]}
    noise = encode_png(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))
    for shard in shard_paths(faces / "train"):
        table = read_shard(shard)
        rows = [r | ({"image": noise} if r["image_id"] in names else {}) for r in table.to_pylist()]
        write_shard(shard, pa.Table.from_pylist(rows, schema=table.schema))
    after = predict_splits(Toy(), faces, params, 7, tmp_path / "after", held_out)
    assert before.held_out == after.held_out == ("other",)
    for column in ("baseline_logit", "metadata_logit"):
        np.testing.assert_array_equal(after.frame[column], before.frame[column])
    everything = predict_splits(Toy(), faces, params, 7, tmp_path / "everything", HeldOut())
    for column in ("baseline_logit", "metadata_logit"):
        assert not np.array_equal(everything.frame[column], before.frame[column])


def test_the_mean_over_views_is_the_logit_where_it_is_asked_for(
    faces: Path, tmp_path: Path, make_params: Callable[..., Params]
) -> None:
    params = make_params(**{"evaluate.mean_of_views": True}).evaluate
    found = predict_splits(Toy(), faces, params, 7, tmp_path / "mean", HeldOut())
    frame, calibration = found.frame, found.first.calibration
    views = frame[["plain_logit", "flip_logit", "jpeg80_logit", "scale75_logit"]]
    np.testing.assert_allclose(frame["logit"], views.mean(axis=1), rtol=1e-5)
    assert calibration is not None and calibration.mean_of_views
    scores = calibration.score(views.to_numpy())
    np.testing.assert_allclose(frame["spread"], scores.max(axis=1) - scores.min(axis=1), atol=1e-6)
    plain = predict_splits(Toy(), faces, make_params().evaluate, 7, tmp_path / "plain", HeldOut())
    np.testing.assert_array_equal(frame["plain_logit"], plain.frame["logit"])
    assert not np.array_equal(frame["logit"], plain.frame["logit"])
    with pytest.raises(ParamsError, match="mean_of_views needs the views"):
        make_params(**{"evaluate.mean_of_views": True, "evaluate.disagreement_quantile": 1.0})


def test_without_views_a_quarter_of_the_passes_is_made(
    faces: Path, tmp_path: Path, make_params: Callable[..., Params]
) -> None:
    params = make_params(**{"evaluate.disagreement_quantile": 1.0}).evaluate
    model = Toy()
    predictions = predict_splits(model, faces, params, 7, tmp_path / "work", HeldOut())
    assert model.seen == 128 and "spread" not in predictions.frame
    assert predictions.first.calibration is not None and predictions.first.calibration.max_spread is None


def test_a_killed_evaluation_goes_on_at_the_next_shard(
    faces: Path, tmp_path: Path, make_params: Callable[..., Params]
) -> None:
    params = make_params().evaluate
    whole = predict_splits(Toy(), faces, params, 7, tmp_path / "whole", HeldOut())
    # It stops two views before the end of val's second shard: the first shard is kept, the second is not.
    killed = Toy(stop_after=4 * 62)
    with pytest.raises(KeyboardInterrupt):
        predict_splits(killed, faces, params, 7, tmp_path / "work", HeldOut())
    rest = Toy()
    resumed = predict_splits(rest, faces, params, 7, tmp_path / "work", HeldOut())
    assert rest.seen == 4 * (128 - 40)
    pd.testing.assert_frame_equal(resumed.frame, whole.frame)
    assert resumed.detectors == whole.detectors
