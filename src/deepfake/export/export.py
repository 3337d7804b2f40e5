"""Export: the detector as an ONNX graph, compared with Keras on pictures of the test split."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np

from deepfake.base.engine import ENGINE, GRAPH, Engine
from deepfake.base.stage import write_json
from deepfake.evaluate.calibration import ROUNDING, Calibration
from deepfake.evaluate.disagreement import judge
from deepfake.media.encoding import decode_crop
from deepfake.networks.detector import Detector, Served
from deepfake.networks.frozen import FrozenDetector
from deepfake.networks.onnx import OnnxDetector, export_onnx
from deepfake.shards.shards import read_shards

COMPARED = 50  # pictures; each is compared with its views, so 200 scores are
_BATCH = 25
# What Keras and tf2onnx raise for a layer or an operator that they can't write.
_IMPOSSIBLE = (ValueError, TypeError, LookupError, AttributeError, RuntimeError, AssertionError)


def export(model: Detector, calibration: Calibration, faces: Path, out: Path) -> Engine:
    """Write `detector.onnx` and `engine.json`. A graph that can't be used is removed again.

    Args:
        model: the reference.
        calibration: of the model; scores are compared, because verdicts rest on them.
        faces: face shards; the first pictures of the test split are compared.
        out: is made anew.

    Returns:
        The decision, as it is written.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    engine = Engine("tower")
    if not isinstance(model, FrozenDetector):
        engine = _decide(model, calibration, compared_crops(faces), out / GRAPH)
    if engine.runtime != "onnx":
        (out / GRAPH).unlink(missing_ok=True)
    write_json(out / ENGINE, engine.to_json())
    return engine


def compared_crops(faces: Path) -> np.ndarray:
    """The first crops of the test split, which are a random part; uint8 [up to 50, size, size, 3]."""
    files = read_shards(faces / "test", ["image"])["image"].slice(0, COMPARED)
    return np.stack([decode_crop(file.as_py()) for file in files])


def _decide(model: Detector, calibration: Calibration, crops: np.ndarray, graph: Path) -> Engine:
    try:
        export_onnx(model, graph)
    except _IMPOSSIBLE as error:
        why = (str(error).splitlines() or [type(error).__name__])[0][:160]
        return Engine("keras", refused=f"it can't be written as an ONNX graph ({why})")
    return compare(model, OnnxDetector(graph), calibration, crops)


def compare(
    reference: Detector, other: OnnxDetector, calibration: Calibration, crops: np.ndarray
) -> Engine:
    """Whether a graph may judge in the place of the reference.

    Args:
        crops: uint8 [n, size, size, 3]. All their views are judged.
    """
    largest = 0.0
    for at in range(0, len(crops), _BATCH):
        part = crops[at : at + _BATCH]
        apart = np.abs(_scores(reference, calibration, part) - _scores(other, calibration, part))
        largest = float(np.max([largest, apart.max()]))  # nan stays
    bound = _power_above(largest)
    if bound is None:
        return Engine("keras", None, len(crops), "ONNX Runtime gives scores that are not numbers")
    if largest > ROUNDING:
        words = f"scores of ONNX Runtime differ by up to {bound:g}; at most {ROUNDING:g} is allowed"
        return Engine("keras", bound, len(crops), words)
    return Engine("onnx", bound, len(crops))


def _scores(model: Served, calibration: Calibration, crops: np.ndarray) -> np.ndarray:
    """Scores of all views, float64 [views, n]; nan where a logit is no number."""
    logits = np.stack([*judge(model, crops, degraded=True).logits.values()])
    known = np.isfinite(logits)
    return np.where(known, calibration.score(np.where(known, logits, 0.0)), np.nan)


def _power_above(value: float) -> float | None:
    """The next power of ten, from 1e-7 on: processors round differently, and the file must not show it."""
    if not math.isfinite(value):
        return None
    return float(f"1e{math.ceil(math.log10(max(value, 1e-7)))}")
