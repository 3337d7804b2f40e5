"""A study, from its file to its page. A killed study resumes after the last finished epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError
from tqdm import tqdm

from deepfake.base.errors import ParamsError
from deepfake.base.parameters import parse_params
from deepfake.lab.experiment import flat_overrides, with_changes
from deepfake.params.whole import Params
from deepfake.registry.tracking.runs import nested_run, parent_run
from deepfake.shards.manifest import read_manifest
from deepfake.shards.resume import shards_digest
from deepfake.study.cells import Cell, baseline_scores, cell_key, held_out_generators, run_cell
from deepfake.study.page import plot_matrix, write_pages
from deepfake.study.settings import BASELINE, HeadStudy, Study
from deepfake.study.setup import StudyFolders, StudySetup
from deepfake.study.statistics import measure_cells
from deepfake.study.tables import measure, tables


def parse_study(content: Any, origin: str) -> Study | HeadStudy:
    """Check the content of a study's file; `origin` is its name in errors.

    Raises:
        ParamsError: the content is wrong; the text says where and why.
    """
    kind = HeadStudy if isinstance(content, Mapping) and "kind" in content else Study
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()]
        raise ParamsError(f"{origin}: " + "; ".join(lines)) from error


def variant_params(study: Study, content: Mapping[str, Any], held_out: str) -> Iterator[tuple[str, Params]]:
    """Name and parameters of every variant and seed that is trained without a generator.

    Args:
        content: of params.yaml, with the study's `data`.

    Raises:
        ParamsError: a variant's changes are wrong.
    """
    for name, variant in study.variants.items():
        if variant.held_out and held_out not in variant.held_out:
            continue
        for seed in variant.seeds:
            changes = {**dict(flat_overrides(variant.overrides)), "base.seed": seed}
            merged = with_changes(content, {**changes, "train.held_out_generators": [held_out]})
            yield name, parse_params(Params, merged, origin=f"variant {name}")


def run_study(study: Study, setup: StudySetup) -> list[str]:
    """Train and score every cell, then write the pages.

    Returns:
        The first lines of the pages.
    """
    folders = setup.folders
    generators = held_out_generators(read_manifest(folders.faces / "manifest.parquet"), study)
    cells = [
        Cell(variant, held_out, params)
        for held_out in generators  # all variants of one generator first: half a study can compare them
        for variant, params in variant_params(study, setup.content, held_out)
    ]
    folders.work.mkdir(parents=True, exist_ok=True)
    parts = [_scores(cell, study, setup) for cell in tqdm(cells, desc="study", unit="training")]
    params = parse_params(Params, setup.content, setup.title)
    parts += [baseline_scores(name, params, study, folders.faces) for name in generators]
    return _write(setup.title, study, pd.concat(parts, ignore_index=True), folders)


def _scores(cell: Cell, study: Study, setup: StudySetup) -> pd.DataFrame:
    """A cell's scores, from an earlier run or from a new training with a run in MLflow."""
    faces, work, runtime = setup.folders.faces, setup.folders.work, setup.runtime
    key = cell_key(cell, study, faces)
    finished = work / f"{key}.parquet"
    if not finished.exists():
        parent = parent_run("study", setup.title, cell.params.to_json())
        with nested_run(parent, cell.name, f"study-{key}", cell.params.to_json(), runtime) as run:
            scores = run_cell(cell, study, runtime, faces, work / key, [run.live_curves])
            for condition in scores["condition"].unique():
                measured = measure_cells(scores, condition, 10, 1).cell(cell.variant, cell.held_out)
                run.client.log_metric(run.run_id, f"held_out/auc_{condition}", measured.value)
        partial = finished.with_name(f"partial-{finished.name}")
        scores.to_parquet(partial, index=False)
        partial.replace(finished)
    # Two variants may be the same training, so the name is set here.
    return pd.read_parquet(finished).assign(variant=cell.variant)


def _write(title: str, study: Study, scores: pd.DataFrame, folders: StudyFolders) -> list[str]:
    out = folders.out
    figures = measure(scores, study.bootstrap_resamples)
    out.mkdir(parents=True, exist_ok=True)
    scores.to_parquet(out / "scores.parquet", index=False)
    for condition, measured in figures.aucs.items():
        plot_matrix(measured, condition, out / f"{condition}.png")
    lines = _facts(scores, folders.faces)
    found = tables(study, figures)
    plots = {"AUC per held-out generator and variant": (out / "clean.png").read_bytes()}
    write_pages(title, lines, found, plots, out)
    return lines


def _facts(scores: pd.DataFrame, faces: Path) -> list[str]:
    clean = scores[(scores["condition"] == "clean") & (scores["variant"] != BASELINE)]
    trainings = len(clean[["variant", "held_out", "seed"]].drop_duplicates())
    pictures = clean.drop_duplicates("image_id")
    fakes = int(pictures["label"].sum())
    return [
        f"{trainings} trainings, each without one generator; judged on {fakes} fakes of held-out "
        f"generators and {len(pictures) - fakes} real pictures of the test split.",
        f"Face shards: sha256 {shards_digest(faces)}.",
    ]
