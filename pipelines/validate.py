"""Stage validate: data/raw -> reports/validate (verdict, page, shortcut audit), or an error."""

from __future__ import annotations

from pathlib import Path

from deepfake.data.executors import choose_executor
from deepfake.data.expectations import first_failure
from deepfake.data.manifest import read_manifest
from deepfake.data.validation import validate_manifest
from deepfake.data.validation_report import render_report
from deepfake.errors import ValidationFailed
from deepfake.evaluation.audit import audit_raw
from deepfake.evaluation.audit_report import draw_audit, print_audit, require_no_shortcut
from deepfake.params import load_params
from deepfake.stage import run_stage, write_json


def main() -> None:
    choose_executor()
    params = load_params()
    raw = Path("data/raw")
    frame = read_manifest(raw / "manifest.parquet")
    verdict = validate_manifest(frame, params.validate_)
    folder = Path("reports/validate")
    # Before the verdict stops the stage: whoever has to mend the data needs them.
    write_json(folder / "verdict.json", verdict.to_json())
    (folder / "report.html").write_text(render_report(frame, verdict), encoding="utf-8")
    failed = [result.name for result in verdict.failed("critical") + verdict.failed("warning")]
    print(f"{len(frame)} files; expectations not met: {', '.join(failed) or 'none'}")
    if not verdict.passed:
        raise ValidationFailed(f"{first_failure(verdict)}; see {folder / 'report.html'}")
    base = params.base
    audit = audit_raw(frame, raw, params.ingest, params.audit, base.seed, base.threads)
    write_json(folder / "audit.json", audit)
    draw_audit([audit], folder / "audit.png")
    print_audit(audit)
    require_no_shortcut(audit)


if __name__ == "__main__":
    run_stage(main)
