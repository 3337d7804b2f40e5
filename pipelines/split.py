"""Stage split: write a line for every picture of data/raw into the ledger of splits, data/splits.csv."""

from __future__ import annotations

from pathlib import Path

from deepfake.base.parameters import Sections, load_params
from deepfake.base.stage import run_stage
from deepfake.params.base import Base
from deepfake.params.preprocess import Preprocess
from deepfake.preprocess.ledger import LEDGER, carry_forward, moves, read_ledger, write_ledger
from deepfake.shards.manifest import read_manifest


class Params(Sections):
    base: Base
    preprocess: Preprocess


def main() -> None:
    params = load_params(Params)
    seed, split = params.base.seed, params.preprocess.split
    before = read_ledger(LEDGER, seed, split)
    after = carry_forward(read_manifest(Path("data/raw/manifest.parquet")), before, seed, split)
    write_ledger(LEDGER, after, seed, split)
    moved = moves(before, after)
    print(f"{len(after) - len(before)} new pictures, {len(before)} known; moved: {moved or 'none'}")
    if "train_to_test" in moved:
        print("older models were trained on pictures of this test split: their figures on it are too good")


if __name__ == "__main__":
    run_stage(main)
