"""Stage report: the page of this model version, its model card and the data card."""

from __future__ import annotations

from pathlib import Path

from deepfake.base.stage import run_stage
from deepfake.evaluate.predictions import read_predictions
from deepfake.params import load_params
from deepfake.report.cards import data_card, model_card
from deepfake.report.data_facts import data_facts
from deepfake.report.failures import failures
from deepfake.report.page import render_page
from deepfake.report.sections import SECTIONS, read_facts


def main() -> None:
    params = load_params()
    reports, faces, models = Path("reports"), Path("data/faces"), Path("models")
    predictions = read_predictions(Path("reports/evaluate/predictions.parquet"))
    data = data_facts(Path("data/raw"), faces, models, reports)
    facts = read_facts(reports) | {
        "data": data,
        "failures": failures(predictions, params.report.failures, faces),
    }
    weights = data["digests"]["weights of the model"]
    tested = f"{len(predictions.test):,} test pictures"
    lines = [f"Weights sha256 {weights}.", f"{params.train.model}, judged on {tested}."]
    out = reports / "report"
    out.mkdir(parents=True, exist_ok=True)
    page = render_page(params.register_.name, lines, facts, reports)
    (out / "report.html").write_text(page, encoding="utf-8")
    (out / "model_card.md").write_text(model_card(facts, params, models / "detector"), encoding="utf-8")
    (out / "data_card.md").write_text(data_card(facts), encoding="utf-8")
    for section in SECTIONS:
        if section.facts not in facts:
            print(f"{section.title}: {section.absent}")


if __name__ == "__main__":
    run_stage(main)
