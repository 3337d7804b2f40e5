"""Stage ingest: sources -> data/raw (shards + manifest)."""

from __future__ import annotations

from pathlib import Path

from deepfake.base.stage import run_stage
from deepfake.ingest.ingest import ingest
from deepfake.params import load_params
from deepfake.shards.executors import choose_executor


def main() -> None:
    choose_executor()
    params = load_params()
    frame = ingest(
        params.ingest, params.base.seed, Path("data/raw"), params.base.threads, Path(".resume")
    )  # fmt: skip
    rejected = frame["reject_reason"].value_counts().to_dict()
    print(f"{len(frame)} files; rejected: {rejected or 'none'}")


if __name__ == "__main__":
    run_stage(main)
