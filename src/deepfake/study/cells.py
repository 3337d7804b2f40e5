"""One cell of a study: a training without a held-out generator, and its scores of that generator's fakes.

The spectrum baseline is fitted without that generator too. A network has learned only what it adds to the
baseline.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from deepfake.base.errors import SourceError
from deepfake.base.labels import FAKE, REAL
from deepfake.base.runtime import Runtime
from deepfake.evaluate.baselines import fit_baseline
from deepfake.media.encoding import jpeg_round_trip
from deepfake.media.spectrum import azimuthal_profile
from deepfake.params.whole import Params
from deepfake.shards.inputs import evaluation_batches
from deepfake.shards.manifest import read_manifest, usable
from deepfake.study.settings import BASELINE, Study
from deepfake.study.statistics import COLUMNS
from deepfake.train.fit import resume_key, train

_BATCH = 64


@dataclass(frozen=True)
class Cell:
    """A variant trained with one seed and without one generator.

    Attributes:
        params: all parameters of this training, with its seed and `held_out` among the held-out generators.
    """

    variant: str
    held_out: str
    params: Params

    @property
    def name(self) -> str:
        return f"{self.variant}, without {self.held_out}, seed {self.params.base.seed}"


def held_out_generators(manifest: pd.DataFrame, study: Study) -> list[str]:
    """The study's rows: the named generators, or all generators with enough fakes.

    Raises:
        SourceError: a named generator has no usable fake, or there are fewer than two generators.
    """
    kept = usable(manifest)
    counts = kept.loc[kept["label"] == FAKE, "generator"].value_counts()
    named = {*study.held_out}.union(*(variant.held_out for variant in study.variants.values()))
    if unknown := sorted(named - {*counts.index}):
        known = ", ".join(sorted(counts.index))
        raise SourceError(f"held_out: no usable fake of {', '.join(unknown)}; there are: {known}")
    if len(counts) < 2:
        raise SourceError("a study needs fakes of two generators: one to train on, one to hold out")
    enough = counts.index[counts >= study.min_fakes]
    return sorted(study.held_out or enough)


def judged_pictures(manifest: pd.DataFrame, held_out: str) -> pd.DataFrame:
    """The pictures that judge a training without `held_out`.

    These are the real pictures of test, and the generator's fakes. Fakes that share a group with a picture
    of train or val (a parent photo, a near-duplicate) are not among them.
    """
    kept = usable(manifest)
    seen = kept[kept["split"].isin(["train", "val"]) & (kept["generator"] != held_out)]
    fakes = kept[(kept["generator"] == held_out) & ~kept["group"].isin(seen["group"])]
    reals = kept[(kept["label"] == REAL) & (kept["split"] == "test")]
    return pd.concat([fakes, reals]).sort_values("image_id", ignore_index=True)


def run_cell(
    cell: Cell,
    study: Study,
    runtime: Runtime,
    faces: Path,
    folder: Path,
    listeners: Sequence[keras.callbacks.Callback] = (),
) -> pd.DataFrame:
    """Train a cell, or resume a killed training, and score the pictures that judge it.

    Args:
        folder: the training's workspace; it is deleted at the end.

    Returns:
        One row per picture and condition (`clean`, `jpeg<quality>`); columns of `statistics.COLUMNS`.
    """
    keras.utils.clear_session()  # else the layers' names continue the numbers of the model before
    model, _, _ = train(cell.params, runtime, faces, folder, listeners)

    def logits(crops: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict_on_batch(crops.astype(np.float32)))[:, 0]

    scores = _score(logits, cell, study, faces)
    shutil.rmtree(folder)
    return scores


def baseline_scores(held_out: str, params: Params, study: Study, faces: Path) -> pd.DataFrame:
    """The spectrum baseline's scores of the pictures that judge cells without `held_out`.

    Returns:
        See `run_cell`; the variant is `BASELINE`.
    """
    profiles, labels = [], []
    batches = evaluation_batches(faces, params.preprocess.size, "train", _BATCH, held_out=[held_out])
    for crops, label, _ in batches.as_numpy_iterator():
        profiles.append(azimuthal_profile(crops))
        labels.append(label[:, 0])
    baseline = fit_baseline(np.concatenate(profiles), np.concatenate(labels))
    cell = Cell(BASELINE, held_out, params)
    return _score(lambda crops: baseline.decision_function(azimuthal_profile(crops)), cell, study, faces)


def cell_key(cell: Cell, study: Study, faces: Path) -> str:
    """Identity of a cell: parameters, data, code, the held-out generator, and the JPEG quality."""
    text = f"{resume_key(cell.params, faces)} {study.jpeg_quality}"
    return hashlib.sha256(text.encode()).hexdigest()


def _score(
    score: Callable[[np.ndarray], np.ndarray], cell: Cell, study: Study, faces: Path
) -> pd.DataFrame:
    """Scores of crops, clean and compressed; `score` maps uint8 crops to logits [n]."""
    manifest = read_manifest(faces / "manifest.parquet")
    judged = judged_pictures(manifest, cell.held_out)
    conditions = {"clean": None, f"jpeg{study.jpeg_quality}": study.jpeg_quality}
    rows = []
    for crops, image_ids in _crops(faces, cell.params.preprocess.size, {*judged["image_id"]}):
        for condition, quality in conditions.items():
            shown = crops if quality is None else _laundered(crops, quality)
            row = {"image_id": image_ids, "condition": condition, "logit": score(shown)}
            rows.append(pd.DataFrame(row))
    scores = judged[["image_id", "label", "source", "group"]].merge(pd.concat(rows), on="image_id")
    facts = {"variant": cell.variant, "held_out": cell.held_out, "seed": cell.params.base.seed}
    return scores.sort_values(["condition", "image_id"]).assign(**facts)[COLUMNS]


def _laundered(crops: np.ndarray, quality: int) -> np.ndarray:
    """Crops after JPEG with halved chroma, as platforms write it."""
    return np.stack([jpeg_round_trip(crop, quality, "yuv420") for crop in crops])


def _crops(faces: Path, size: int, wanted: set[str]) -> Iterator[tuple[np.ndarray, list[str]]]:
    """uint8 crops and their image_ids, from all splits: each may have a held-out generator's fakes."""
    for split in ("train", "val", "test"):
        batches = evaluation_batches(faces, size, split, _BATCH, only=wanted)
        for crops, _, keys in batches.as_numpy_iterator():
            yield crops.astype(np.uint8), [key.decode() for key in keys]
