"""Stage validate: data/raw -> reports/validate (verdict, page, shortcut audit), or an error."""

from __future__ import annotations

from pathlib import Path

from deepfake.data.manifest import read_manifest
from deepfake.data.validation import Verdict, validate_manifest
from deepfake.data.validation_report import render_report, visible
from deepfake.errors import ValidationFailed
from deepfake.evaluation.audit import audit_raw
from deepfake.evaluation.audit_report import draw_audit, print_audit, require_no_shortcut
from deepfake.params import load_params
from deepfake.stage import run_stage, write_json


def main() -> None:
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
        raise ValidationFailed(f"{_sentence(verdict)}; see {folder / 'report.html'}")
    base = params.base
    audit = audit_raw(frame, raw, params.ingest, params.audit, base.seed, base.threads)
    write_json(folder / "audit.json", audit)
    draw_audit([audit], folder / "audit.png")
    print_audit(audit)
    require_no_shortcut(audit)


def _sentence(verdict: Verdict) -> str:
    """What the first critical failure asserts, what was found, and the first rows."""
    first, *others = verdict.failed("critical")
    rows = f", first in {', '.join(first.rows[:3])}" if first.rows else ""
    more = f", and {len(others)} more failed" if others else ""
    text = f"{first.name}: {first.asserts.rstrip('.')}, but found: {first.observed}{rows}{more}"
    return visible(text)  # a file's name must not move the cursor of whoever reads the error


if __name__ == "__main__":
    run_stage(main)
