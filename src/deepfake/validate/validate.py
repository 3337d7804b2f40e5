"""The stage validate as one call: a verdict on the raw data, an audit and a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from deepfake.audit.report import audit_rows, plot_audit, print_audit, require_no_shortcut
from deepfake.base.errors import SourceError, ValidationFailed
from deepfake.base.stage import read_json, write_json
from deepfake.ingest.raw import RawData
from deepfake.params.validate import Validate
from deepfake.validate.exhibits import raw_exhibits
from deepfake.validate.expectations import first_failure
from deepfake.validate.validation import validate_manifest
from deepfake.validate.validation_report import Audits, render_report

AuditRaw = Callable[[RawData], dict[str, Any]]


def validate(raw: RawData, expected: Validate, audit_raw: AuditRaw, out: Path) -> None:
    """Check the output of ingest.

    Args:
        audit_raw: the shortcut audit.
        out: a folder for verdict.json, audit.json, audit.png and report.html.

    Raises:
        ValidationFailed: a critical expectation failed, or a shortcut is above its limit. The page is
            written all the same.
    """
    frame = raw.manifest
    verdict = validate_manifest(frame, expected)
    write_json(out / "verdict.json", verdict.to_json())
    failed = [result.name for result in verdict.failed("critical") + verdict.failed("warning")]
    print(f"{len(frame)} files; expectations not met: {', '.join(failed) or 'none'}")
    shown: dict[str, Any] = {}
    try:
        shown["provenance"] = read_json(raw.folder / "sources.json")
        if verdict.readable:  # pictures are found by the columns
            shown["exhibits"] = raw_exhibits(raw)
            audit = audit_raw(raw)
            shown |= _write_audit(audit, out)
    except SourceError as error:  # for example, a class has one picture: the verdict explains it better
        if verdict.passed:
            raise
        print(f"the page shows only the expectations ({error})")
    finally:  # the page is written even if the stage stops: it says how to correct the data
        page = render_report(frame, verdict, **shown)
        (out / "report.html").write_text(page, encoding="utf-8")
    if not verdict.passed:
        raise ValidationFailed(f"{first_failure(verdict)}; see {out / 'report.html'}")
    print_audit(audit)
    require_no_shortcut(audit)


def _write_audit(audit: dict[str, Any], out: Path) -> dict[str, Any]:
    """Write the audit's files, and return its part of the page."""
    write_json(out / "audit.json", audit)
    plot_audit([audit], out / "audit.png")
    plot = (out / "audit.png").read_bytes()
    return {"audits": Audits({"Original pictures": audit_rows(audit)}, plot)}
