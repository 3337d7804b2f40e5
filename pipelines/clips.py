"""Stage clips: limits for the score of a whole clip; a temporal model, if it beats the median of frames."""

from functools import partial
from pathlib import Path

from deepfake.base.parameters import Sections, load_params
from deepfake.base.runtime import configure
from deepfake.base.stage import run_stage
from deepfake.clips.clips import judge_clips
from deepfake.clips.outputs import write_clips
from deepfake.clips.sources import ClipSources
from deepfake.evaluate.predictions import read_predictions
from deepfake.params.base import Base
from deepfake.params.clips import Clips


class Params(Sections):
    base: Base
    clips: Clips


def main() -> None:
    params, predictions = (
        load_params(Params),
        read_predictions(Path("reports/evaluate/predictions.parquet")),
    )
    faces, embeddings, detector = Path("data/faces"), Path("data/embeddings"), Path("models/detector")
    sources = ClipSources(predictions, faces, embeddings, detector)
    found = judge_clips(sources, params.clips, partial(configure, params.base))
    write_clips(found, sources.target, Path("models/clips"), Path("reports/clips"))


if __name__ == "__main__":
    run_stage(main)
