"""Figures as MLflow shows them: the same groups of charts for every kind of run.

MLflow makes one group of charts of all names that are equal up to the last slash. So the generators stand
side by side in `auc_by_generator`, and every run has its AUC in `test/model`. The intervals are in files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_GROUPED = {"per_generator": "generator", "per_source": "source"}
_AS_THEY_ARE = ("test", "differences", "abstention", "low_fpr", "verdicts")


def measured_figures(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Names and values of what `evaluate` measured.

    Args:
        metrics: content of `evaluate/metrics.json`.
    """
    found: dict[str, float] = {}
    for section in _AS_THEY_ARE:
        found |= dict(_values(section, metrics.get(section, {})))
    for section, by in _GROUPED.items():
        for name, figures in metrics.get(section, {}).items():
            for key, value in _values("", figures):
                found[f"{key}_by_{by}/{name.replace('/', '-')}"] = value
    return found


def robustness_figures(facts: Mapping[str, Any]) -> dict[str, float]:
    """Area under AUC against strength, for each family of damage.

    Args:
        facts: content of `stress/facts.json`.
    """
    families = facts["robustness"]["families"]
    areas = {name: found["area"]["model"]["value"] for name, found in families.items()}
    return {f"robustness/{name}": float(area) for name, area in areas.items() if area is not None}


def _values(prefix: str, found: Any) -> Iterator[tuple[str, float]]:
    """Estimates without their intervals; a mapping that holds no `value` is a group."""
    if isinstance(found, Mapping):
        if "value" in found:
            yield from _values(prefix, found["value"])
        else:
            for key, inner in found.items():
                yield from _values(f"{prefix}/{key}" if prefix else key, inner)
    elif isinstance(found, int | float) and prefix.rpartition("/")[2] not in ("low", "high", "from", "to"):
        yield prefix, float(found)
