"""One word for one thing: what a name means is said in one place."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LABELS = "src/deepfake/base/labels.py"


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the library, the stages, the app and the benchmarks, with its path."""
    for room in ("src", "pipelines", "app", "benchmarks"):
        for file in sorted((ROOT / room).rglob("*.py")):
            yield file.relative_to(ROOT).as_posix(), ast.parse(file.read_text())


def compared_labels(tree: ast.Module) -> list[int]:
    """Lines that compare something called label with a bare 0 or 1."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and "label" in ast.unparse(node.left)
        and isinstance(node.ops[0], ast.Eq | ast.NotEq)
        and isinstance(node.comparators[0], ast.Constant)
        and node.comparators[0].value in (0, 1)
    ]


def test_labels_are_compared_by_name() -> None:
    assert {path: lines for path, tree in trees() if (lines := compared_labels(tree))} == {}


@pytest.mark.parametrize("code", ["labels == 1", 'rows["label"] != 0', "label.to_numpy() == 1"])
def test_a_bare_label_is_found(code: str) -> None:
    assert compared_labels(ast.parse(code)) == [1]


def test_labels_and_verdicts_are_defined_once() -> None:
    found = [
        (path, name)
        for path, tree in trees()
        for node in tree.body
        for name in defined(node)
        if name in ("REAL", "FAKE", "LABEL_NAMES", "Verdict")
    ]
    assert sorted(found) == [(LABELS, name) for name in ("FAKE", "LABEL_NAMES", "REAL", "Verdict")]


def defined(node: ast.stmt) -> list[str]:
    """The names that a statement of a module gives a meaning."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [
            name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)
        ]
    return []


# A generator is held out; one samples, plots, resamples and renders.
RETIRED = re.compile(r"unseen|exclude_|excluded|leaves_out|unfitted|draw(?!\b|\.)|drawn|Draws")


def retired(tree: ast.Module) -> set[str]:
    """The retired words among all names that a module gives or uses."""
    found = set()
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name"):
            if isinstance(name := getattr(node, field, None), str) and RETIRED.search(name):
                found.add(name)
    return found


def test_no_retired_word_comes_back() -> None:
    assert {path: names for path, tree in trees() if (names := retired(tree))} == {}


def test_a_retired_word_is_found() -> None:
    assert retired(ast.parse("def fit(unseen): return model.excluded")) == {"unseen", "excluded"}


def test_a_class_has_a_name_of_its_own() -> None:
    """Stages and their scripts may both have a `Params`; no other name stands for two things."""
    names = Counter(
        node.name
        for path, tree in trees()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name != "Params" and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_public_functions_have_at_most_six_parameters() -> None:
    """Who needs more groups what travels together."""
    found = {
        f"{path}: {node.name}": count
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (not node.name.startswith("_") or node.name == "__init__")
        and (count := parameters(node)) > 6
    }
    assert found == {}


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many parameters a function has, besides `self` and `cls`."""
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])
