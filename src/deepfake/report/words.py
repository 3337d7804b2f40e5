"""The figures' names in words, in the order of the tables."""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """A figure's name in words, and whether higher or lower is better."""

    name: str
    better: str


HIGHER, LOWER = "higher is better", "lower is better"

METRICS = {
    "auc": Words("AUC", HIGHER),
    "ap": Words("Average precision", HIGHER),
    "eer": Words("Equal error rate", LOWER),
    "tpr_at_1pct_fpr": Words("Fakes caught at 1 % false alarms", HIGHER),
    "tpr_at_01pct_fpr": Words("Fakes caught at 0.1 % false alarms", HIGHER),
    "tpr": Words("Fakes caught at its threshold", HIGHER),
    "fpr": Words("False alarms at its threshold", LOWER),
    "precision_at_1pct_prevalence": Words("Precision if 1 in 100 is fake", HIGHER),
    "accuracy": Words("Accuracy at its threshold", HIGHER),
    "balanced_accuracy": Words("Balanced accuracy", HIGHER),
    "ece": Words("Calibration error (ECE)", LOWER),
    "brier": Words("Brier score", LOWER),
    "log_loss": Words("Log-loss, nats", LOWER),
    "aurc": Words("Area under risk and coverage", LOWER),
}


def spoken(name: str) -> str:
    """`spectrum_baseline` -> `spectrum baseline`."""
    return name.replace("_", " ")
