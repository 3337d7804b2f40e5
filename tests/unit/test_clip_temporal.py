"""The temporal model: it ships only if the order of frames tells more than the median; serving runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from clip_toys import ENOUGH, FRAMES, LAYERS, PARAMS, TOKENS, WIDTH, toy_frames, toy_sources, toy_tokens
from starter_helpers import CALIBRATION

from deepfake.base.labels import Verdict
from deepfake.bundle.predictor import FaceVerdict
from deepfake.clips.clips import ClipFindings, judge_clips
from deepfake.clips.outputs import write_clips
from deepfake.clips.temporal import TEMPORAL, load_temporal
from deepfake.media.frames import evenly
from deepfake.networks.head import flat
from deepfake.report.page import environment
from deepfake.serve.track_verdict import NOT_ON_CLIPS, TrackJudge
from deepfake.serve.tracks import Appearance


def found_in(folder: Path, by_order: bool) -> ClipFindings:
    frames = toy_frames(ENOUGH)
    started: list[int] = []
    sources = toy_sources(folder, frames, toy_tokens(frames, by_order))
    found = judge_clips(sources, PARAMS, lambda: started.append(1))
    assert started == [1]
    write_clips(found, CALIBRATION, folder / "models", folder / "reports")
    return found


@pytest.fixture(scope="module")
def won(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClipFindings, Path]:
    folder = tmp_path_factory.mktemp("won")
    return found_in(folder, by_order=True), folder / "models"


def test_it_ships_where_the_order_of_frames_tells_real_from_fake(won: tuple[ClipFindings, Path]) -> None:
    found, folder = won
    way = found.facts["ways"]["temporal"]
    assert way["auc"]["value"] > 0.95 and way["minus_median"]["low"] > 0.0
    assert found.rule.temporal and found.facts["temporal"] == "the temporal model judges clips"
    limits = found.rule.limits
    assert limits is not None and limits.scaling.method == "platt" and (folder / TEMPORAL).is_file()
    page = environment().get_template("sections/clips.html").render(facts=found.facts, figures={})
    assert "The temporal model judges clips: fake from" in page
    test = found.clips[found.clips["split"] == "test"]
    assert (test["verdict_of_clip"] == np.where(test["label"], "fake", "real")).mean() > 0.8


def test_it_does_not_ship_where_the_frames_say_nothing(tmp_path: Path) -> None:
    found = found_in(tmp_path, by_order=False)
    assert found.facts["ways"]["temporal"]["minus_median"]["low"] < 0.0
    assert not found.rule.temporal and found.model is None and found.rule.limits is not None
    assert found.facts["temporal"].endswith(
        "the test split does not show that its AUC is above that of the median"
    )
    assert not (tmp_path / "models" / TEMPORAL).exists()


def test_numpy_computes_what_keras_computes(won: tuple[ClipFindings, Path]) -> None:
    import keras

    model = load_temporal(won[1] / TEMPORAL)
    features = np.random.default_rng(2).normal(size=(5, FRAMES, WIDTH * len(LAYERS))).astype(np.float32)
    twin = keras.Sequential([
        keras.Input((FRAMES, model.axes.shape[1])), keras.layers.GRU(len(model.recurrent)),
        keras.layers.Dense(1),
    ])  # fmt: skip
    head = [model.weights[:, None], model.offset[None]]
    twin.set_weights([model.kernel, model.recurrent, model.bias, *head])
    places = ((features - model.mean) / model.deviation) @ model.axes
    expected = np.asarray(twin.predict_on_batch(places))[:, 0]
    assert model(features) == pytest.approx(expected, abs=1e-5) and np.ptp(expected) > 0.01


class TokensPredictor:
    """A predictor whose tower finds a crop's number: the token's first feature is the grey of the crop."""

    def __init__(self, folder: Path | None) -> None:
        self.bundle = SimpleNamespace(file=lambda name: self._file(folder, name))

    @staticmethod
    def _file(folder: Path | None, name: str) -> Path | None:
        return None if folder is None or not (folder / name).is_file() else folder / name

    def tokens(self, crops: np.ndarray) -> np.ndarray:
        tokens = np.zeros((len(crops), TOKENS, WIDTH), np.float32)
        tokens[:, :, 0] = (crops[:, 0, 0, 0].astype(np.float32) / 25.0 - 5.0)[:, None]
        return tokens


def track(greys: Sequence[int]) -> list[Appearance]:
    """Frames of one face: the score of each is 0.5, its verdict uncertain."""
    faces = [
        FaceVerdict(0, 0.5, Verdict.UNCERTAIN, "why", 0.6, crop=np.full((2, 2, 3), grey, np.uint8))
        for grey in greys
    ]
    return [Appearance(n, n / 2, face) for n, face in enumerate(faces)]


def test_serving_judges_a_track_by_the_order_of_its_frames(won: tuple[ClipFindings, Path]) -> None:
    found, folder = won
    predictor: Any = TokensPredictor(folder)
    judge = TrackJudge(predictor)
    rising, falling = judge(track(range(0, 251, 25))), judge(track(range(250, -1, -25)))
    assert (rising.verdict, falling.verdict) == (
        "real",
        "fake",
    ) and rising.score < 0.2 < 0.8 < falling.score
    assert (
        falling.threshold == found.rule.limits.threshold != 0.6 and "at or above the limit" in falling.why
    )
    assert rising.note == "the limits for clips are calibrated on 30 real and 30 fake clips"
    model = load_temporal(folder / TEMPORAL)
    crops = np.array([one.face.crop for one in track(range(0, 251, 25))])[evenly(11, FRAMES)]
    logit = model(flat(predictor.tokens(crops), LAYERS)[None])
    assert rising.score == pytest.approx(float(found.rule.limits.score(logit)[0]))
    short = judge(track([0, 125, 250]))
    assert (short.verdict, short.reason) == ("uncertain", "0 of 3 frames look fake, 0 look real")
    assert short.note == NOT_ON_CLIPS and short.threshold == 0.6
