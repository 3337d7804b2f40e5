"""Figures of the benches: each has a limit that is explained, and one page shows all of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from helpers import REPO

sys.path.insert(0, str(REPO / "benchmarks"))
import bench
import measure


def test_a_figure_is_kept_with_the_reason_of_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_FIGURES", str(tmp_path / "figures"))
    measure.report("ingest", 0.25, measure.LOOKING, "900 images/s")
    measure.skip("embed", "no weights")
    first, second = map(json.loads, (tmp_path / "figures").read_text().splitlines())
    assert first["ratio"] == 0.25 and first["why"] == measure.LIMITS[measure.LOOKING]
    assert second["ratio"] is None and second["note"] == "skipped: no weights"
    with pytest.raises(KeyError):
        measure.report("ingest", 0.25, "a limit that nobody explains")


def test_the_page_has_every_figure_and_explains_each_limit_once(tmp_path: Path) -> None:
    figures = [
        {
            "name": name,
            "ratio": 0.5,
            "limit": measure.BARE,
            "why": measure.LIMITS[measure.BARE],
            "note": "n",
        }
        for name in ("one", "two")
    ]
    section = {"name": "data", "title": "Data", "exit_code": 2, "figures": figures}
    bench.write_page({"machine": bench.machine(), "sections": [section]}, tmp_path / "bench.html")
    page = (tmp_path / "bench.html").read_text()
    assert page.count("0.50") == 2 and page.count(measure.LIMITS[measure.BARE]) == 1
    assert "ended with exit code 2" in page


def test_words_between_backticks_are_shown_as_code(tmp_path: Path) -> None:
    figure = {"name": "n", "ratio": 1.0, "limit": "l", "why": "`dvc root` is <quick>.", "note": ""}
    section = {"name": "data", "title": "Data", "exit_code": 0, "figures": [figure]}
    bench.write_page({"machine": bench.machine(), "sections": [section]}, tmp_path / "bench.html")
    assert "<code>dvc root</code> is &lt;quick&gt;." in (tmp_path / "bench.html").read_text()


def test_every_section_is_a_bench_that_exists() -> None:
    assert all((REPO / "benchmarks" / script).is_file() for _, script in bench.SECTIONS.values())
