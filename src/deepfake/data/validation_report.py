"""The validation report: one HTML page that needs only a browser; equal data, equal bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from deepfake.data.expectations import Verdict, visible
from deepfake.data.manifest import FAKE, LABEL_NAMES, REAL, usable

MAX_REJECTED_ROWS = 50
MAX_SOURCES = 40
MAX_BINS = 20
QUALITY_STEP = 5
_EXIF = {True: "with EXIF", False: "without EXIF"}
_NICE_STEPS = [factor * 10**power for power in range(5) for factor in (1, 2, 5)]


@dataclass(frozen=True)
class Bin:
    """One group of a distribution, both classes side by side.

    Attributes:
        label: what is in it; `tick` is the short form for an axis.
        real: count among the real pictures; `real_share` is its share of those that have a value.
    """

    label: str
    tick: str
    real: int
    fake: int
    real_share: float
    fake_share: float


def render_report(frame: pd.DataFrame, verdict: Verdict) -> str:
    """The page that shows what was expected, what was found, and what the data looks like.

    Args:
        frame: the manifest that was judged, in any order.
        verdict: what `validate_manifest` said of it.

    Returns:
        HTML without scripts, links or dates; without the data's own sections where its columns
        don't fit the schema.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"visible": visible, "percent": _percent, "thousands": "{:,}".format}
    template = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
    readable = all(result.status != "skipped" for result in verdict.results)
    data = _data(frame) if readable else None
    return environment.from_string(template).render(verdict=verdict, data=data)


def _data(frame: pd.DataFrame) -> dict[str, Any]:
    """What the page shows of the manifest itself."""
    rows = frame[frame["label"].isin([*LABEL_NAMES])]
    rows = rows.assign(label=rows["label"].astype(int))
    kept = usable(rows)
    side = kept[["width", "height"]].min(axis=1)
    return {
        "files": len(frame),
        "usable": {name: int((kept["label"] == key).sum()) for key, name in LABEL_NAMES.items()},
        "sources": _sources(rows),
        "max_sources": MAX_SOURCES,
        "formats": _distribution(kept["format"], kept["label"]),
        "exif": _distribution(kept["has_exif"].map(_EXIF), kept["label"]),
        "sides": _histogram(side, kept["label"], _nice_step(side)),
        "qualities": _histogram(kept["jpeg_quality"], kept["label"], QUALITY_STEP),
        "reasons": _reasons(frame),
        "rejected": _rejected(frame),
        "max_rejected": MAX_REJECTED_ROWS,
    }


def _sources(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Every source of either class: real ones first, large ones first."""
    counts: dict[tuple[int, str], list[int]] = {}
    for label, source, reason in zip(
        rows["label"], rows["source"].fillna("unknown"), rows["reject_reason"].isna(), strict=True
    ):
        count = counts.setdefault((label, source), [0, 0])
        count[0] += 1
        count[1] += reason
    ordered = sorted(counts.items(), key=lambda item: (item[0][0], -item[1][0], item[0][1]))
    return [
        {"name": source, "class": LABEL_NAMES[label], "files": files, "usable": kept}
        for (label, source), (files, kept) in ordered
    ]


def _distribution(values: pd.Series, labels: pd.Series) -> list[Bin]:
    """Counts and shares per distinct value, the most frequent first."""
    values = values.fillna("unknown").astype(str)
    order = sorted(values.value_counts().items(), key=lambda item: (-item[1], item[0]))
    return _bins(values, labels, [(name, name, name) for name, _ in order])


def _histogram(values: pd.Series, labels: pd.Series, step: int) -> list[Bin]:
    """Counts and shares per interval of `step`; the last one holds all that is larger."""
    values = values.dropna().astype(int)
    if values.empty:
        return []
    start = (values // step * step).clip(upper=int(values.min()) // step * step + step * (MAX_BINS - 1))
    keys = range(int(start.min()), int(start.max()) + step, step)
    last = keys[-1] if values.max() >= keys[-1] + step else None
    names = [
        (
            key,
            f"{key} or more" if key == last else _interval(key, step),
            f"{key}{'+' * (key == last)}",
        )
        for key in keys
    ]
    return _bins(start, labels[values.index], names)


def _bins(values: pd.Series, labels: pd.Series, names: Sequence[tuple[Any, str, str]]) -> list[Bin]:
    """One bin for each (value, label, tick)."""
    counts = {label: values[labels == label].value_counts() for label in LABEL_NAMES}
    totals = {label: max(int(count.sum()), 1) for label, count in counts.items()}
    found = [
        (text, tick, int(counts[REAL].get(key, 0)), int(counts[FAKE].get(key, 0)))
        for key, text, tick in names
    ]
    return [
        Bin(text, tick, real, fake, real / totals[REAL], fake / totals[FAKE])
        for text, tick, real, fake in found
    ]


def _interval(key: int, step: int) -> str:
    return str(key) if step == 1 else f"{key} to {key + step - 1}"


def _nice_step(values: pd.Series) -> int:
    """The smallest round step whose bins hold nearly all values; outliers go into the last bin."""
    values = values.dropna()
    if values.empty:
        return 1
    span = float(values.quantile(0.98) - values.min())
    return next((step for step in _NICE_STEPS if span / step < MAX_BINS - 1), _NICE_STEPS[-1])


def _reasons(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """How often each reason rejected a picture, by class, the most frequent first."""
    rejected = frame[frame["reject_reason"].notna()]
    table = [
        {
            "reason": reason,
            "files": len(group),
            **{name: int((group["label"] == key).sum()) for key, name in LABEL_NAMES.items()},
        }
        for reason, group in rejected.groupby("reject_reason")
    ]
    return sorted(table, key=lambda row: (-row["files"], row["reason"]))


def _rejected(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The first rejected rows in path order."""
    rejected = frame[frame["reject_reason"].notna()].sort_values(["path", "image_id"])
    shown = rejected[["path", "reject_reason", "reject_detail"]].head(MAX_REJECTED_ROWS)
    return shown.astype(object).where(shown.notna(), "").to_dict("records")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
