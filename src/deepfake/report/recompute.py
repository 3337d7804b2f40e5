"""Tables, curves and page from a file of scores of any detector, without model and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deepfake.base.stage import file_digest, write_json
from deepfake.evaluate.figures import plot_evaluation
from deepfake.evaluate.predictions import Predictions
from deepfake.evaluate.score_files import read_any
from deepfake.evaluate.tables import score_table
from deepfake.report.failures import failures
from deepfake.report.limits import EVALUATION
from deepfake.report.page import render_page

_FAILURES = 12  # paths per class


def recompute(file: Path, out: Path, threshold: float | None = None) -> dict[str, Any]:
    """Write report.html and, in evaluate/, metrics.json and the curves as CSV and PNG.

    Args:
        file: predictions.parquet, or another detector's scores (see `read_any`).
        out: folder.
        threshold: of another detector's scores.

    Returns:
        The content of metrics.json.

    Raises:
        SourceError: the file is not a table of scores.
    """
    predictions = read_any(file, threshold)
    table = score_table(predictions)
    plot_evaluation(predictions, table, out / "evaluate")
    write_json(out / EVALUATION, table)
    facts = {EVALUATION: table, "failures": failures(predictions, _FAILURES)}
    page = render_page(
        f"Scores of {file.name}", _lines(predictions, file), facts, out, say_what_is_missing=False
    )
    (out / "report.html").write_text(page, encoding="utf-8")
    return table


def _lines(predictions: Predictions, file: Path) -> list[str]:
    lines = [
        f"Computed from the scores alone; sha256 of {file.name}: {file_digest(file)}.",
        "Robustness, attacks and explanations need the model and the pictures, so they are not here.",
    ]
    if not predictions.first.is_probability:
        lines.append("Some scores are outside 0 to 1, so only their order is used, not their values.")
    return lines
