"""Ways to judge a whole clip, for a few dozen clips: `python benchmarks/clip_models.py FOLDER`.

The stage clips compares fewer ways, on the clips of a test split; this needs no training.

FOLDER has `real/` and `fake/` with clips. Clips whose names share a number of two digits or more are kin
(000_003 and 003), and each clip is judged by models that never saw its kin. A way wins if the interval of
its AUC minus that of the median is above zero. Frames are embedded once and kept in `--cache`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from deepfake.base.errors import DeepfakeError
from deepfake.base.labels import FAKE, REAL
from deepfake.base.parameters import load_params
from deepfake.base.roc import auc
from deepfake.base.statistics import paired_differences, with_intervals
from deepfake.bundle.predictor import Predictor
from deepfake.clips.fit import fit_temporal
from deepfake.media.encoding import encode_png
from deepfake.media.videos import read_frames
from deepfake.networks.frozen import FrozenDetector
from deepfake.networks.head import flat
from deepfake.params.ingest.limits import ClipLimits
from deepfake.params.whole import Params
from deepfake.preprocess.crops import CropRecipe, NoFace, face_crops

RESAMPLES, SEED = 1000, 7
FRAMES = "median of frames, head fitted here"
STARTER = "median of frames, model's head"


def main() -> None:
    options = _options()
    if not options.cache.is_file():
        embed(options.folder, Predictor.load(options.model), options.frames, options.cache)
    with np.load(options.cache) as kept:
        features, logits, label, name = (kept[key] for key in ("features", "logits", "label", "name"))
    group = kin([str(one) for one in name])
    fakes, groups = int((label == FAKE).sum()), len(set(group))
    print(f"{len(name)} clips, {fakes} fake, {groups} groups, {features.shape[1]} frames of each")
    table = pd.DataFrame({"label": label, "group": group})
    for way, scores in ways(features, logits, label, group):
        table[way] = scores
        mine = with_intervals(table, way, {"auc": auc}, RESAMPLES, SEED)["auc"]
        against = STARTER if way in OF_LOGITS or way == STARTER else FRAMES
        apart = paired_differences(table, way, against, {"auc": auc}, RESAMPLES, SEED)["auc"]
        print(
            f"{way:<44} {mine.value:.3f} [{mine.low:.3f}, {mine.high:.3f}]   "
            f"{apart.value:+.3f} [{apart.low:+.3f}, {apart.high:+.3f}]",
            flush=True,
        )


def embed(folder: Path, predictor: Predictor, frames: int, cache: Path) -> None:
    """Keep features [clips, frames, d] and logits [clips, frames] of the largest face of each frame.

    Raises:
        DeepfakeError: the model has no frozen tower.
    """
    model, recipe = predictor._model, predictor.bundle.recipe
    if not isinstance(model, FrozenDetector):
        raise DeepfakeError("clips are compared by the features of a frozen tower: give such a --model")
    rows = []
    for label, kind in ((REAL, "real"), (FAKE, "fake")):
        for path in sorted((folder / kind).iterdir()):
            shots = read_frames(path, frames, ClipLimits(), recipe.limits)
            crops = [crop for _, shot in shots if (crop := _face(shot, recipe)) is not None]
            crops = [crops[number * len(crops) // frames] for number in range(frames)]
            tokens = model.tokens(np.stack(crops))
            rows.append((flat(tokens, model.head.layers), model.head(tokens), label, path.stem))
            print(path.name, flush=True)
    features, logits, label, name = zip(*rows, strict=True)
    np.savez(cache, features=np.stack(features), logits=np.stack(logits), label=label, name=name)


def _face(shot: np.ndarray, recipe: CropRecipe) -> np.ndarray | None:
    """The largest face of a frame; None where there is none."""
    try:
        return face_crops(encode_png(shot), recipe, cropped=False)[0].pixels
    except NoFace:
        return None


def kin(names: list[str]) -> np.ndarray:
    """A name for each clip's group: clips that share a number, also through a third one."""
    groups: list[tuple[set[str], list[int]]] = []
    for place, name in enumerate(names):
        numbers, members = set(re.findall(r"\d{2,}", name)), [place]
        for group in [one for one in groups if one[0] & numbers]:
            groups.remove(group)
            numbers, members = numbers | group[0], members + group[1]
        groups.append((numbers, members))
    found = np.empty(len(names), object)
    for numbers, members in groups:
        found[members] = min(numbers)
    return found


# From the logits of a clip's frames, nothing is fitted.
OF_LOGITS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean of frames": lambda logits: logits.mean(axis=1),
    "highest frame": lambda logits: logits.max(axis=1),
    "mean of the highest quarter": lambda logits: np.sort(logits, axis=1)[
        :, -(logits.shape[1] // 4) :
    ].mean(axis=1),
    "median plus spread": lambda logits: np.median(logits, axis=1) + logits.std(axis=1),
}


def ways(
    features: np.ndarray, logits: np.ndarray, label: np.ndarray, group: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Each way with its scores [clips]; the two medians come before what is compared with them."""
    yield STARTER, np.median(logits, axis=1)
    for way, of_logits in OF_LOGITS.items():
        yield way, of_logits(logits)
    yield FRAMES, held_out(features, label, group, _frames)
    yield "mean embedding, logistic regression", held_out(features, label, group, _mean_embedding)
    yield "mean and spread of embeddings, logistic", held_out(features, label, group, _two_moments)
    yield "recurrent network over the frames", held_out(features, label, group, _recurrent)
    mixed = np.random.default_rng(SEED).permuted(
        np.arange(features.shape[1])[None].repeat(len(label), 0), axis=1
    )
    shuffled = np.take_along_axis(features, mixed[:, :, None], axis=1)
    yield "the same, frames in random order", held_out(shuffled, label, group, _recurrent)


Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def held_out(features: np.ndarray, label: np.ndarray, group: np.ndarray, fit: Fit) -> np.ndarray:
    """Scores of every clip by a fit without its group; float64 [clips]."""
    scores = np.empty(len(label))
    for name in sorted(set(group)):
        mine = group == name
        scores[mine] = fit(features[~mine], label[~mine], features[mine])
    return scores


def _logistic(train: np.ndarray, label: np.ndarray, test: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000)
    )
    return model.fit(train, label).decision_function(test)


def _frames(train: np.ndarray, label: np.ndarray, test: np.ndarray) -> np.ndarray:
    width = train.shape[2]
    scores = _logistic(train.reshape(-1, width), label.repeat(train.shape[1]), test.reshape(-1, width))
    return np.median(scores.reshape(test.shape[:2]), axis=1)


def _mean_embedding(train: np.ndarray, label: np.ndarray, test: np.ndarray) -> np.ndarray:
    return _logistic(train.mean(axis=1), label, test.mean(axis=1))


def _two_moments(train: np.ndarray, label: np.ndarray, test: np.ndarray) -> np.ndarray:
    one, two = (np.concatenate([part.mean(axis=1), part.std(axis=1)], axis=1) for part in (train, test))
    return _logistic(one, label, two)


def _recurrent(train: np.ndarray, label: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The temporal model of the stage clips; its logit for each test clip."""
    settings = load_params(Params).clips.temporal
    return fit_temporal(train, label, (), settings, SEED)(test)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="with real/ and fake/")
    parser.add_argument("--model", type=Path, default=Path("models/starter"))
    parser.add_argument("--frames", type=int, default=32, help="evenly spaced ones of each clip")
    parser.add_argument("--cache", type=Path, default=Path("clip-features.npz"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
