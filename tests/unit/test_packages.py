"""Packages of the locks: what a licence is called, and an audit that could not ask is no good news."""

from __future__ import annotations

import importlib.util
import json
from types import ModuleType

import pytest
from helpers import REPO


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPO / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PACKAGES, ADVISORIES = script("packages"), script("advisories")


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ([], "not stated"),
        ([{"license": {"name": "License :: OSI Approved"}}], "not stated"),
        ([{"expression": "MIT OR Apache-2.0"}], "MIT OR Apache-2.0"),
        ([{"license": {"name": "Apache License 2.0"}}], "Apache-2.0"),
        (
            [
                {"license": {"name": "License :: OSI Approved :: BSD License"}},
                {"license": {"id": "BSD-3-Clause"}},
            ],
            "BSD-3-Clause",
        ),
    ],
)
def test_a_licence_is_what_the_package_says_most_exactly(stated: list[dict], words: str) -> None:
    assert PACKAGES._licence({"licenses": stated}) == words


def test_the_table_counts_each_lock() -> None:
    rows = PACKAGES.table({"a.lock": {"x": "MIT"}, "b.lock": {"x": "MIT", "y": "MIT"}}).splitlines()
    assert rows[0] == "| licence | in a.lock | in b.lock | packages |"
    assert rows[2] == "| MIT | 1 | 2 | x, y |"


def answer(*packages: dict) -> str:
    return json.dumps({"dependencies": list(packages)})


SOUND = {"name": "a", "version": "1", "vulns": []}
UNKNOWN = {"name": "b", "skip_reason": "Dependency not found on PyPI"}
FLAWED = {"name": "c", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        (answer(SOUND), 0, "x.lock: 1 packages, no known vulnerability"),
        (answer(SOUND, UNKNOWN), 3, "x.lock: not audited. 1 of 2 packages had no answer"),
        (answer(), 3, "x.lock: not audited"),
        ("ERROR:pip_audit: no route to host", 3, "could not be reached: ERROR:pip_audit: no route to host"),
        ("", 3, "could not be reached: no answer"),
        (answer(UNKNOWN, FLAWED), 1, "c 2: CVE-1, fixed in 3"),
    ],
)
def test_an_audit_that_could_not_ask_is_no_good_news(said: str, code: int, words: str) -> None:
    told = ADVISORIES.verdict("x.lock", said)
    assert told[0] == code and words in told[1]
