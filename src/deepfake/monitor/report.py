"""The monitor's findings as one page, one file of figures and one MLflow run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from deepfake.base.labels import Verdict
from deepfake.base.page import templates
from deepfake.base.stage import write_json
from deepfake.base.statistics import proportion
from deepfake.monitor.drift import (
    ALERT,
    LEAST,
    TITLES,
    WATCH,
    Drift,
    compare_categories,
    compare_numbers,
    worst,
)
from deepfake.monitor.reading import CATEGORIES, NUMBERS

FOLDER = Path("reports/monitor")  # where page and figures go
PAGE, FIGURES = "monitor.html", "monitor.json"


@dataclass(frozen=True)
class Findings:
    """What one comparison has found.

    Attributes:
        level: the gravest of all facts.
        since, until: days of the first and of the last record.
        pictures, faces: that were scored.
        facts: drift of each fact against the reference.
        origins: drift of the score of each origin, by its name.
        shares: of `uncertain` and `not_applicable`, with intervals.
        known: pictures whose truth is known; `realised` what the verdicts on them were worth.
    """

    level: str
    since: str
    until: str
    pictures: int
    faces: int
    versions: list[str]
    facts: list[Drift]
    origins: dict[str, Drift]
    shares: dict[str, dict[str, float | None]]
    known: int
    realised: dict[str, dict[str, float | None]]

    def at(self, level: str) -> list[str]:
        """The facts, and the scores of origins, that are at a level; in words."""
        names = [fact.name for fact in self.facts if fact.level == level]
        return names + [f"scores of {name}" for name, drift in self.origins.items() if drift.level == level]


def find(
    records: pd.DataFrame,
    reference: pd.DataFrame,
    known: int,
    realised: dict[str, dict[str, float | None]],
) -> Findings:
    """Compare records with the reference; see `read_records` and `read_reference`."""
    judged = records[records["verdict"] != str(Verdict.NOT_APPLICABLE)]
    largest = judged[judged["face"] == 0]  # a reference holds one face of a picture
    facts = [
        compare(name, largest[name], reference[name])
        for names, compare in ((NUMBERS, compare_numbers), (CATEGORIES, compare_categories))
        for name in names
        if name in reference and name in largest
    ]
    origins = {
        str(name): compare_numbers("score", rows["score"], reference["score"])
        for name, rows in largest.groupby("origin")
    }
    shares = {
        str(verdict): proportion(int((rows["verdict"] == str(verdict)).sum()), len(rows))
        for verdict, rows in ((Verdict.UNCERTAIN, judged), (Verdict.NOT_APPLICABLE, records))
    }
    return Findings(
        level=worst([fact.level for fact in [*facts, *origins.values()]]),
        since=records["time"].min()[:10],
        until=records["time"].max()[:10],
        pictures=records["sha256"].nunique(),
        faces=len(judged),
        versions=sorted(set(records["version"])),
        facts=facts,
        origins=origins,
        shares=shares,
        known=known,
        realised=realised,
    )


def write_findings(found: Findings, folder: Path) -> list[Path]:
    """Write page and figures; returns their files."""
    write_json(folder / FIGURES, _plain(asdict(found)))
    page = templates(Path(__file__).parent).get_template("page.html")
    (folder / PAGE).write_text(
        page.render(
            found=found,
            title=TITLES[found.level],
            least=LEAST,
            outstanding={level: found.at(level) for level in (ALERT, WATCH)},
            facts=[(fact.name, fact) for fact in found.facts],
        ),
        encoding="utf-8",
    )
    return [folder / PAGE, folder / FIGURES]


def figures(found: Findings) -> dict[str, float]:
    """Figures for the tracker, by name."""
    flat: dict[str, float] = {"monitor/pictures": found.pictures, "monitor/faces": found.faces}
    for fact in found.facts:
        flat |= {
            f"monitor/{kind}/{fact.name}": value
            for kind, value in (("psi", fact.psi), ("ks", fact.ks))
            if value is not None
        }
    for group in (found.shares, found.realised):
        flat |= {
            f"monitor/{words.partition(':')[0].replace(' ', '_')}": share["value"]
            for words, share in group.items()
            if share["value"] is not None
        }
    return flat


def _plain(content: Any) -> Any:
    """JSON of it: figures with six digits."""
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_plain(value) for value in content]
    return round(content, 6) if isinstance(content, float) else content
