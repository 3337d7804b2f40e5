"""The test pictures on which explanations are scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepfake.base.labels import FAKE, REAL, Verdict
from deepfake.explain.faithfulness import MIN_FALL, Faithful
from deepfake.explain.heat import blurred, logits
from deepfake.explain.localisation import self_blended
from deepfake.explain.parents import altered_places
from deepfake.explain.references import substitutes
from deepfake.explain.scoring import Located, Samples
from deepfake.networks.detector import Detector
from deepfake.shards.inputs import evaluation_batches, load_crops
from deepfake.shards.manifest import read_manifest

_BLUR = 1 / 32  # sigma, share of the side, of the usual substitute, which is reported too
_MASKED = 4  # one picture with a mask, of each kind, per this number of scored pictures
_TRIED = 4  # pseudo-fakes that are made for each wanted one, because models miss most of them


def choose_samples(
    model: Detector, test: pd.DataFrame, faces: Path, number: int, seed: int
) -> tuple[Samples, dict[str, Any]]:
    """Recognised fakes, spread evenly over the generators, and fakes with masks.

    A fake is recognised if it is called fake and its logit is above 0. Wrong verdicts are not explained.

    Args:
        test: predictions of the test split.
        faces: folder of the face shards.
        number: largest number of fakes. There are at most a quarter as many self-blended fakes, and at most
            a quarter as many fakes with a known parent.

    Returns:
        The samples, and the counts for metrics.json.
    """
    size = int(model.input_shape[1])
    called = (test["verdict"] == Verdict.FAKE) & (test["logit"] > 0.0)
    known = _in_turn(test[(test["label"] == FAKE) & called])
    chosen = known.head(number)
    reals = test[(test["label"] == REAL) & ~called].sort_values(["logit", "image_id"])
    parents = test[test["label"] == REAL].sort_values("image_id").head(_TRIED * number)
    half = -(-number // _MASKED)
    manifest = read_manifest(faces / "manifest.parquet")
    edits, masks = altered_places(known, manifest, faces, size, half)
    keys = [*(each["image_id"] for each in (chosen, reals.head(number), parents, edits))]
    crops = load_crops(faces, size, "test", list(dict.fromkeys(pd.concat(keys))))
    fakes, counts = _with_substitutes(model, chosen, reals.head(number), crops, size)
    # Calibration keeps the order of logits, so the lowest logit that is called fake is a threshold.
    lowest = float(test.loc[called, "logit"].min()) if called.any() else np.inf
    blends, made = _self_blended(model, lowest, parents, crops, size, half, seed)
    pictures = _stacked(edits, crops, size), masks, edits["group"].to_numpy()
    located = Located(*(np.concatenate(both) for both in zip(blends, pictures, strict=True)))
    facts = {
        "recognised_fakes": len(known),
        "test_fakes": int((test["label"] == FAKE).sum()),
        **counts,
        **made,
        "masked_edits": len(masks),
    }
    return Samples(fakes, located), facts


def _in_turn(fakes: pd.DataFrame) -> pd.DataFrame:
    """The fakes in turns: one of each generator, then a second one of each, and so on."""
    turn = fakes.groupby("generator").cumcount()
    return fakes.assign(turn=turn).sort_values(["turn", "image_id"])


def _stacked(rows: pd.DataFrame, crops: dict[str, np.ndarray], size: int) -> np.ndarray:
    none = np.empty((0, size, size, 3), np.float32)
    return np.concatenate([none, *(crops[key][None].astype(np.float32) for key in rows["image_id"])])


def _with_substitutes(
    model: Detector, chosen: pd.DataFrame, donors: pd.DataFrame, crops: dict[str, np.ndarray], size: int
) -> tuple[Faithful, dict[str, int]]:
    """Only pictures with a clearly lower logit of the substitute; the others have nothing to delete."""
    pictures, others = _stacked(chosen, crops, size), _stacked(donors, crops, size)
    replaced = pictures
    if len(pictures) and len(others):
        replaced = substitutes(model, pictures, others)
    top, bottom = logits(model, pictures), logits(model, replaced)
    fit = top - bottom >= MIN_FALL
    fakes = Faithful(pictures, replaced, top, bottom, chosen["group"].to_numpy())
    faker = logits(model, blurred(pictures, _BLUR * size)) >= top
    counts = {
        "scored": int(fit.sum()),
        "without_contrast": int((~fit).sum()),
        "blur_looks_faker": int(faker[fit].sum()),
    }
    return fakes.where(fit), counts


def _self_blended(
    model: Detector,
    lowest: float,
    parents: pd.DataFrame,
    crops: dict[str, np.ndarray],
    size: int,
    number: int,
    seed: int,
) -> tuple[Located, dict[str, int]]:
    """Self-blended fakes of test reals with a logit as high as those of pictures that are called fake."""
    reals = _stacked(parents, crops, size).astype(np.uint8)
    if not len(reals):
        nothing = Located(reals.astype(np.float32), np.empty(reals.shape[:3], bool), np.empty(0, object))
        return nothing, {"masked": 0, "masked_tried": 0}
    made, masks = self_blended(reals, seed)
    fit = np.flatnonzero(logits(model, made) >= lowest)[:number]
    located = Located(made[fit].astype(np.float32), masks[fit], parents["group"].to_numpy()[fit])
    return located, {"masked": len(fit), "masked_tried": len(reals)}


def first_crops(faces: Path, size: int, split: str, label: int, number: int) -> np.ndarray:
    """The first crops of a class in a split, in shard order; float32 [up to number, size, size, 3]."""
    found: list[np.ndarray] = []
    for crops, labels, _ in evaluation_batches(faces, size, split, 64).as_numpy_iterator():
        found += list(crops[labels[:, 0] == label])
        if len(found) >= number:
            break
    return np.stack(found[:number])
