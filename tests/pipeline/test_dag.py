"""dvc.yaml: nothing that a stage reads is missing from its deps."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml
from helpers import REPO

from deepfake.base.closure import project_files
from deepfake.report.sections import SECTIONS

DAG = yaml.safe_load((REPO / "dvc.yaml").read_text())["stages"]
ORDER = ["ingest", "validate", "preprocess", "train", "evaluate", "stress", "explain", "report", "register"]


def script(stage: str) -> Path:
    return REPO / DAG[stage]["cmd"].split()[-1]


def has_code(path: Path) -> bool:
    """False for a package's __init__ that holds nothing but its docstring."""
    return len(ast.parse(path.read_text()).body) > 1 or path.name != "__init__.py"


def covered(path: Path, stage: str) -> bool:
    deps = [REPO / dep for dep in DAG[stage]["deps"] if "$" not in dep]
    return any(path == dep or dep in path.parents for dep in deps)


def test_the_stages_are_the_houses_in_order() -> None:
    assert list(DAG) == ORDER
    assert {path.stem for path in (REPO / "pipelines").glob("*.py")} == set(ORDER)


@pytest.mark.parametrize("stage", ORDER)
def test_every_import_of_a_stage_is_a_dependency(stage: str) -> None:
    files = {path for path in project_files(script(stage), REPO / "src") if has_code(path)}
    missing = sorted(str(p.relative_to(REPO)) for p in {*files, script(stage)} if not covered(p, stage))
    assert not missing, f"add to {stage}'s deps in dvc.yaml: {missing}"


@pytest.mark.parametrize("stage", ORDER)
def test_no_dependency_is_left_over(stage: str) -> None:
    files = project_files(script(stage), REPO / "src")
    for dep in DAG[stage]["deps"]:
        path = REPO / dep
        if dep.startswith("src/") and path.suffix != ".html":
            assert any(path == file or path in file.parents for file in files), f"{stage}: {dep}"


@pytest.mark.parametrize("stage", ORDER)
def test_packages_and_own_params_are_dependencies(stage: str) -> None:
    assert "requirements.lock" in DAG[stage]["deps"]
    assert stage in DAG[stage]["params"]


@pytest.mark.parametrize("stage", ORDER)
def test_sections_that_a_script_reads_are_declared(stage: str) -> None:
    tree = ast.parse(script(stage).read_text())
    read = {
        node.attr.rstrip("_")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "params"
    }
    # One key of a section will do: evaluate reads one of train, and nothing else there concerns it.
    assert read <= {key.split(".")[0] for key in DAG[stage]["params"]}


def test_paths_that_a_script_reads_or_writes_are_declared() -> None:
    for stage in ORDER:
        declared = " ".join(str(DAG[stage].get(kind)) for kind in ("deps", "outs", "metrics"))
        for node in ast.walk(ast.parse(script(stage).read_text())):
            is_path = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if is_path and node.value.startswith(("data/", "models/", "reports/")):
                assert node.value in declared, f"{stage} uses {node.value}"


def test_all_that_the_page_shows_is_a_dependency_of_the_stage_report() -> None:
    declared = {Path(dep) for dep in DAG["report"]["deps"]}
    facts = {Path("reports", section.facts) for section in SECTIONS if section.facts.endswith(".json")}
    assert facts <= declared
    outs = {Path(out) for stage in DAG.values() for out in stage.get("outs", []) if isinstance(out, str)}
    patterns = {f"reports/{section.figures}" for section in SECTIONS if section.figures}
    assert {out for out in outs if any(out.match(pattern) for pattern in patterns)} <= declared


@pytest.mark.parametrize("stage", ORDER)
def test_tensorflow_finds_its_environment_when_a_script_imports_it(stage: str) -> None:
    files = {script(stage), *project_files(script(stage), REPO / "src")}
    imported = {name for path in files for name in imports_at_the_top(path)}
    if imported & {"keras", "tensorflow"}:
        assert DAG[stage]["cmd"].startswith("${tensorflow} ")


def imports_at_the_top(path: Path) -> set[str]:
    """First parts of what a file imports when it is imported itself."""
    body = ast.parse(path.read_text()).body
    plain = [alias.name for node in body if isinstance(node, ast.Import) for alias in node.names]
    parts = [str(node.module) for node in body if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in plain + parts}


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
    """Commands, code and parameters in dvc.lock are those of the working tree; DVC does the comparing."""
    lock = yaml.safe_load((REPO / "dvc.lock").read_text())["stages"]
    assert list(lock) == ORDER or set(lock) == set(ORDER)
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
    """Outputs may be absent in a fresh clone; code, packages and parameters may not differ."""
    deps = change.get("changed deps", {})
    return any(
        not path.startswith(("data/", "models/", "reports/")) or path.startswith("data/sources")
        for path in deps
    )
