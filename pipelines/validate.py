"""Stage validate: data/raw -> reports/validate (verdict, shortcut audit, page), or an error."""

from functools import partial
from pathlib import Path

from deepfake.audit.audit import audit_raw
from deepfake.base.parameters import Sections, load_params
from deepfake.base.stage import run_stage
from deepfake.ingest.raw import RawData
from deepfake.params.audit import Audit
from deepfake.params.base import Base
from deepfake.params.ingest.ingest import Ingest
from deepfake.params.validate import Validate
from deepfake.shards.executors import choose_executor
from deepfake.validate.validate import validate


class Params(Sections):
    base: Base
    ingest: Ingest
    validate_: Validate
    audit: Audit


def main() -> None:
    choose_executor()
    params = load_params(Params)
    seed, workers = params.base.seed, params.base.threads
    audit = partial(audit_raw, params=params.audit, seed=seed, workers=workers)
    raw = RawData.read(Path("data/raw"), params.ingest)
    validate(raw, params.validate_, audit, Path("reports/validate"))


if __name__ == "__main__":
    run_stage(main)
