"""Stage validate: data/raw/manifest.parquet -> reports/validate (verdict and page), or an error."""

from __future__ import annotations

from pathlib import Path

from deepfake.data.expectations import first_failure
from deepfake.data.manifest import read_manifest
from deepfake.data.validation import validate_manifest
from deepfake.data.validation_report import render_report
from deepfake.errors import ValidationFailed
from deepfake.params import load_params
from deepfake.stage import run_stage, write_json


def main() -> None:
    params = load_params()
    frame = read_manifest(Path("data/raw/manifest.parquet"))
    verdict = validate_manifest(frame, params.validate_)
    folder = Path("reports/validate")
    # Before the verdict stops the stage: whoever has to mend the data needs them.
    write_json(folder / "verdict.json", verdict.to_json())
    (folder / "report.html").write_text(render_report(frame, verdict), encoding="utf-8")
    failed = [result.name for result in verdict.failed("critical") + verdict.failed("warning")]
    print(f"{len(frame)} files; expectations not met: {', '.join(failed) or 'none'}")
    if not verdict.passed:
        raise ValidationFailed(f"{first_failure(verdict)}; see {folder / 'report.html'}")


if __name__ == "__main__":
    run_stage(main)
