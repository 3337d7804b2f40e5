"""The sections of the page, in order: the one table to extend.

A section is a partial in `sections/`. It gets

    facts    the parsed JSON of its file (for `failures` and `data`: what the stage report gathers),
    figures  name -> data URI of every PNG that matches its pattern (`stress/jpeg.png` is `jpeg`).

The table gives its title, its anchor and the note for a missing file. `macros.html` shows intervals and
figures. If `facts` has the key `limits`, a list of sentences about what the model cannot do, these
sentences are at the top of the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepfake.base.plots import data_uri
from deepfake.base.stage import read_json


@dataclass(frozen=True)
class ReportSection:
    """One part of the page.

    Attributes:
        partial: name of the template `sections/<partial>.html`, and the anchor.
        facts: JSON file in the folder of reports, or the name of facts that the stage gathers.
        figures: pattern of PNGs in that folder; empty: none.
        absent: note for a missing file of facts; empty: the file always exists.
    """

    title: str
    partial: str
    facts: str
    figures: str = ""
    absent: str = ""


_STRESS = "Not measured: the stage stress has not run."
_CLIPS = "Not measured: the stage clips has not run."
_EXPLAIN = "Not measured: the stage explain has not run."

SECTIONS = (
    ReportSection("Headline figures, side by side", "headline", "evaluate/metrics.json"),
    ReportSection("By source and generator, worst first", "sources", "evaluate/metrics.json"),
    ReportSection("Curves", "curves", "evaluate/metrics.json", "evaluate/*.png"),
    ReportSection("Calibration", "calibration", "evaluate/metrics.json", "evaluate/*.png"),
    ReportSection("Threshold and abstention", "abstention", "evaluate/metrics.json", "evaluate/*.png"),
    ReportSection("Clips", "clips", "clips/metrics.json", "clips/*.png", _CLIPS),
    ReportSection("Robustness", "robustness", "stress/facts.json", "stress/*.png", _STRESS),
    ReportSection("Adversarial tests", "adversarial", "stress/facts.json", "stress/*.png", _STRESS),
    ReportSection("Explanations", "explanations", "explain/facts.json", "explain/*.png", _EXPLAIN),
    ReportSection("Known failures", "failures", "failures"),
    ReportSection("Data", "data", "data"),
    ReportSection("Licences and citations", "licences", "data"),
)  # fmt: skip


def read_figures(reports: Path, pattern: str) -> dict[str, str]:
    """Name -> data URI of the PNGs that match a pattern such as `stress/*.png`; none if it is empty."""
    paths = sorted(reports.glob(pattern)) if pattern else []
    return {path.stem: data_uri("png", path.read_bytes()) for path in paths}


def read_facts(reports: Path) -> dict[str, Any]:
    """The content of the sections' JSON files, by their names; missing files are skipped."""
    files = dict.fromkeys(section.facts for section in SECTIONS)
    return {name: read_json(reports / name) for name in files if (reports / name).is_file()}
