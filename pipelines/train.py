"""Stage train: data/faces or data/embeddings -> models/detector (weights, architecture), curves."""

import shutil
from pathlib import Path

from deepfake.base.parameters import Sections, load_params, read_params
from deepfake.base.runtime import configure
from deepfake.base.stage import run_stage
from deepfake.params.base import Base
from deepfake.params.preprocess import Preprocess
from deepfake.params.train import Train
from deepfake.registry.tracking.runs import training_run
from deepfake.shards.resume import alone
from deepfake.train.fit import resume_key
from deepfake.train.outputs import write_curves, write_model
from deepfake.train.train import train_detector


class Params(Sections):
    base: Base
    preprocess: Preprocess
    train: Train


def main() -> None:
    params, space = load_params(Params), Path(".resume")
    runtime, faces, embeddings = configure(params.base), Path("data/faces"), Path("data/embeddings")
    key = resume_key(params, faces)
    with alone(space), training_run(key, read_params(), runtime) as run:  # all sections: for MLflow
        made = train_detector(params, runtime, faces, embeddings, space / key, [run.live_curves])
        model, architecture, history = made
        digest = write_model(model, architecture, params.train, Path("models/detector"))
        run.finish(digest)
    write_curves(history, digest, Path("reports/train"))
    shutil.rmtree(space / key, ignore_errors=True)


if __name__ == "__main__":
    run_stage(main)
