"""A study from its file to its page; a killed one goes on at the last finished training epoch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError
from tqdm import tqdm

from deepfake.data.manifest import read_manifest
from deepfake.errors import ParamsError
from deepfake.experiment import flat_overrides, with_changes
from deepfake.params import Params, parse_params
from deepfake.params.study import Study
from deepfake.runtime import Runtime
from deepfake.study.cells import Cell, cell_key, held_out_generators, run_cell
from deepfake.study.page import draw_matrix, tables, to_html, to_markdown
from deepfake.study.statistics import Draws, draw_aucs
from deepfake.tracking.runs import find_or_create_run, nested_run
from deepfake.training.inputs import shards_digest


def parse_study(content: Any, origin: str) -> Study:
    """Check a study's file; `origin` names it in the error's text.

    Raises:
        ParamsError: it does not fit; the text says where and why.
    """
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()]
        raise ParamsError(f"{origin}: " + "; ".join(lines)) from error


def variant_params(study: Study, content: Mapping[str, Any]) -> dict[tuple[str, int], Params]:
    """The parameters of every variant and seed, all checked before anything is trained.

    Args:
        content: params.yaml's, the study's `data` included.
    """
    found = {}
    for name, variant in study.variants.items():
        for seed in variant.seeds:
            changes = {**dict(flat_overrides(variant.overrides)), "base.seed": seed}
            merged = with_changes(content, changes)
            found[name, seed] = parse_params(merged, origin=f"variant {name}")
    return found


def run_study(
    title: str,
    study: Study,
    content: Mapping[str, Any],
    runtime: Runtime,
    faces: Path,
    work: Path,
    out: Path,
) -> list[str]:
    """Train and score every cell, then write the pages.

    Args:
        title: names the study in its pages and in MLflow.
        content: params.yaml's, the study's `data` included; `faces` was made with it.
        work: finished cells and killed ones, by key.
        out: gets study.html, study.md, the plots and scores.parquet.

    Returns:
        The lines that the pages begin with.
    """
    params = variant_params(study, content)
    generators = held_out_generators(read_manifest(faces / "manifest.parquet"), study)
    cells = [
        Cell(variant, held_out, one)
        for held_out in generators  # all variants of a generator first: a half-run study compares
        for (variant, _), one in params.items()
    ]
    work.mkdir(parents=True, exist_ok=True)
    parts = []
    parent = find_or_create_run(f"study {title}", f"{title} {shards_digest(faces)}")
    for cell in tqdm(cells, desc="study", unit="training"):
        key = cell_key(cell, study, faces)
        with nested_run(parent, cell.name, key, cell.params, runtime) as run:
            scores = run_cell(cell, study, runtime, faces, work, run.listeners)
            one = {name: draw_aucs(scores, name, 10, 1) for name in scores["condition"].unique()}
            run.metrics({f"auc_{k}": v.cell(cell.variant, cell.held_out).value for k, v in one.items()})
        parts.append(scores)
    scores = pd.concat(parts, ignore_index=True)
    return _write(title, study, scores, faces, out)


def _write(title: str, study: Study, scores: pd.DataFrame, faces: Path, out: Path) -> list[str]:
    conditions = [str(name) for name in scores["condition"].unique()]
    drawn: dict[str, Draws] = {
        name: draw_aucs(scores, name, study.bootstrap_draws, seed=1) for name in conditions
    }
    out.mkdir(parents=True, exist_ok=True)
    scores.to_parquet(out / "scores.parquet", index=False)
    for condition, draws in drawn.items():
        draw_matrix(draws, condition, out / f"{condition}.png")
    lines = _facts(scores, faces)
    found = tables(study, drawn)
    plot = (out / f"{conditions[0]}.png").read_bytes()
    (out / "study.html").write_text(to_html(title, lines, found, plot), encoding="utf-8")
    (out / "study.md").write_text(to_markdown(title, lines, found), encoding="utf-8")
    return lines


def _facts(scores: pd.DataFrame, faces: Path) -> list[str]:
    clean = scores[scores["condition"] == "clean"]
    trainings = len(clean[["variant", "held_out", "seed"]].drop_duplicates())
    pictures = clean.drop_duplicates("image_id")
    fakes = int(pictures["label"].sum())
    return [
        f"{trainings} trainings, each without one generator; judged on {fakes} fakes that a training never "
        f"saw and {len(pictures) - fakes} real pictures of the test split.",
        f"Face shards: sha256 {shards_digest(faces)}.",
    ]
