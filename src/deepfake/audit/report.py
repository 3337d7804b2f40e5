"""The audit for readers: rows of a table, a figure, and the error that stops a stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepfake.audit.names import FAMILIES
from deepfake.base.errors import ValidationFailed
from deepfake.base.plots import FAKE_COLOUR, MODEL_COLOUR, QUIET, REAL_COLOUR, figure
from deepfake.base.text import visible

_ORDER = (*FAMILIES, "resolution")
_STAGES = {"raw": ("original pictures", FAKE_COLOUR), "crops": ("face crops", REAL_COLOUR)}


def audit_rows(audit: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per family, in a fixed order: the file of an audit does not keep the order.

    Returns:
        `name` (as in `audit.acknowledged`), `family`, `auc`, `low`, `high` (floats), `shown` (the
        three as text), `status` (passed, warning, stop, acknowledged), `sentences` (strongest first).
    """
    return [
        {
            "name": f"{audit['stage']}/{family}",
            "family": family,
            "auc": found["auc"]["value"],
            "low": found["auc"]["low"],
            "high": found["auc"]["high"],
            "shown": "{value:.3f} [{low:.3f}, {high:.3f}]".format(**found["auc"]),
            "status": found["status"],
            "sentences": found["sentences"],
        }
        for family in _ORDER
        if (found := audit["families"].get(family)) is not None
    ]


def require_no_shortcut(audit: dict[str, Any]) -> None:
    """Stop if a family is above the limit and not acknowledged.

    Raises:
        ValidationFailed: it names the strongest such family, its AUC, its strongest fact, and what to do.
    """
    above = [row for row in audit_rows(audit) if row["status"] == "stop"]
    if not above:
        return
    worst = max(above, key=lambda row: row["low"])
    why = f" ({worst['sentences'][0]})" if worst["sentences"] else ""
    names = ", ".join(row["name"] for row in above)
    mend = "correct the sources" if audit["stage"] == "raw" else "change preprocess so that it is removed"
    text = (
        f"{worst['name']} alone tells real from fake with AUC {worst['shown']}, above audit.stop "
        f"{audit['limits']['stop']:g}{why}: {mend}, or list {names} under audit.acknowledged in params.yaml"
    )
    raise ValidationFailed(visible(text))  # it quotes names of folders


def print_audit(audit: dict[str, Any]) -> None:
    """Print one line per family. A family above the warning limit gets its strongest sentence."""
    for row in audit_rows(audit):
        told = row["sentences"][0] if row["sentences"] and row["status"] != "passed" else ""
        print(visible(f"{row['name']}: AUC {row['shown']} {row['status']}. {told}".rstrip()))


def plot_audit(audits: Sequence[dict[str, Any]], path: Path) -> None:
    """Plot the AUC and interval of every family, one mark per audit; lines show chance and both limits."""
    families = [family for family in _ORDER if any(family in audit["families"] for audit in audits)]
    with figure(path, width=6.4, height=3.6) as axes:
        limits = audits[0]["limits"]
        axes.axvline(0.5, color=QUIET, linestyle=":", label="chance")
        axes.axvline(limits["warn"], color=QUIET, linestyle="--", label="warn")
        axes.axvline(limits["stop"], color=MODEL_COLOUR, linestyle="--", label="stop")
        for number, audit in enumerate(audits):
            label, colour = _STAGES[audit["stage"]]
            axes.plot([], [], "o", color=colour, label=label)
            shift = 0.16 * (2 * number - len(audits) + 1)
            for row in audit_rows(audit):
                at = families.index(row["family"]) + shift
                axes.plot([row["low"], row["high"]], [at, at], color=colour, linewidth=2)
                axes.plot(row["auc"], at, "o", color=colour)
        axes.set_yticks(range(len(families)), families)
        axes.invert_yaxis()
        axes.set(title="How well one family of facts tells real from fake", xlabel="cross-validated AUC")
        axes.set_xlim(min(0.4, *(r["low"] for a in audits for r in audit_rows(a))), 1.01)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=5, fontsize=8)
