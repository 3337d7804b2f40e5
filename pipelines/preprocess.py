"""Stage preprocess: data/raw -> data/faces (face shards, splits), quarantine, statistics."""

from __future__ import annotations

from pathlib import Path

from deepfake.data.executors import choose_executor
from deepfake.data.manifest import read_manifest, write_manifest
from deepfake.data.preprocess import preprocess
from deepfake.data.quarantine import draw_quarantine
from deepfake.params import load_params
from deepfake.stage import run_stage, write_json


def main() -> None:
    choose_executor()
    params = load_params()
    raw, faces = Path("data/raw"), Path("data/faces")
    manifest = read_manifest(raw / "manifest.parquet")
    frame, statistics = preprocess(
        manifest, raw, params.ingest, params.preprocess, params.base.seed, faces, params.base.threads,
        Path(".resume"),
    )  # fmt: skip
    write_manifest(frame[frame["reject_reason"].notna()], Path("data/quarantine.parquet"))
    draw_quarantine(frame, manifest, raw, params.ingest, Path("reports/preprocess/quarantine.png"))
    write_json(Path("reports/preprocess/metrics.json"), statistics)
    print(f"{statistics['pictures']} split {statistics['split']}")


if __name__ == "__main__":
    run_stage(main)
