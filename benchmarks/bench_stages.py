"""Speed and memory of single steps in one process, as ratios to a limit measured in the same run.

Absolute times depend on the machine more than on the code. Each line names the fastest possible work and
how close the code comes to it. `make bench` runs it with the other benches.
"""

from __future__ import annotations

import os
import resource
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cv2
import keras
import numpy as np
import psutil
from measure import BARE, FINDING, decode_resize_encode, report, seconds, skip

from deepfake.base.engine import Engine
from deepfake.base.errors import TrainingError
from deepfake.base.labels import REAL
from deepfake.base.parameters import load_params
from deepfake.base.runtime import configure
from deepfake.bundle.bundle import Bundle
from deepfake.bundle.predictor import Predictor
from deepfake.demo.corpus import make_pair
from deepfake.embed.views import make_view, views_of
from deepfake.evaluate.calibration import Calibration
from deepfake.evaluate.judging import judge_split
from deepfake.evaluate.scaling import Scaling
from deepfake.explain.choice import Explanation
from deepfake.media.encoding import decode_crop, encode_jpeg
from deepfake.networks.detector import build_detector
from deepfake.networks.tower import load_tower
from deepfake.params.whole import Params
from deepfake.preprocess.common_side import resolve_history
from deepfake.preprocess.crops import CropRecipe, face_crops
from deepfake.preprocess.faces import load_detector
from deepfake.pretrained.clip_weights import SIDE
from deepfake.shards.shards import read_examples, shard_paths
from deepfake.train.batches import training_batches
from deepfake.train.phases import architecture_of

FACES = Path("data/faces")
BATCH = 32  # crops, as in the stage evaluate


def portraits(number: int = 12) -> list[bytes]:
    """Demo portraits as JPEG bytes."""
    shots = [make_pair(1, index, 192)[0] for index in range(number)]
    return [cv2.imencode(".jpg", shot[:, :, ::-1])[1].tobytes() for shot in shots]


def network(params: Params) -> keras.Model:
    """The configured detector, untrained, because its speed does not depend on its weights."""
    return build_detector(architecture_of(params.train, params.preprocess.size))


def crop_recipe(params: Params) -> CropRecipe:
    """The configured steps from bytes to a crop, with the smallest possible common side."""
    settings = params.preprocess.neutralise
    size = params.preprocess.size
    history = resolve_history(settings.model_copy(update={"cap": settings.min_side}), size, {})
    return CropRecipe(
        size=size,
        limits=params.ingest.limits,
        faces=params.preprocess.faces,
        history=history if settings.enabled else None,
    )


def bench_preprocess(params: Params, files: list[bytes]) -> None:
    """Safe decode + face crop + lossless encode, relative to only decode + resize + encode."""
    size = params.preprocess.size

    def ours(cropped: bool) -> None:
        for data in files:
            face_crops(data, crop_recipe(params), cropped)

    limit = seconds(lambda: decode_resize_encode(files, size))
    report("preprocess, crops given", limit / seconds(lambda: ours(cropped=True)), BARE)
    detector = load_detector(params.preprocess.faces)
    limit = seconds(lambda: decode_resize_encode(files, size, look=detector.detect))
    report("preprocess, faces detected", limit / seconds(lambda: ours(cropped=False)), FINDING)


def bench_training(params: Params) -> None:
    """A training epoch from shards, relative to the same steps on one batch in memory."""
    if not FACES.is_dir():
        skip("training from shards", f"no {FACES}; run `dvc repro preprocess` first")
        return
    recipe, steps = params.train, 4
    model = network(params)
    model.compile("adamw", keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    data = training_batches(FACES, recipe, 1, range(100))
    batches = iter(data)
    cached = next(batches)

    def step_all(from_shards: bool) -> None:
        for _ in range(steps):
            model.train_on_batch(*(next(batches) if from_shards else cached))

    limit = seconds(lambda: step_all(from_shards=False))
    ours = seconds(lambda: step_all(from_shards=True))
    report("training from shards", limit / ours, "one batch in memory")


def bench_embed(params: Params) -> None:
    """Crop decoded + view made + tower, relative to the tower on a crop that is ready."""
    try:
        tower = load_tower(1)
    except TrainingError as error:
        skip("embed", str(error))
        return
    portrait = encode_jpeg(make_pair(1, 0, SIDE)[0], 92, "yuv444")
    pixels = decode_crop(portrait)[None]
    view = views_of(params.embed, "test", REAL)[0]

    def ours() -> None:
        crop = decode_crop(portrait)
        tower(make_view(crop, view, params.embed.augment, "0", params.base.seed)[None])

    report("embed, one view", seconds(lambda: tower(pixels)) / seconds(ours), "the tower alone")


def bench_evaluation(params: Params) -> None:
    """A split judged from its shards, relative to the network on the same crops in memory.

    The views of each crop are network passes too, so the limit has them.
    """
    if not FACES.is_dir():
        skip("evaluate, one split", f"no {FACES}; run `dvc repro preprocess` first")
        return
    model, views = network(params), params.evaluate.looks_at_views
    rows = [row for path in shard_paths(FACES / "test") for row in read_examples(path)]
    crops = np.stack([decode_crop(row["image"]) for row in rows]).astype(np.float32)
    passes = 4 if views else 1  # the crop and its three views

    def limit() -> None:
        for start in range(0, len(crops), BATCH):
            ready = np.concatenate([crops[start : start + BATCH]] * passes)
            model.predict_on_batch(ready)

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            judge_split(model, FACES, "test", views, Path(folder))

    report("evaluate, one split", seconds(limit, 1) / seconds(ours, 1), "the network alone")


def bench_serving(params: Params, files: list[bytes], folder: Path) -> None:
    """From bytes to verdict, relative to the network alone on ready crops."""
    architecture = architecture_of(params.train, params.preprocess.size)
    model = build_detector(architecture)
    model.save_weights(folder / "model.weights.h5")
    # Without the views of each crop, because the limit is one pass of the network.
    calibration = Calibration(
        Scaling("temperature"), 0.5, 0.5, 0.5, 0.5, None, 0.05, 0.1, 1, 1, 1, 1, "pooled", None
    )
    no_explanation = Explanation(None, 0, None)
    engine = Engine("keras", refused="the limit is Keras too")
    bundle = Bundle(folder, architecture, calibration, crop_recipe(params), "", {}, no_explanation, engine)
    predictor = Predictor(bundle)
    crop = np.zeros((1, architecture.size, architecture.size, 3), np.float32)
    limit = seconds(lambda: [model.predict_on_batch(crop) for _ in files])
    ours = seconds(lambda: [predictor.predict(data) for data in files])
    report("serving, one picture", limit / ours, "the network alone")


def main() -> None:
    params = load_params(Params)
    runtime = configure(params.base)
    print(f"on {runtime.device}, {params.base.threads} threads; 1.00 is the limit")
    network(params)
    loaded = psutil.Process().memory_info().rss / 2**20
    files = portraits()
    bench_preprocess(params, files)
    bench_embed(params)
    bench_training(params)
    bench_evaluation(params)
    with tempfile.TemporaryDirectory() as folder:
        bench_serving(params, files, Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report("peak memory of all these", loaded / peak, "the network in memory", f"{peak:.0f} MiB")


if __name__ == "__main__":
    main()
