"""The report on the data: one HTML page that needs only a browser. Equal data gives equal bytes.

Validate writes it about the manifest, and preprocess about the faces. Each fills in the parts it knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from deepfake.base.labels import LABEL_NAMES
from deepfake.base.page import templates
from deepfake.base.plots import data_uri
from deepfake.shards.manifest import usable
from deepfake.validate.distributions import distribution, histogram, nice_step
from deepfake.validate.exhibits import Gallery
from deepfake.validate.expectations import DataVerdict

MAX_REJECTED_ROWS = 50
MAX_SOURCES = 40
QUALITY_STEP = 5
_PATH_END = 48  # characters of a path under its picture: the end of a path says more than its start
_EXIF = {True: "with EXIF", False: "without EXIF"}


@dataclass(frozen=True)
class Audits:
    """The shortcut audits on the page.

    Attributes:
        rows: by title, the rows of `audit_rows`; the last is the audit of this stage.
        plot: PNG of `plot_audit`.
    """

    rows: Mapping[str, Sequence[dict[str, Any]]]
    plot: bytes


def render_report(
    frame: pd.DataFrame,
    verdict: DataVerdict,
    *,
    audits: Audits | None = None,
    provenance: Sequence[dict[str, Any]] = (),
    exhibits: Sequence[Gallery] = (),
    statistics: dict[str, Any] | None = None,
) -> str:
    """The page that shows what was expected, what was found, and what the data looks like.

    Args:
        frame: the manifest or the face manifest, in any order of rows.
        verdict: the result of `validate_manifest` for the manifest, or of `check_splits` for the faces.
        audits: None if there was no audit.
        provenance: the content of `data/raw/sources.json`.
        exhibits: pictures, from `raw_exhibits` or `quarantine_exhibits`.
        statistics: the statistics of preprocess; None on the page of validate.

    Returns:
        HTML without scripts, links or dates. If the columns of the data are not those of the schema, the
        sections about the data are missing.
    """
    pages = templates(Path(__file__).parent)
    pages.filters["ending"] = _ending
    return pages.get_template("validation_report.html").render(
        verdict=verdict,
        data=_data(frame) if verdict.readable else None,
        audits=audits.rows if audits else {},
        audit_plot=data_uri("png", audits.plot) if audits else None,
        provenance=provenance,
        exhibits=exhibits,
        statistics=statistics,
        max_sources=MAX_SOURCES,
    )


def _data(frame: pd.DataFrame) -> dict[str, Any]:
    """The facts of the manifest on the page. A picture with several faces counts once."""
    if "face" in frame:
        frame = frame[frame["face"].isna() | frame["face"].eq(0)]
    rows = frame[frame["label"].isin([*LABEL_NAMES])]
    rows = rows.assign(label=rows["label"].astype(int))
    kept = usable(rows)
    return {
        "files": len(frame),
        "usable": {name: int((kept["label"] == key).sum()) for key, name in LABEL_NAMES.items()},
        "sources": _sources(rows),
        "charts": _charts(kept),
        "reasons": _reasons(frame),
        "rejected": _rejected(frame),
        "max_rejected": MAX_REJECTED_ROWS,
    }


def _charts(kept: pd.DataFrame) -> dict[str, Any]:
    """Distributions by title: of the files, or of the face crops."""
    labels = kept["label"]
    if "face_side" in kept:
        side = kept["face_side"]
        return {"Side of the face before scaling, in pixels": histogram(side, labels, nice_step(side))}
    side = kept[["width", "height"]].min(axis=1)
    return {
        "Format": distribution(kept["format"], labels),
        "Metadata": distribution(kept["has_exif"].map(_EXIF), labels),
        "Shorter side in pixels": histogram(side, labels, nice_step(side)),
        "JPEG quality, of JPEG files": histogram(kept["jpeg_quality"], labels, QUALITY_STEP),
    }


def _sources(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The sources of both classes: sources of reals first, then by size."""
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


def _reasons(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """How many pictures of each class each reason rejected; the most frequent reason comes first."""
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


def _ending(text: str) -> str:
    return text if len(text) <= _PATH_END else f"…{text[-_PATH_END:]}"
