"""Gates that compare a version with the one in production, on the same test pictures."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from deepfake.base.roc import auc
from deepfake.base.statistics import Metric, paired_differences
from deepfake.bundle.gates.check import MISSING, Check, Checks, Evidence, NothingToJudge, ask
from deepfake.bundle.gates.scores import original_pictures
from deepfake.bundle.predictor import Predictor
from deepfake.evaluate.metrics import tpr_at_fpr
from deepfake.networks.frozen import FROZEN
from deepfake.params.register import Gates
from deepfake.pretrained.clip_weights import tower_graph

PHOTOGRAPHS = "photographs"  # the only gate that can't be forced
AGAINST = ("auc_against_production", "caught_against_production", "latency", "size")
_TIMED_PICTURES = 8
_OURS, _THEIRS = "challenger", "production"


@dataclass(frozen=True)
class Side:
    """One of the two versions.

    Attributes:
        evidence: the stages' reports about it.
    """

    evidence: Evidence
    predictor: Predictor


def check_photographs(rendered: bool, replaced_rendered: bool) -> Check:
    """Fails if a model of rendered pictures only would replace a model of photographs."""
    figure = "trained only on rendered pictures" if rendered else "trained on photographs"
    question = (not rendered or replaced_rendered, figure)
    return ask(lambda: question, limit="must not replace a model of photographs")


def unanswered(why: str) -> Checks:
    """The gates of `check_against` if the version in production can't be loaded."""
    return {name: Check(MISSING, why, "a version in production that can be loaded") for name in AGAINST}


def check_against(
    gates: Gates, ours: Side, theirs: Side, raw: Path, clock: Callable[[], float] = time.perf_counter
) -> Checks:
    """The gates that compare a challenger with production.

    Args:
        ours: the challenger.
        theirs: the version in production.
        raw: the original pictures, from ingest.
        clock: gives seconds.
    """
    found: Checks = {}
    allowed = {"auc": gates.max_auc_loss, "caught": gates.max_caught_loss}
    try:
        lows: dict[str, float] | NothingToJudge = _lowest_gains(ours, theirs, raw, gates.compared_pictures)
    except NothingToJudge as error:
        lows = error
    for name, loss in allowed.items():
        limit = f"at most {loss:g} below production's"
        found[f"{name}_against_production"] = ask(_not_inferior, lows, name, loss, limit=limit)
    found["latency"] = ask(
        lambda: _within(gates.max_slowdown, _slowdown(ours, theirs, raw, clock)),
        limit=f"at most {gates.max_slowdown:g} times production's",
    )
    found["size"] = ask(
        lambda: _within(gates.max_growth, _size(ours.predictor) / _size(theirs.predictor)),
        limit=f"at most {gates.max_growth:g} times production's",
    )
    return found


def _not_inferior(lows: dict[str, float] | NothingToJudge, name: str, loss: float) -> tuple[bool, float]:
    if isinstance(lows, NothingToJudge):
        raise lows
    return lows[name] >= -loss, round(lows[name], 6)


def _within(limit: float, ratio: float) -> tuple[bool, float]:
    return ratio <= limit, round(ratio, 2)


def _lowest_gains(ours: Side, theirs: Side, raw: Path, most: int) -> dict[str, float]:
    """How much better the challenger is than production, at least: lower ends of paired intervals.

    The gains are of AUC, and of the share of fakes caught at the challenger's own false-positive rate.
    """
    predictions = ours.evidence.predictions()
    detector = predictions.first
    if detector.calibration is None:
        raise NothingToJudge("its predictions have no calibration")
    test = _sample(predictions.test, most, predictions.seed)
    scores = _known_scores(theirs.evidence, set(test["image_id"]))
    if scores is None:
        scores = _judged_scores(theirs.predictor, raw, set(test["image_id"]))
    both = pd.DataFrame({
        "label": test["label"], "group": test["group"],
        _OURS: test[detector.score], _THEIRS: test["image_id"].map(scores),
    }).dropna()  # fmt: skip
    if set(both["label"]) != {0, 1}:
        raise NothingToJudge(f"production's scores of its test pictures: {raw} has too few of them")
    metrics: dict[str, Metric] = {
        "auc": auc,
        "caught": partial(tpr_at_fpr, limit=detector.calibration.target_fpr),
    }
    gains = paired_differences(both, _OURS, _THEIRS, metrics, predictions.resamples, predictions.seed)
    return {name: gain.low for name, gain in gains.items()}


def _sample(test: pd.DataFrame, most: int, seed: int) -> pd.DataFrame:
    """Whole groups, chosen at random, with about `most` pictures."""
    groups = np.random.default_rng(seed).permutation(np.unique(test["group"]))
    sizes = test["group"].value_counts().reindex(groups).cumsum()
    return test[test["group"].isin(sizes.index[sizes <= max(most, sizes.iloc[0])])]


def _known_scores(evidence: Evidence, wanted: set[str]) -> pd.Series | None:
    """Production's scores of these pictures in its own test; None if some were not in it."""
    try:
        predictions = evidence.predictions()
    except NothingToJudge:
        return None
    scores = predictions.test.set_index("image_id")[predictions.first.score]
    return scores if wanted <= set(scores.index) else None


def _judged_scores(predictor: Predictor, raw: Path, wanted: set[str]) -> pd.Series:
    """Production's scores now, computed by its own bundle from the original bytes; nan without a face.

    In a picture with several faces, only the largest is compared: two face detectors may find different
    smaller ones.
    """
    found = {
        image_id: predictor.predict(data, assume_face=cropped)[0].score
        for image_id, data, cropped in original_pictures(raw, wanted)
    }
    return pd.Series(found, dtype=np.float64)


def _slowdown(ours: Side, theirs: Side, raw: Path, clock: Callable[[], float]) -> float:
    """The challenger's time divided by production's; median over pictures."""
    wanted = set(ours.evidence.predictions().test["image_id"])
    ratios = []
    for number, (_, data, cropped) in enumerate(
        islice(original_pictures(raw, wanted), _TIMED_PICTURES + 1)
    ):
        seconds = []
        for side in (ours, theirs):
            before = clock()
            side.predictor.predict(data, assume_face=cropped)
            seconds.append(clock() - before)
        if number > 0:  # the first picture also builds graphs and fills caches
            ratios.append(seconds[0] / seconds[1])
    if not ratios:
        raise NothingToJudge(f"{raw} has too few of its test pictures")
    return statistics.median(ratios)


def _size(predictor: Predictor) -> int:
    """Bytes of all files that a verdict needs: the bundle, and the tower of a frozen model."""
    own = sum(path.stat().st_size for path in predictor.bundle.folder.iterdir())
    frozen = predictor.bundle.architecture.model == FROZEN
    return own + (tower_graph().stat().st_size if frozen else 0)
