"""predictions.parquet: one row per judged picture. Every figure is computed from it.

The file's schema metadata hold thresholds, scalings, seed and number of resamples. A copy of the file alone
is then enough to compute the figures again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from deepfake.base.statistics import Metric
from deepfake.evaluate.calibration import Calibration
from deepfake.evaluate.headline import headline

MODEL, BASELINE, METADATA = "model", "spectrum_baseline", "metadata_baseline"
_KEY = b"deepfake"


@dataclass(frozen=True)
class Detector:
    """One of the compared detectors: its columns and how it decides.

    Attributes:
        score: column of scores, float64; with a calibration, probabilities of fake.
        logit: column that the calibration was fitted on; None: unknown.
        threshold: scores at or above it are called fake; None: unknown.
        is_probability: False: only the order of the scores has a meaning.
    """

    score: str
    logit: str | None
    calibration: Calibration | None
    threshold: float | None
    is_probability: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Detector:
        """Read what `to_json` made."""
        stored = content["calibration"]
        return cls(**content | {"calibration": None if stored is None else Calibration.from_json(stored)})


def calibrated(score: str, logit: str, calibration: Calibration) -> Detector:
    """A detector that was calibrated on validation."""
    return Detector(score, logit, calibration, calibration.threshold, is_probability=True)


@dataclass(frozen=True)
class Predictions:
    """The judged pictures and the detectors that judged them.

    Attributes:
        frame: image_id, path, label, source, generator, group, split; each detector's columns; verdict
            and reason of the first detector; with views, their logits and `spread`.
        detectors: by name; the page is about the first.
        holdout: generators that have all their usable pictures in `holdout`.
        compared: name of a compared detector -> sha256 of the file with its scores.
        resamples, seed: of the bootstrap; `bins` of the calibration error.
        held_out: generators that neither the model nor its baselines were fitted on.
    """

    frame: pd.DataFrame
    detectors: dict[str, Detector]
    holdout: tuple[str, ...]
    compared: dict[str, str]
    resamples: int
    bins: int
    seed: int
    held_out: tuple[str, ...] = ()

    @property
    def first(self) -> Detector:
        return next(iter(self.detectors.values()))

    @property
    def test(self) -> pd.DataFrame:
        """The test rows, which all figures use except those of the holdout."""
        return self.frame[self.frame["split"] == "test"]

    def metrics(self, detector: Detector) -> dict[str, Metric]:
        """The headline metrics that can be measured for a detector."""
        return headline(detector.threshold, self.bins if detector.is_probability else None)


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write rows in image_id order, so that the same content gives the same bytes."""
    facts = {  # the words of the file stay what they are: older files are read too
        "detectors": {name: detector.to_json() for name, detector in predictions.detectors.items()},
        "unseen": predictions.holdout,
        "compared": predictions.compared,
        "draws": predictions.resamples,
        "bins": predictions.bins,
        "seed": predictions.seed,
        "unfitted": predictions.held_out,
    }
    table = pa.Table.from_pandas(predictions.frame, preserve_index=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Replaces pandas' metadata, which contain library versions.
    pq.write_table(table.replace_schema_metadata({_KEY: json.dumps(facts).encode()}), path)


def is_ours(path: Path) -> bool:
    """Whether a file was written by `write_predictions`; False if it can't be read as Parquet."""
    try:
        return _KEY in (pq.read_schema(path).metadata or {})
    except (pa.ArrowException, UnicodeDecodeError):
        return False
    except OSError as error:
        if error.errno is not None:  # Arrow's own errors about damaged bytes have none
            raise
        return False


def read_predictions(path: Path) -> Predictions:
    """Read the output of `write_predictions`."""
    table = pq.read_table(path)
    table.validate(full=True)  # damaged texts are no UTF-8, and would fail where they are first compared
    facts = json.loads(table.schema.metadata[_KEY])
    return Predictions(
        frame=table.to_pandas(),
        detectors={name: Detector.from_json(found) for name, found in facts["detectors"].items()},
        holdout=tuple(facts["unseen"]),
        compared=facts["compared"],
        resamples=facts["draws"],
        bins=facts["bins"],
        seed=facts["seed"],
        held_out=tuple(facts["unfitted"]),
    )
