"""A study of heads, from cached features to its page. A killed study resumes at the next fit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from deepfake.base.parameters import parse_params
from deepfake.embed.features import Embeddings, read_embeddings
from deepfake.evaluate.calibration import Calibration
from deepfake.lab.experiment import flat_overrides, with_changes
from deepfake.params.whole import Params
from deepfake.registry.tracking.runs import nested_run, parent_run
from deepfake.shards.resume import shards_digest
from deepfake.study.folds import Fold, folds_of, generators_with_clips
from deepfake.study.head_cells import HeadCell, baseline_head_scores, finished_scores, head_cell_key
from deepfake.study.head_figures import HeadFigures, measure_heads
from deepfake.study.head_tables import head_summary, head_tables
from deepfake.study.page import plot_matrix, write_pages
from deepfake.study.profiles import profiled_views
from deepfake.study.risk import judged_with_p, plot_risk, risk_table
from deepfake.study.settings import BASELINE, HeadStudy
from deepfake.study.setup import StudySetup
from deepfake.study.verdicts import limits_of, verdict_table


def variant_cells(study: HeadStudy, content: Mapping[str, Any], folds: list[Fold]) -> Iterator[HeadCell]:
    """Every fit of the study.

    Args:
        content: of params.yaml, with the study's `data`.

    Raises:
        ParamsError: the settings of a variant's head are wrong.
    """
    for name, variant in study.variants.items():
        changes = dict(flat_overrides(variant.head, "train.head."))
        params = parse_params(Params, with_changes(content, changes), origin=f"variant {name}")
        for fold in folds:
            if fold.kind in variant.held_out:
                for seed in variant.seeds:
                    yield HeadCell(name, variant, params.train.head, fold, seed)


def run_head_study(study: HeadStudy, setup: StudySetup) -> list[str]:
    """Fit and score every cell, then write the pages.

    Returns:
        The first lines of the pages.
    """
    folders = setup.folders
    limits = None if study.limits is None else limits_of(Path(study.limits))
    embeddings = read_embeddings(folders.features)
    folds = folds_of(embeddings.facts, study)
    cells = [*variant_cells(study, setup.content, folds)]
    digest = shards_digest(folders.features)
    folders.work.mkdir(parents=True, exist_ok=True)
    parts = []
    with tqdm(total=len(cells), desc="study", unit="fit") as bar:
        for name in study.variants:
            own = [cell for cell in cells if cell.name == name]
            parts += _variant_scores(own, setup, embeddings, digest, bar)
    facts, profiles = profiled_views(folders.faces, shards_digest(folders.faces), folders.work)
    baselines = [baseline_head_scores(fold, facts, profiles) for fold in tqdm(folds, desc="baseline")]
    clips = generators_with_clips(embeddings.facts)
    lines = [
        f"{len(cells)} fits, each without one of {len(folds)} generators, pipelines and sources of reals.",
        f"Features: sha256 {digest}.",
    ]
    scores = pd.concat([*parts, *baselines], ignore_index=True)
    _write(setup, study, scores, clips, lines, limits)
    return lines


def _variant_scores(
    cells: list[HeadCell], setup: StudySetup, embeddings: Embeddings, digest: str, bar: tqdm
) -> list[pd.DataFrame]:
    """Scores of one variant's cells. If a cell must be fitted, there is a run in MLflow."""
    work = setup.folders.work

    def scores() -> Iterator[pd.DataFrame]:
        for cell in cells:
            yield finished_scores(cell, embeddings, digest, work)
            bar.update()

    keys = [head_cell_key(cell, digest) for cell in cells]
    if all((work / f"{key}.parquet").exists() for key in keys):
        return [*scores()]
    changes = {f"train.head.{key}": value for key, value in cells[0].recipe.model_dump(mode="json").items()}
    params = with_changes(setup.content, changes)
    parent = parent_run("study", setup.title, params)
    with nested_run(parent, cells[0].name, f"study-{keys[0]}", params, setup.runtime) as run:
        found = [*scores()]
        run.client.log_metric(run.run_id, "study/fits", len(found))
    return found


def _write(
    setup: StudySetup,
    study: HeadStudy,
    scores: pd.DataFrame,
    clips: list[str],
    lines: list[str],
    limits: Calibration | None,
) -> None:
    out = setup.folders.out
    out.mkdir(parents=True, exist_ok=True)
    scores.to_parquet(out / "scores.parquet", index=False)
    figures = measure_heads(scores, clips, study.pipelines, study.bootstrap_resamples)
    first = next(iter(study.variants))
    found, plots = head_tables(study, figures), _plot_aucs(figures, first, out)
    if limits is not None:
        found.append(verdict_table(scores, first, limits, study.bootstrap_resamples))
    risk = None
    if study.pipelines:
        judged = judged_with_p(scores, first)
        risk = risk_table(judged, study.bootstrap_resamples)
        found.append(risk)
        plot_risk(judged, out / "risk_coverage.png")
        plots["Risk over coverage per held-out pipeline"] = (out / "risk_coverage.png").read_bytes()
    summary = json.dumps(head_summary(figures, risk), indent=1, sort_keys=True)
    (out / "summary.json").write_text(summary + "\n", encoding="utf-8")
    write_pages(setup.title, lines, found, plots, out)


def _plot_aucs(figures: HeadFigures, first: str, out: Path) -> dict[str, bytes]:
    """Write a plot per condition; returns the clean plot's bytes for the page."""
    for condition, measured in figures.aucs.items():
        shown = measured.only(measured.all_generators, (first, BASELINE))
        plot_matrix(shown, condition, out / f"{condition.replace(' ', '-')}.png")
    return {"AUC on the held-out fakes, clean": (out / "clean.png").read_bytes()}
