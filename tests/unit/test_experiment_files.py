"""Every file in experiments/ still fits the parameters."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import REPO

from deepfake.base.parameters import parse_params
from deepfake.lab.experiment import flat_overrides, read_sections, with_changes
from deepfake.params.whole import Params
from deepfake.study.folds import Fold
from deepfake.study.head_run import variant_cells
from deepfake.study.run import parse_study, variant_params
from deepfake.study.settings import HeadStudy

PARAMS = read_sections(REPO / "params.yaml")
FILES = sorted((REPO / "experiments").glob("*.yaml"))
STUDIES = sorted((REPO / "experiments/studies").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_experiment_fits_and_says_how_to_run_it_and_what_it_reached(file: Path) -> None:
    parse_params(Params, with_changes(PARAMS, dict(flat_overrides(read_sections(file)))), origin=file.name)
    header = file.read_text().split("\n\n")[0]
    assert f"NAME={file.stem}" in header and "# Reached:" in header


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_a_study_fits(file: Path) -> None:
    study = parse_study(read_sections(file), file.name)
    content = with_changes(PARAMS, dict(flat_overrides(study.data)))
    if isinstance(study, HeadStudy):
        cells = variant_cells(study, content, [Fold("generator", "somebody", ("somebody",))])
        assert {cell.name for cell in cells} == {*study.variants}
        return
    left_out = {"somebody"}.union(*(variant.held_out for variant in study.variants.values()))
    tried = {name for held_out in left_out for name, _ in variant_params(study, content, held_out)}
    assert tried == {*study.variants}
