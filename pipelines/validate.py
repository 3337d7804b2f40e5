"""Stage validate: data/raw -> reports/validate (verdict, shortcut audit, page), or an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deepfake.audit.audit import audit_raw
from deepfake.audit.report import audit_rows, draw_audit, print_audit, require_no_shortcut
from deepfake.base.errors import SourceError, ValidationFailed
from deepfake.base.stage import read_json, run_stage, write_json
from deepfake.params import load_params
from deepfake.shards.executors import choose_executor
from deepfake.shards.manifest import read_manifest
from deepfake.validate.exhibits import raw_exhibits
from deepfake.validate.expectations import first_failure
from deepfake.validate.validation import validate_manifest
from deepfake.validate.validation_report import render_report


def main() -> None:
    choose_executor()
    params = load_params()
    base = params.base
    raw, folder = Path("data/raw"), Path("reports/validate")
    frame = read_manifest(raw / "manifest.parquet")
    verdict = validate_manifest(frame, params.validate_)
    write_json(folder / "verdict.json", verdict.to_json())
    failed = [result.name for result in verdict.failed("critical") + verdict.failed("warning")]
    print(f"{len(frame)} files; expectations not met: {', '.join(failed) or 'none'}")
    shown: dict[str, Any] = {}
    try:
        shown["provenance"] = read_json(raw / "sources.json")
        if verdict.readable:  # else there are no columns to find pictures by
            shown["exhibits"] = raw_exhibits(frame, raw, params.ingest)
            audit = audit_raw(frame, raw, params.ingest, params.audit, base.seed, base.threads)
            write_json(folder / "audit.json", audit)
            draw_audit([audit], folder / "audit.png")
            shown["audits"] = {"Pictures as they came": audit_rows(audit)}
            shown["audit_plot"] = (folder / "audit.png").read_bytes()
    except SourceError as error:  # such as a class of one picture: the verdict says it better
        if verdict.passed:
            raise
        print(f"the page shows the expectations only ({error})")
    finally:  # whoever has to mend the data needs the page, whatever stops the stage
        page = render_report(frame, verdict, **shown)
        (folder / "report.html").write_text(page, encoding="utf-8")
    if not verdict.passed:
        raise ValidationFailed(f"{first_failure(verdict)}; see {folder / 'report.html'}")
    print_audit(audit)
    require_no_shortcut(audit)


if __name__ == "__main__":
    run_stage(main)
