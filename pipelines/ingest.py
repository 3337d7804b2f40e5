"""Stage ingest: sources -> data/raw (shards + manifest)."""

from pathlib import Path

from deepfake.base.parameters import Sections, load_params
from deepfake.base.stage import run_stage
from deepfake.ingest.ingest import ingest
from deepfake.params.base import Base
from deepfake.params.ingest.ingest import Ingest
from deepfake.shards.executors import choose_executor
from deepfake.shards.manifest import rejections


class Params(Sections):
    base: Base
    ingest: Ingest


def main() -> None:
    choose_executor()
    params = load_params(Params)
    seed, workers = params.base.seed, params.base.threads
    frame = ingest(params.ingest, seed, Path("data/raw"), workers, Path(".resume"))
    print(f"{len(frame)} files; rejected: {rejections(frame)}")


if __name__ == "__main__":
    run_stage(main)
