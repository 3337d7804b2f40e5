"""The work of preprocess on every picture, without its audit and report. bench_data.py runs it."""

from __future__ import annotations

from pathlib import Path

from deepfake.base.parameters import load_params
from deepfake.base.stage import run_stage
from deepfake.ingest.raw import RawData
from deepfake.params.whole import Params
from deepfake.preprocess.preprocess import preprocess
from deepfake.preprocess.splits import SplitRule


def main() -> None:
    params = load_params(Params)
    raw, rule = RawData.read(Path("data/raw"), params.ingest), SplitRule(params.base.seed)
    preprocess(raw, params.preprocess, rule, Path("data/cut"), params.base.threads)


if __name__ == "__main__":
    run_stage(main)
