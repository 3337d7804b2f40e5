"""Stage preprocess: data/raw -> data/faces (face shards, splits), quarantine, statistics, audit."""

from pathlib import Path

from deepfake.audit.audit import audit_crops
from deepfake.base.parameters import Sections, load_params
from deepfake.base.stage import run_stage
from deepfake.ingest.raw import RawData
from deepfake.params.audit import Audit
from deepfake.params.base import Base
from deepfake.params.ingest.ingest import Ingest
from deepfake.params.preprocess import Preprocess
from deepfake.preprocess.ledger import LEDGER, read_ledger
from deepfake.preprocess.outputs import write_reports
from deepfake.preprocess.preprocess import preprocess
from deepfake.preprocess.splits import SplitRule
from deepfake.shards.executors import choose_executor


class Params(Sections):
    base: Base
    ingest: Ingest
    preprocess: Preprocess
    audit: Audit


def main() -> None:
    choose_executor()
    params, faces = load_params(Params), Path("data/faces")
    cut, seed, workers = params.preprocess, params.base.seed, params.base.threads
    raw = RawData.read(Path("data/raw"), params.ingest)
    rule = SplitRule(seed, read_ledger(LEDGER, seed, cut.split))
    done = preprocess(raw, cut, rule, faces, workers, Path(".resume"))
    audit = audit_crops(raw, done.frame, faces, params.audit, seed, workers)
    write_reports(done, audit, raw)


if __name__ == "__main__":
    run_stage(main)
