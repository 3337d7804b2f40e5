"""The scores of every explanation method, with intervals, and those of a random and a centred map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from deepfake.base.statistics import Interval, bootstrap_weights, interval, mean
from deepfake.explain.choice import RULE, choose, no_method, reasons_against
from deepfake.explain.faithfulness import Faithful, area, curves
from deepfake.explain.localisation import overlap, pointing
from deepfake.explain.methods import Explainer, methods_of
from deepfake.explain.order import centre_maps, random_maps, rank_correlations, ranks
from deepfake.explain.sanity import randomised, recompressed
from deepfake.networks.detector import Detector
from deepfake.networks.frozen import FrozenDetector

_CHECKED = 4  # one picture in four gets the sanity checks, which need three more maps each
_MOST_CHECKED = 4
_RESAMPLES = 1000

Scores = dict[str, np.ndarray]  # one value per picture: float64 [n]


class Located(NamedTuple):
    """Fakes with known manipulated places: crops float32, masks bool [n, size, size], groups [n]."""

    crops: np.ndarray
    masks: np.ndarray
    groups: np.ndarray


class Samples(NamedTuple):
    """The pictures that score the methods; each part may be empty."""

    fakes: Faithful
    located: Located


def score_methods(
    model: Detector,
    samples: Samples,
    references: np.ndarray,
    seed: int,
    methods: Mapping[str, Explainer] | None = None,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Score the methods, a random map and a centred map on the same pictures.

    Args:
        methods: by name; None: all that apply to the model.

    Returns:
        The table for reports/explain/facts.json, and each method's maps of `samples.fakes`, float32
        [n, size, size].
    """
    fakes, located = samples
    methods = methods_of(model) if methods is None else methods
    size = fakes.crops.shape[1]
    several = (len(fakes.crops), len(located.crops))
    maps: dict[str, tuple[np.ndarray, np.ndarray]] = {
        "random": (random_maps(several[0], size, seed), random_maps(several[1], size, seed + 1)),
        "centre": (centre_maps(several[0], size), centre_maps(several[1], size)),
    }
    ties = maps["random"]
    found: dict[str, Scores] = {}
    with tqdm(total=3 * len(methods) + len(maps), desc="score explanations", unit="step") as bar:
        for name in maps:
            found[name] = _map_scores(model, samples, maps[name], ties)
            bar.update()
        for name, method in methods.items():
            explain = partial(_heat, method, references)
            maps[name] = (explain(model, fakes.crops), explain(model, located.crops))
            bar.update()
            found[name] = _map_scores(model, samples, maps[name], ties)
            bar.update()
            found[name] |= _sanity_scores(explain, model, seed, fakes.crops, maps[name][0])
            bar.update()
    return _table(found, samples, list(methods), seed), {name: maps[name][0] for name in methods}


def _heat(method: Explainer, references: np.ndarray, model: Detector, crops: np.ndarray) -> np.ndarray:
    return method(model, crops, references) if len(crops) else np.empty(crops.shape[:3], np.float32)


def _map_scores(
    model: Detector,
    samples: Samples,
    maps: tuple[np.ndarray, np.ndarray],
    ties: tuple[np.ndarray, np.ndarray],
) -> Scores:
    fakes, located = samples
    scores: Scores = {}
    if len(fakes.crops):
        found = curves(model, fakes, ranks(maps[0], ties[0]), _steps(model))
        deletion, insertion = area(found.deletion), area(found.insertion)
        scores |= {"deletion": deletion, "insertion": insertion, "faithfulness": insertion - deletion}
    if len(located.crops):
        order = ranks(maps[1], ties[1])
        scores |= {"pointing": pointing(order, located.masks), "iou": overlap(order, located.masks)}
    return scores


def _sanity_scores(
    explain: Callable[[Detector, np.ndarray], np.ndarray],
    model: Detector,
    seed: int,
    crops: np.ndarray,
    heat: np.ndarray,
) -> Scores:
    """Rank correlations of the maps with those of the shuffled model, and with those after JPEG."""
    if not len(crops):
        return {}
    some = slice(0, min(-(-len(crops) // _CHECKED), _MOST_CHECKED))
    others = {"jpeg_stability": explain(model, recompressed(crops[some]))}
    for name, head_only in (("randomised_head", True), ("randomised_full", False)):
        with randomised(model, seed, head_only) as forgetful:
            others[name] = explain(forgetful, crops[some])
    return {name: rank_correlations(heat[some], maps) for name, maps in others.items()}


def _table(found: Mapping[str, Scores], samples: Samples, methods: list[str], seed: int) -> dict[str, Any]:
    groups = {"pointing": samples.located.groups, "iou": samples.located.groups}
    rows: dict[str, dict[str, Any]] = {
        name: {
            key: mean_interval(values, groups.get(key, samples.fakes.groups), seed).to_json()
            for key, values in scores.items()
        }
        for name, scores in found.items()
    }
    if len(samples.fakes.crops):
        blind = [name for name in found if name not in methods]
        rival = max(blind, key=lambda name: found[name]["faithfulness"].mean())
        for name in methods:
            gain = found[name]["faithfulness"] - found[rival]["faithfulness"]
            rows[name]["gain"] = mean_interval(gain, samples.fakes.groups, seed).to_json()
            rows[name]["rival"] = rival
            rows[name]["speed_up"] = _speed_up(found[name]["deletion"], found["random"]["deletion"])
    pictures = len(samples.fakes.crops)
    for name in methods:
        rows[name]["against"] = reasons_against(rows[name], pictures)
    best = choose({name: rows[name] for name in methods}, pictures)
    return {
        "best": best,
        "rule": RULE,
        "limits": [] if best is not None else [no_method(pictures)],  # for the top of the page
        "methods": {name: rows[name] for name in methods},
        "baselines": {name: rows[name] for name in rows if name not in methods},
    }


def _speed_up(deletion: np.ndarray, random: np.ndarray) -> float | None:
    """The mean fall of the score relative to random deletion; None if the score does not fall there."""
    fall = 1.0 - random.mean()
    return None if fall <= 0.0 else round(float((1.0 - deletion.mean()) / fall), 3)


def _steps(model: Detector) -> int:
    """Steps of deletion and insertion. Each is two passes, and a pass of a tower takes 60 ms."""
    return 4 if isinstance(model, FrozenDetector) else 8


def mean_interval(values: np.ndarray, groups: np.ndarray, seed: int) -> Interval:
    """The mean with its 95 % interval; the bootstrap resamples whole groups.

    Args:
        values: [n], of the first n pictures.
        groups: [n or more] names.
    """
    resampled = bootstrap_weights(groups[: len(values)], np.ones(len(values), int), _RESAMPLES, seed)
    return interval(float(values.mean()), mean(values, resampled))
