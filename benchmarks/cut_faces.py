"""The work of preprocess on every picture, without its audit and report. bench_data.py runs it."""

from __future__ import annotations

from pathlib import Path

from deepfake.base.parameters import load_params
from deepfake.base.stage import run_stage
from deepfake.params.whole import Params
from deepfake.preprocess.preprocess import preprocess
from deepfake.shards.manifest import read_manifest


def main() -> None:
    params, raw = load_params(Params), Path("data/raw")
    manifest = read_manifest(raw / "manifest.parquet")
    workers, out = params.base.threads, Path("data/cut")
    preprocess(manifest, raw, params.ingest, params.preprocess, params.base.seed, out, workers)


if __name__ == "__main__":
    run_stage(main)
