"""The temporal model: principal axes of the frames' features, a small GRU, one logit. NumPy runs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepfake.networks.head import flat, standardised

TEMPORAL = "temporal.h5"  # in the folder that the stage clips writes, and in a bundle
_ARRAYS = (
    "mean", "deviation", "axes", "kernel", "recurrent", "bias", "weights", "offset",
)  # fmt: skip


@dataclass(frozen=True)
class TemporalModel:
    """Weights of the model. Its arithmetic is that of `keras.layers.GRU` with `reset_after`.

    Attributes:
        layers: numbers of the class tokens that it reads.
        frames: number of frames that it reads.
        mean, deviation: float32 [d], of the training frames' features.
        axes: float32 [d, k]: whitened principal axes of the standardised features.
        kernel, recurrent: float32 [k, 3 u] and [u, 3 u], for update gate, reset gate and candidate.
        bias: float32 [2, 3 u], of the input and of the state.
        weights, offset: float32 [u] and [], from the last state to the logit.
    """

    layers: tuple[int, ...]
    frames: int
    mean: np.ndarray
    deviation: np.ndarray
    axes: np.ndarray
    kernel: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray
    weights: np.ndarray
    offset: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Logit of `fake` of each clip; float32 [n] from features [n, frames, d] (see `flat`)."""
        places = standardised(features, self.mean, self.deviation) @ self.axes
        state = np.zeros((len(places), len(self.recurrent)), np.float32)
        for step in range(places.shape[1]):
            update, reset, candidate = np.split(places[:, step] @ self.kernel + self.bias[0], 3, axis=1)
            of_state = np.split(state @ self.recurrent + self.bias[1], 3, axis=1)
            keep = _sigmoid(update + of_state[0])
            proposed = np.tanh(candidate + _sigmoid(reset + of_state[1]) * of_state[2])
            state = keep * state + (1.0 - keep) * proposed
        return np.asarray(state @ self.weights + self.offset, np.float32)

    def of_track(self, tokens: np.ndarray) -> float:
        """Logit of one face from the class tokens [frames, tokens, width] of evenly spaced frames."""
        return float(self(flat(tokens, self.layers)[None])[0])


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)))  # overflows for no value


def save_temporal(model: TemporalModel, path: Path) -> None:
    """Write a model as HDF5; the same model gives the same bytes."""
    import h5py

    with h5py.File(path, "w", track_order=False) as file:
        for name in ("layers", "frames"):
            file.create_dataset(name, data=np.array(getattr(model, name), np.int64), track_times=False)
        for name in _ARRAYS:
            values = np.asarray(getattr(model, name), np.float32)
            file.create_dataset(name, data=values, track_times=False)


def load_temporal(path: Path) -> TemporalModel:
    """Read the output of `save_temporal`. The bundle's seal has checked the file."""
    import h5py

    with h5py.File(path, "r") as file:
        layers = tuple(int(layer) for layer in file["layers"][:])
        return TemporalModel(layers, int(file["frames"][()]), *(file[name][()] for name in _ARRAYS))
