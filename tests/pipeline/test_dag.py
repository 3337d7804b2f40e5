"""dvc.yaml: a stage's deps have everything that the stage reads, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml
from helpers import REPO

from deepfake.base.imports import project_files
from deepfake.report.sections import SECTIONS

SRC = REPO / "src"
TEXT = (REPO / "dvc.yaml").read_text()
DAG = yaml.safe_load(TEXT)["stages"]
PARAMS = yaml.safe_load((REPO / "params.yaml").read_text())
ORDER = [
    "ingest", "validate", "split", "preprocess", "embed", "train",
    "evaluate", "clips", "stress", "explain", "export", "report", "register",
]  # fmt: skip
MAX_ROOMS, MAX_LINES, MAX_SCRIPT = 10, 260, 40


def script(stage: str) -> Path:
    return REPO / DAG[stage]["cmd"].split()[-1]


def code_of(stage: str) -> set[Path]:
    """All files of the project that a stage's script may import, except files with only a docstring."""
    return {path for path in project_files(script(stage), SRC) if has_code(path)}


def has_code(path: Path) -> bool:
    return len(ast.parse(path.read_text()).body) > 1 or path.name != "__init__.py"


def code_deps(stage: str) -> list[Path]:
    return [REPO / dep for dep in DAG[stage]["deps"] if dep.startswith("src/")]


def within(path: Path, dep: Path) -> bool:
    return path == dep or dep in path.parents


def test_the_stages_are_the_houses_in_order() -> None:
    assert list(DAG) == ORDER
    assert {path.stem for path in (REPO / "pipelines").glob("*.py")} == set(ORDER)


@pytest.mark.parametrize("stage", ORDER)
def test_every_import_of_a_stage_is_a_dependency(stage: str) -> None:
    assert str(script(stage).relative_to(REPO)) in DAG[stage]["deps"]
    deps = code_deps(stage)
    missing = [path for path in code_of(stage) if not any(within(path, dep) for dep in deps)]
    assert not missing, f"add to {stage}'s deps in dvc.yaml: {sorted(map(str, missing))}"


@pytest.mark.parametrize("stage", ORDER)
def test_no_code_dependency_is_superfluous(stage: str) -> None:
    files = code_of(stage)
    left_over = [dep for dep in code_deps(stage) if not any(within(path, dep) for path in files)]
    assert not left_over, f"{stage} imports nothing of {sorted(map(str, left_over))}"


@pytest.mark.parametrize("stage", ORDER)
def test_rooms_are_folders_and_few_and_params_are_those_that_are_read(stage: str) -> None:
    rooms = [dep for dep in code_deps(stage) if SRC / "deepfake" / "params" not in dep.parents]
    assert len(rooms) <= MAX_ROOMS and all(dep.is_dir() for dep in rooms), stage
    assert SRC / "deepfake" / "params" not in rooms, "name the modules of the sections that are read"
    # A stage reads all files of a folder of parameters, so another stage's section must not be in it.
    for dep in set(code_deps(stage)) - set(rooms):
        inside = [path for path in dep.rglob("*.py") if has_code(path)] if dep.is_dir() else [dep]
        assert set(inside) <= code_of(stage), f"{stage}: {dep}"


@pytest.mark.parametrize("stage", ORDER)
def test_the_packages_are_those_that_running_needs(stage: str) -> None:
    assert "requirements.lock" in DAG[stage]["deps"]
    assert "requirements-dev.lock" not in DAG[stage]["deps"]


def read_keys(stage: str) -> set[str]:
    """The parameters that a script reads: `base.seed`; `base` if it passes on the section; "" for all."""
    tree = ast.parse(script(stage).read_text())
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    chains = {
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name) and id(node) not in inner
        if not isinstance(getattr(node, "ctx", None), ast.Store)
    }
    keys = {
        chain.removeprefix("params").removeprefix(".")
        for chain in chains
        if chain.split(".")[0] == "params"
    }
    computed = {"evaluate.looks_at_views": "evaluate"}  # a property of the whole section
    return {computed.get(key, ".".join(part.rstrip("_") for part in key.split("."))) for key in keys}


def sections_of(stage: str) -> set[str]:
    """The sections of the model that a script gives to `load_params`."""
    tree = ast.parse(script(stage).read_text())
    (model,) = {
        ast.unparse(node.args[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "load_params"
    }
    trees = [tree, *(ast.parse(path.read_text()) for path in code_of(stage))]
    found = [node for one in trees for node in ast.walk(one) if isinstance(node, ast.ClassDef)]
    (fields,) = [node.body for node in found if node.name == model]
    return {ast.unparse(line.target).rstrip("_") for line in fields if isinstance(line, ast.AnnAssign)}


@pytest.mark.parametrize("stage", ORDER)
def test_parameters_that_a_stage_reads_are_declared_and_no_others(stage: str) -> None:
    declared, read = set(DAG[stage]["params"]), read_keys(stage)
    assert {key.split(".")[0] for key in declared} == sections_of(stage)
    missing = {key for key in read - {""} if not {key, key.split(".")[0]} & declared}
    assert not missing, f"add to {stage}'s params in dvc.yaml: {missing}"
    if "" not in read:
        unread = {key for key in declared if not any(f"{one}.".startswith(f"{key}.") for one in read)}
        # A whole section is declared only if the script passes it on, or if it reads each of its keys.
        parts = {key for key in declared - read if {f"{key}.{name}" for name in PARAMS.get(key, {})} - read}
        assert not unread | parts, f"{stage} does not read all of {unread | parts}"


@pytest.mark.parametrize("stage", ORDER)
def test_paths_that_a_stage_reads_or_writes_are_declared(stage: str) -> None:
    declared = {str(path) for kind in ("deps", "outs") for path in DAG[stage].get(kind, [])}
    named = DAG[stage].get("metrics", []) + DAG[stage].get("outs", [])
    declared |= {path for entry in named if isinstance(entry, dict) for path in entry}
    for node in ast.walk(ast.parse(script(stage).read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            path = Path(node.value)
            if path.parts[:1] in (("data",), ("models",), ("reports",)) and len(path.parts) > 1:
                near = {Path(one) for one in declared}
                assert any(within(path, one) or within(one, path) for one in near), f"{stage} uses {path}"


def test_dvc_yaml_and_the_scripts_are_short() -> None:
    assert len(TEXT.splitlines()) < MAX_LINES
    for stage in ORDER:
        assert len(script(stage).read_text().splitlines()) < MAX_SCRIPT, stage


def test_all_that_the_page_shows_is_a_dependency_of_the_stage_report() -> None:
    facts = [Path("reports", section.facts) for section in SECTIONS if section.facts.endswith(".json")]
    figures = [Path("reports", section.figures) for section in SECTIONS if section.figures]
    declared = {Path(dep) for dep in DAG["report"]["deps"]}
    for path in facts + figures:
        assert path in declared or path.parent in declared, path


def test_every_stage_gets_the_environment_of_its_arithmetic() -> None:
    for stage in ORDER:
        assert DAG[stage]["cmd"] == f"${{python}} ${{base.arithmetic}} pipelines/{stage}.py"


def test_an_import_inside_a_function_is_followed(tmp_path: Path) -> None:
    package = tmp_path / "deepfake"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("def f():\n    from deepfake import b\n")
    (package / "b.py").write_text("import deepfake.c\n")
    (package / "c.py").write_text("")
    (tmp_path / "run.py").write_text("from deepfake.a import f\n")
    found = {path.name for path in project_files(tmp_path / "run.py", tmp_path)}
    assert found == {"__init__.py", "a.py", "b.py", "c.py"}


def test_the_lock_file_matches_the_pipeline() -> None:
    """Commands, code and parameters in dvc.lock are those of the working tree. DVC compares them."""
    lock = yaml.safe_load((REPO / "dvc.lock").read_text())["stages"]
    assert set(lock) == set(ORDER)
    from dvc.repo import Repo

    with Repo(str(REPO)) as repo:
        status = repo.status()
    stale = {
        stage: change
        for stage, changes in status.items()
        for change in changes
        if isinstance(change, dict) and _touches_code(change)
    }
    assert not stale, f"dvc.lock does not belong to this code; run `dvc repro` and commit it: {stale}"


def _touches_code(change: dict) -> bool:
    """Whether code, packages or parameters differ. Outputs may be missing in a fresh clone."""
    deps = change.get("changed deps", {})
    return any(
        not path.startswith(("data/", "models/", "reports/")) or path.startswith("data/sources")
        for path in deps
    )
