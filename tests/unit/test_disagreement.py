"""Views of a crop: of the same size, slightly different, judged in one batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from calibration_data import alone

from deepfake.evaluate.calibration import calibrate
from deepfake.evaluate.disagreement import judge, spread
from deepfake.media.views import everyday_views


def crops() -> np.ndarray:
    """Three smooth pictures with a detail on one side."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(40.0, 200.0, 64)[None, :, None] + rng.uniform(0, 20, (3, 1, 1, 3))
    pictures = np.broadcast_to(ramp, (3, 64, 64, 3)).copy()
    pictures[:, 20:30, 5:15] = 10.0
    return pictures.astype(np.uint8)


def test_every_view_is_a_small_change_of_the_crop() -> None:
    plain = crops()
    seen = everyday_views(plain)
    assert list(seen) == ["plain", "flip", "jpeg80", "scale75"]
    assert np.array_equal(seen["flip"][:, :, ::-1], plain)
    for name in ("jpeg80", "scale75"):
        assert seen[name].shape == plain.shape and seen[name].dtype == np.uint8
        change = np.abs(seen[name].astype(float) - plain).mean()
        assert 0.1 < change < 8.0


def test_views_are_judged_in_one_batch_and_only_when_asked_for() -> None:
    batches = []

    class Model:
        input_shape = (None, 32, 32, 3)

        def predict_on_batch(self, pixels: np.ndarray) -> np.ndarray:
            batches.append(len(pixels))
            return pixels.mean(axis=(1, 2, 3), dtype=np.float32)[:, None]

    judged = judge(Model(), crops(), degraded=True)
    logits = judged.logits
    assert (
        judged.distance is None
        and batches == [12]
        and all(values.shape == (3,) for values in logits.values())
    )
    alone = judge(Model(), crops(), degraded=False).logits
    assert batches == [12, 3] and list(alone) == ["plain"]
    assert alone["plain"] == pytest.approx(logits["plain"])


def test_the_spread_is_of_calibrated_scores() -> None:
    values, labels = np.linspace(-4.0, 4.0, 200), np.repeat([0, 1], 100)
    calibration = replace(calibrate(alone(values, labels), 0.05, 0.1), max_spread=0.5)
    found = spread(calibration, {"plain": np.array([0.0, 9.0]), "flip": np.array([2.0, 9.5])})
    expected = calibration.score(np.array([2.0]))[0] - calibration.score(np.array([0.0]))[0]
    assert found[0] == pytest.approx(expected) and found[1] < 0.01
    assert spread(calibration, {"plain": np.array([1.0])})[0] == 0.0
