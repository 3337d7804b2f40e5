"""The sections of the page, in order: the one table to extend.

A section is a partial in `sections/` that is given

    facts    the parsed JSON of its file (of `failures` and `data`: what the stage report gathers),
    figures  name -> data URI of every PNG that its pattern finds (`stress/jpeg.png` is `jpeg`),
    limits   not given, but read: where `facts` has the key `limits`, a list of sentences that say what
             the model cannot do, those stand at the top of the page.

Its title, anchor and the words in place of a missing file come from the table; `macros.html` has
intervals, tables and figures in the house's form.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepfake.base.plots import data_uri
from deepfake.base.stage import read_json


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        partial: `sections/<partial>.html`, and the anchor.
        facts: JSON below the folder of reports, or the name of what the stage gathers.
        figures: pattern of the PNGs below it; empty: none.
        absent: what to say where the file of facts is not there; empty: it always is.
    """

    title: str
    partial: str
    facts: str
    figures: str = ""
    absent: str = ""


_STRESS = "Not measured: the stage stress has not run."
_EXPLAIN = "Not measured: the stage explain has not scored them."

SECTIONS = (
    Section("Headline figures, side by side", "headline", "evaluate/metrics.json"),
    Section("By source and generator, worst first", "sources", "evaluate/metrics.json"),
    Section("Curves", "curves", "evaluate/metrics.json", "evaluate/*.png"),
    Section("Calibration", "calibration", "evaluate/metrics.json", "evaluate/*.png"),
    Section("Threshold and abstention", "abstention", "evaluate/metrics.json", "evaluate/*.png"),
    Section("Robustness", "robustness", "stress/facts.json", "stress/*.png", _STRESS),
    Section("Adversarial tests", "adversarial", "stress/facts.json", "stress/*.png", _STRESS),
    Section("Explanations", "explanations", "explain/facts.json", "explain/*.png", _EXPLAIN),
    Section("Known failures", "failures", "failures"),
    Section("Data", "data", "data"),
    Section("Licences and citations", "licences", "data"),
)  # fmt: skip


def read_figures(reports: Path, pattern: str) -> dict[str, str]:
    """Name -> data URI of the PNGs of a pattern such as `stress/*.png`; none for an empty one."""
    paths = sorted(reports.glob(pattern)) if pattern else []
    return {path.stem: data_uri("png", path.read_bytes()) for path in paths}


def read_facts(reports: Path) -> dict[str, Any]:
    """The JSON files that sections name, by that name; those that are not there are left out."""
    files = dict.fromkeys(section.facts for section in SECTIONS)
    return {name: read_json(reports / name) for name in files if (reports / name).is_file()}
