"""Stage train: data/faces -> models/detector (weights, architecture), curves."""

from __future__ import annotations

import shutil
from pathlib import Path

from deepfake.base.runtime import configure
from deepfake.base.stage import run_stage, write_json
from deepfake.networks.detector import save_detector
from deepfake.params import load_params
from deepfake.registry.tracking.runs import training_run
from deepfake.train.callbacks import summarise
from deepfake.train.curves import draw_curves
from deepfake.train.fit import resume_key, train
from deepfake.train.recipes import describe


def main() -> None:
    params = load_params()
    runtime = configure(params.base)
    faces, detector, reports = Path("data/faces"), Path("models/detector"), Path("reports/train")
    key = resume_key(params, faces)
    workspace = Path(".resume") / key
    with training_run(key, params, runtime) as run:
        model, architecture, history = train(params, runtime, faces, workspace, [run.live_curves])
        digest = save_detector(model, architecture, detector)
        write_json(detector / "augmentation.json", describe(params.train))
        run.finish(digest)
    reports.mkdir(parents=True, exist_ok=True)
    history.to_csv(reports / "history.csv", index=False)
    draw_curves(history, reports / "curves.png")
    write_json(reports / "metrics.json", summarise(history) | {"weights_sha256": digest})
    shutil.rmtree(workspace)


if __name__ == "__main__":
    run_stage(main)
