"""Gates on the stages' reports about one model: its data, and its figures on test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from deepfake.bundle.gates.check import Check, Checks, Evidence, NothingToJudge, ask
from deepfake.evaluate.predictions import MODEL
from deepfake.params.register import Gates


def check_model(gates: Gates, evidence: Evidence) -> Checks:
    """Every gate on the stages' reports about a model. The same files give the same result."""
    return {
        "data_verdict": ask(_data_verdict, evidence, limit="every critical expectation"),
        "shortcut_audit": ask(_shortcut_audit, evidence, limit="no family above audit.stop"),
        "auc": _floor(gates.min_auc, lambda: _low(_test(evidence, "auc"))),
        "caught": _floor(gates.min_caught, lambda: _low(_test(evidence, "tpr"))),
        "worst_generator": _floor(gates.min_generator_auc, lambda: _worst_generator(evidence)),
        "worst_source": _ceiling(gates.max_source_alarms, lambda: _worst_source(evidence)),
        "calibration": _ceiling(gates.max_calibration_error, lambda: _high(_test(evidence, "ece"))),
        "robustness": _floor(gates.min_robustness, lambda: _robustness(evidence)),
    }


def _floor(limit: float, figure: Callable[[], float]) -> Check:
    return ask(lambda: ((found := figure()) >= limit, round(found, 6)), limit=f"at least {limit:g}")


def _ceiling(limit: float, figure: Callable[[], float]) -> Check:
    return ask(lambda: ((found := figure()) <= limit, round(found, 6)), limit=f"at most {limit:g}")


def _data_verdict(evidence: Evidence) -> tuple[bool, str]:
    verdict = evidence.json("validate/verdict.json")
    failed = verdict["critical_failures"]
    return bool(verdict["passed"]), "all met" if verdict["passed"] else f"not met: {', '.join(failed)}"


def _shortcut_audit(evidence: Evidence) -> tuple[bool, str]:
    above = []
    for stage in ("validate", "preprocess"):  # original pictures, then face crops
        audit = evidence.json(f"{stage}/audit.json")
        families = audit["families"].items()
        above += [f"{audit['stage']}/{name}" for name, found in families if found["status"] == "stop"]
    return not above, f"above: {', '.join(above)}" if above else "none above"


def _test(evidence: Evidence, metric: str) -> Mapping[str, Any]:
    figures = evidence.json("evaluate/metrics.json")["test"][MODEL]
    if metric not in figures:
        raise NothingToJudge(f"evaluate/metrics.json has no {metric}")
    found: Mapping[str, Any] = figures[metric]
    return found


def _low(interval: Mapping[str, Any]) -> float:
    return _end(interval, "low")


def _high(interval: Mapping[str, Any]) -> float:
    return _end(interval, "high")


def _end(interval: Mapping[str, Any], end: str) -> float:
    if interval[end] is None:
        raise NothingToJudge("the figure has no interval: too few pictures")
    return float(interval[end])


def _worst_generator(evidence: Evidence) -> float:
    found = evidence.json("evaluate/metrics.json")["per_generator"]
    return min(_low(figures["auc"]) for figures in _some(found, "generator").values())


def _worst_source(evidence: Evidence) -> float:
    found = evidence.json("evaluate/metrics.json")["per_source"]
    reals = {name: figures for name, figures in found.items() if name.startswith("real/")}
    return max(_high(figures["flagged_fake"]) for figures in _some(reals, "source of reals").values())


def _robustness(evidence: Evidence) -> float:
    families = evidence.json("stress/facts.json")["robustness"]["families"]
    areas = [_low(found["area"][MODEL]) for found in _some(families, "family of damage").values()]
    return float(np.mean(areas))


def _some(found: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    if not found:
        raise NothingToJudge(f"there is no {what}")
    return found
