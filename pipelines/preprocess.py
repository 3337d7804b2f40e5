"""Stage preprocess: data/raw -> data/faces (face shards, splits), quarantine, statistics, audit."""

from pathlib import Path

from deepfake.audit.audit import audit_crops
from deepfake.base.parameters import Sections, load_params
from deepfake.base.stage import run_stage
from deepfake.params.audit import Audit
from deepfake.params.base import Base
from deepfake.params.ingest.ingest import Ingest
from deepfake.params.preprocess import Preprocess
from deepfake.preprocess.ledger import LEDGER, read_ledger
from deepfake.preprocess.outputs import write_reports
from deepfake.preprocess.preprocess import preprocess
from deepfake.shards.executors import choose_executor
from deepfake.shards.manifest import read_manifest


class Params(Sections):
    base: Base
    ingest: Ingest
    preprocess: Preprocess
    audit: Audit


def main() -> None:
    choose_executor()
    params, raw, faces = load_params(Params), Path("data/raw"), Path("data/faces")
    ingest, cut, seed, workers = params.ingest, params.preprocess, params.base.seed, params.base.threads
    manifest, ledger = read_manifest(raw / "manifest.parquet"), read_ledger(LEDGER, seed, cut.split)
    done = preprocess(manifest, raw, ingest, cut, seed, faces, workers, Path(".resume"), ledger)
    audit = audit_crops(manifest, done.frame, faces, ingest, params.audit, seed, workers)
    write_reports(done, audit, manifest, raw, ingest)


if __name__ == "__main__":
    run_stage(main)
