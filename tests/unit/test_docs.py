"""The documentation: paths exist, the map is complete, the site loads nothing from other hosts."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import matplotlib.image
import numpy as np
import pytest
import yaml
from helpers import REPO

from deepfake.cli import _parser

GUIDE = (REPO / "CONTRIBUTING.md").read_text(encoding="utf-8")
TEXTS = [*REPO.glob("*.md"), *(REPO / "docs").glob("*.md"), *(REPO / "experiments").rglob("*.yaml")]
HOUSE = (REPO / "docs" / "house.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def plot_house() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plot_house", REPO / "docs" / "plot_house.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rooms() -> set[str]:
    package = REPO / "src" / "deepfake"
    return {path.parent.name for path in package.glob("*/__init__.py")}


def test_every_place_that_the_guide_names_exists() -> None:
    places = set(re.findall(r"`((?:src|tests|docs|pipelines|app)/[\w/.-]*)`", GUIDE + HOUSE))
    assert len(places) > 10
    assert not [place for place in places if not (REPO / place).exists()]


def test_every_name_that_the_guide_looks_for_is_in_its_file() -> None:
    named = re.findall(r"`(\w+)`\s+in\s+`([\w/.]+)`", GUIDE)
    assert len(named) > 5
    for name, place in named:
        text = (REPO / place).read_text(encoding="utf-8")
        assert re.search(rf"\b{name}\b", text), f"{place} has no {name}"


def test_the_guide_and_the_map_have_every_room(plot_house: ModuleType) -> None:
    assert plot_house.rooms() == rooms()
    section = GUIDE.split("## The rooms")[1].split("\n## ")[0]
    listed = re.findall(r"`([a-z]+)`", section)
    assert sorted(listed) == sorted(rooms()), set(listed) ^ rooms()


def test_the_map_is_the_one_that_the_script_plots(plot_house: ModuleType, tmp_path: Path) -> None:
    plot_house.plot(tmp_path / "house.png")
    kept, plotted = (matplotlib.image.imread(path) for path in (plot_house.TARGET, tmp_path / "house.png"))
    assert np.array_equal(kept, plotted), "run `python docs/plot_house.py`"


def test_the_citation_is_of_this_version() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((REPO / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])


def test_the_hosted_check_runs_targets_of_the_makefile() -> None:
    jobs = yaml.safe_load((REPO / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    commands = {step["run"] for job in jobs.values() for step in job["steps"] if "run" in step}
    assert {"make test", "make repro"} <= commands
    targets = set(re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert all(command.removeprefix("make ") in targets for command in commands)


def test_the_site_builds_strictly_and_loads_nothing_from_another_host(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = {
        path.relative_to(tmp_path).as_posix(): path.read_text("utf-8") for path in tmp_path.rglob("*.html")
    }
    assert {f"reference/{room}.html" for room in rooms()} <= pages.keys()
    loaded = re.compile(r"<(?:script|img|iframe)[^>]*\ssrc=\"?https?:|<link[^>]*\shref=\"?https?:")
    assert not [name for name, text in pages.items() if loaded.search(text)]


def test_the_site_has_every_page_of_docs() -> None:
    menu = (REPO / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:")[1]
    assert set(re.findall(r"(\w+\.md)$", menu, re.MULTILINE)) >= {
        page.name for page in (REPO / "docs").glob("*.md")
    }


def test_every_target_of_make_that_a_text_names_exists() -> None:
    makefile = (REPO / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+)(?: [a-z]+)*:", makefile, re.MULTILINE)) | {"rollback"}
    named = {
        name
        for text in TEXTS
        for name in re.findall(r"(?:`|^ *|Run: +)make\s([a-z-]+)", text.read_text("utf-8"), re.MULTILINE)
    }
    assert len(named) > 15
    assert named <= targets


def test_every_command_that_a_text_shows_has_options_that_exist() -> None:
    shown = {
        line
        for text in TEXTS
        for line in re.findall(r"(?:`|^ *)(deepfake [^`\n|&]+)", text.read_text("utf-8"), re.MULTILINE)
    }
    assert len(shown) > 15
    parser = _parser()
    for line in sorted(shown):
        words = shlex.split(line)[1:]
        name, options = words[0], [word for word in words[1:] if word.startswith("--")]
        done = capture_help(parser, name)
        assert all(option in done for option in options), line


def capture_help(parser: argparse.ArgumentParser, command: str) -> str:
    """The help of one command; an unknown command is an error."""
    [group] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    found: argparse.ArgumentParser = group.choices[command]
    return found.format_help()
