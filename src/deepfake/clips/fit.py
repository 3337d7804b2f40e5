"""Fits the temporal model. Only this file needs Keras."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from deepfake.base.labels import FAKE, LABEL_NAMES
from deepfake.clips.frames import clip_facts, clip_features, clip_frames
from deepfake.clips.sources import ClipSources
from deepfake.clips.temporal import TemporalModel
from deepfake.params.clips import Clips, Temporal
from deepfake.shards.manifest import HOLDOUT

_BATCH, _RATE, _DROPOUT = 32, 0.01, 0.3


class Trial:
    """A temporal model and its logits of clips that it was not fitted on.

    Attributes:
        model: fitted on all training clips.
        logits: float32, by clip.
    """

    def __init__(self, sources: ClipSources, judged: pd.DataFrame, params: Clips) -> None:
        """Fit it.

        Args:
            judged: from `clip_frames`, of all splits outside training.

        Raises:
            TrainingError: the features are missing.
        """
        assert sources.frozen is not None
        self._layers, self._params = sources.frozen.head.layers, params.temporal
        self._seed, self._held_out = sources.predictions.seed, sources.predictions.held_out
        train = training_frames(sources, params)
        self._learned, self._asked = (
            clip_features(rows, sources.plain(*splits), self._layers, params.temporal.frames)
            for rows, splits in ((train, ("train",)), (judged, ("val", "test", HOLDOUT)))
        )
        self._train, self._judged = clip_facts(train), clip_facts(judged)
        self.model = self._fitted(np.ones(len(self._train), bool))
        self.logits = pd.Series(self.model(self._asked), self._judged.index)

    def leave_one_out(self) -> pd.DataFrame:
        """As that of `FrozenDetector`, of clips: generator, group and logit of validation's fakes.

        A generator is not in it if training has no other generator.
        """
        fakes = (self._judged["split"] == "val") & (self._judged["label"] == FAKE)
        fakes &= ~self._judged["generator"].isin(self._held_out)
        found = self._judged[fakes].assign(logit=np.nan)
        for generator in sorted(set(self._judged.loc[fakes, "generator"])):
            kept = (self._train["generator"] != generator).to_numpy()
            if (self._train.loc[kept, "label"] == FAKE).any():
                mine = fakes & (self._judged["generator"] == generator)
                found.loc[mine[mine].index, "logit"] = self._fitted(kept)(self._asked[mine.to_numpy()])
        return found.dropna(subset="logit")

    def _fitted(self, kept: np.ndarray) -> TemporalModel:
        labels = self._train["label"].to_numpy()[kept]
        return fit_temporal(self._learned[kept], labels, self._layers, self._params, self._seed)


def training_frames(sources: ClipSources, params: Clips) -> pd.DataFrame:
    """Frames of the training clips; see `clip_frames`."""
    return clip_frames(sources.training(), params.min_frames)


def no_trial(sources: ClipSources, params: Clips) -> str:
    """Why no temporal model is fitted; empty if one can be."""
    if sources.frozen is None:
        return "only a frozen model has cached features of all frames"
    labels = clip_facts(training_frames(sources, params))["label"]
    needed = params.temporal.min_clips
    for label, name in LABEL_NAMES.items():
        if (number := int((labels == label).sum())) < needed:
            return f"training has {number} {name} clips, and {needed} are needed"
    return ""


def fit_temporal(
    features: np.ndarray, labels: np.ndarray, layers: Sequence[int], params: Temporal, seed: int
) -> TemporalModel:
    """Fit on training clips. Both classes weigh the same.

    The number of epochs is fixed, so all of validation is left for the limits.

    Args:
        features: float32 [n, frames, d], see `flat`.
        labels: [n], REAL or FAKE; both occur.
        layers: class tokens that the features are made of.
    """
    import keras

    mean, deviation, axes = _principal_axes(features.reshape(-1, features.shape[2]), params.axes, seed)
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([
        keras.Input((features.shape[1], axes.shape[1])), keras.layers.GRU(params.units),
        keras.layers.Dropout(_DROPOUT), keras.layers.Dense(1),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(_RATE), keras.losses.BinaryCrossentropy(from_logits=True))
    share = float((labels == FAKE).mean())
    model.fit(
        ((features - mean) / deviation) @ axes, labels.astype(np.float32)[:, None],
        sample_weight=np.where(labels == FAKE, 0.5 / share, 0.5 / (1.0 - share)),
        batch_size=_BATCH, epochs=params.epochs, verbose=0,
    )  # fmt: skip
    kernel, recurrent, bias, weights, offset = model.get_weights()
    return TemporalModel(
        tuple(layers), features.shape[1], mean, deviation, axes, kernel, recurrent, bias, weights[:, 0],
        offset[0],
    )  # fmt: skip


def _principal_axes(rows: np.ndarray, number: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and deviation [d] of features [n, d], and the whitened axes [d, number] of the standardised."""
    from sklearn.decomposition import PCA

    mean, deviation = rows.mean(axis=0), rows.std(axis=0) + np.float32(1e-6)
    found = PCA(min(number, *rows.shape), random_state=seed).fit((rows - mean) / deviation)
    spread = np.sqrt(np.maximum(found.explained_variance_, 1e-12))
    return mean, deviation, np.asarray(found.components_.T / spread, np.float32)
