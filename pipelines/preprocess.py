"""Stage preprocess: data/raw -> data/faces (face shards, splits), quarantine, statistics, audit."""

from __future__ import annotations

from pathlib import Path

from deepfake.audit.audit import audit_crops
from deepfake.audit.report import audit_rows, draw_audit, print_audit, require_no_shortcut
from deepfake.base.stage import read_json, run_stage, write_json
from deepfake.params import load_params
from deepfake.preprocess.preprocess import preprocess
from deepfake.preprocess.quarantine import draw_quarantine
from deepfake.shards.executors import choose_executor
from deepfake.shards.manifest import read_manifest, write_manifest
from deepfake.validate.exhibits import quarantine_exhibits
from deepfake.validate.validation_report import render_report


def main() -> None:
    choose_executor()
    params = load_params()
    raw, faces = Path("data/raw"), Path("data/faces")
    manifest, seed, workers = read_manifest(raw / "manifest.parquet"), params.base.seed, params.base.threads
    frame, statistics, verdict = preprocess(
        manifest, raw, params.ingest, params.preprocess, seed, faces, workers, Path(".resume")
    )  # fmt: skip
    write_manifest(frame[frame["reject_reason"].notna()], Path("data/quarantine.parquet"))
    draw_quarantine(frame, manifest, raw, params.ingest, Path("reports/preprocess/quarantine.png"))
    write_json(Path("reports/preprocess/metrics.json"), statistics)
    print(f"{statistics['pictures']} split {statistics['split']}")
    before = read_json(Path("reports/validate/audit.json"))
    after = audit_crops(manifest, frame, faces, params.ingest, params.audit, seed, workers)
    write_json(Path("reports/preprocess/audit.json"), after)
    draw_audit([before, after], Path("reports/preprocess/audit.png"))
    page = render_report(
        frame,
        verdict,
        audits={"Before: as they came": audit_rows(before), "After: face crops": audit_rows(after)},
        audit_plot=Path("reports/preprocess/audit.png").read_bytes(),
        provenance=read_json(raw / "sources.json"),
        exhibits=[quarantine_exhibits(frame, manifest, raw, params.ingest)],
        statistics=statistics,
    )
    Path("reports/preprocess/report.html").write_text(page, encoding="utf-8")
    print_audit(after)
    require_no_shortcut(after)


if __name__ == "__main__":
    run_stage(main)
