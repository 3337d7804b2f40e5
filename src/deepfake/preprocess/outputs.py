"""The reports of the stage preprocess: quarantine, statistics, audits, and a page with all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deepfake.audit.report import audit_rows, plot_audit, print_audit, require_no_shortcut
from deepfake.base.stage import read_json, write_json
from deepfake.ingest.raw import RawData
from deepfake.preprocess.preprocess import Preprocessed
from deepfake.preprocess.quarantine import plot_quarantine
from deepfake.shards.manifest import write_manifest
from deepfake.validate.exhibits import quarantine_exhibits
from deepfake.validate.validation_report import Audits, render_report

_BEFORE, _QUARANTINE = Path("reports/validate/audit.json"), Path("data/quarantine.parquet")
_OUT = Path("reports/preprocess")


def write_reports(done: Preprocessed, after: dict[str, Any], raw: RawData) -> None:
    """Write the stage's tables, figures and page.

    Args:
        after: the audit of the face crops. The stage validate wrote the audit of the original pictures.

    Raises:
        ValidationFailed: a shortcut is above its limit. The page is written before this.
    """
    frame, statistics, verdict = done
    write_manifest(frame[frame["reject_reason"].notna()], _QUARANTINE)
    plot_quarantine(frame, raw, _OUT / "quarantine.png")
    write_json(_OUT / "metrics.json", statistics)
    print(f"{statistics['pictures']} split {statistics['split']}")
    before = read_json(_BEFORE)
    write_json(_OUT / "audit.json", after)
    plot_audit([before, after], _OUT / "audit.png")
    rows = {"Before: original pictures": audit_rows(before), "After: face crops": audit_rows(after)}
    page = render_report(
        frame,
        verdict,
        audits=Audits(rows, (_OUT / "audit.png").read_bytes()),
        provenance=read_json(raw.folder / "sources.json"),
        exhibits=[quarantine_exhibits(frame, raw)],
        statistics=statistics,
    )
    (_OUT / "report.html").write_text(page, encoding="utf-8")
    print_audit(after)
    require_no_shortcut(after)
