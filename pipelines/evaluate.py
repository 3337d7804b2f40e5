"""Stage evaluate: raw predictions, and metrics with intervals and figures, which use only these."""

from pathlib import Path

from deepfake.base.parameters import Sections, load_params
from deepfake.base.runtime import configure
from deepfake.base.stage import run_stage
from deepfake.evaluate.evaluate import HeldOut, predict_splits, write_evaluation
from deepfake.evaluate.judging import judging_key
from deepfake.networks.detector import load_detector
from deepfake.params.base import Base
from deepfake.params.evaluate import Evaluate
from deepfake.params.train import Train
from deepfake.shards.resume import workspace


class Params(Sections):
    base: Base
    train: Train
    evaluate: Evaluate


def main() -> None:
    params = load_params(Params)
    configure(params.base)
    faces, detector, evaluate = Path("data/faces"), Path("models/detector"), params.evaluate
    (model, _), key = load_detector(detector), judging_key(detector, faces, evaluate.looks_at_views)
    held_out = HeldOut(params.train.held_out_generators, params.train.select_holdout)
    # Around both steps: a kill during the second must not lose the shards judged in the first.
    with workspace(Path(".resume"), "evaluate", key) as work:
        judged = predict_splits(model, faces, evaluate, params.base.seed, work, held_out)
        write_evaluation(judged, Path("reports/evaluate"), Path("models/calibration.json"))


if __name__ == "__main__":
    run_stage(main)
