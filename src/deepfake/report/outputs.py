"""The outputs of the stage report: the page of one model version, its model card and the data card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deepfake.evaluate.predictions import Predictions
from deepfake.params.train import Train
from deepfake.report.cards import data_card, model_card
from deepfake.report.data_facts import data_facts
from deepfake.report.failures import failures
from deepfake.report.page import render_page
from deepfake.report.sections import SECTIONS, read_facts


@dataclass(frozen=True)
class Version:
    """A trained model: its name, its training parameters, and the folders with all facts about it."""

    name: str
    train: Train
    raw: Path
    faces: Path
    models: Path
    reports: Path


def write_report(version: Version, predictions: Predictions, known_failures: int, out: Path) -> None:
    """Write report.html, model_card.md and data_card.md; print which facts are missing.

    Args:
        known_failures: number of failures per class on the page.
    """
    data = data_facts(version.raw, version.faces, version.models, version.reports)
    shown = failures(predictions, known_failures, version.faces)
    facts = read_facts(version.reports) | {"data": data, "failures": shown}
    weights = data["digests"]["weights of the model"]
    tested = f"{len(predictions.test):,} test pictures"
    lines = [f"Weights sha256 {weights}.", f"{version.train.model}, judged on {tested}."]
    out.mkdir(parents=True, exist_ok=True)
    page = render_page(version.name, lines, facts, version.reports)
    (out / "report.html").write_text(page, encoding="utf-8")
    card = model_card(facts, version.name, version.train, version.models / "detector")
    (out / "model_card.md").write_text(card, encoding="utf-8")
    (out / "data_card.md").write_text(data_card(facts), encoding="utf-8")
    for section in SECTIONS:
        if section.facts not in facts:
            print(f"{section.title}: {section.absent}")
