"""The command `deepfake monitor`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deepfake.base.text import visible
from deepfake.monitor.drift import ALERT
from deepfake.monitor.reading import read_records, read_reference, read_truth
from deepfake.monitor.report import PAGE, figures, find, write_findings
from deepfake.monitor.truth import realised
from deepfake.serve.summary import many

_MANIFEST, _PREDICTIONS = Path("data/faces/manifest.parquet"), Path("reports/evaluate/predictions.parquet")


@dataclass(frozen=True)
class Look:
    """What one call of the command asks for.

    Attributes:
        records: folder of `deepfake serve --record`.
        out: folder of the page.
        days: only records of the last days; None: all.
        reference: predictions of the model; None: of the version in production.
        manifest: of the training data; None: the working tree's, where the reference is too.
        truth: CSV of labels that were found later; None: there is none.
    """

    records: Path
    out: Path
    days: int | None
    reference: Path | None
    manifest: Path | None
    truth: Path | None


def monitor(look: Look) -> bool:
    """Compare, write page and figures, publish them as a run; returns whether something is at `ALERT`.

    Raises:
        DeepfakeError: no records, or no reference.
    """
    records = read_records(look.records, look.days, datetime.now(UTC).date())
    reference = read_reference(*_reference(look))
    known, worth = (0, {}) if look.truth is None else realised(records, read_truth(look.truth))
    found = find(records, reference, known, worth)
    files = write_findings(found, look.out)
    from deepfake.monitor.run import publish_look

    publish_look(figures(found), files, {"monitor": found.level, "versions": ", ".join(found.versions)})
    origins = [(f"scores of {name}", drift) for name, drift in found.origins.items()]
    for name, drift in [*((fact.name, fact) for fact in found.facts), *origins]:
        print(f"{drift.level:<8}{visible(name):<20}now {drift.now}, reference {drift.before}")
    print(f"{found.level}: {many(found.pictures, 'picture')}; see {look.out / PAGE}")
    return found.level == ALERT


def _reference(look: Look) -> tuple[Path, Path | None]:
    if look.reference is not None:
        return look.reference, look.manifest
    from deepfake.monitor.run import starter_in_production

    if starter_in_production():
        from deepfake.bundle.starter import starter_folder

        return starter_folder() / "predictions.parquet", look.manifest
    return _PREDICTIONS, look.manifest or _MANIFEST
