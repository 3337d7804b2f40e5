"""The stage stress as one call: sample crops, judge them again, plot the figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepfake.base.stage import file_digest, write_json
from deepfake.evaluate.predictions import MODEL, Predictions
from deepfake.media.history import History
from deepfake.networks.detector import WEIGHTS
from deepfake.params.stress import Stress
from deepfake.shards.inputs import load_crops
from deepfake.shards.resume import resume_key, shards_digest
from deepfake.shards.sample import sample_rows
from deepfake.stress.adversarial import Threat, attackable, attacked_logits
from deepfake.stress.attack_table import attack_rows, attack_table
from deepfake.stress.defences import defence_rows, defence_words, noise_cost
from deepfake.stress.figures import plot_adversarial, plot_defences, plot_robustness
from deepfake.stress.pair import Pair
from deepfake.stress.robustness import MeasureSettings, damaged_logits, robustness_rows, robustness_table


@dataclass(frozen=True)
class FaceCrops:
    """What preprocess made.

    Attributes:
        folder: of the face shards.
        history: the lossy step that the crops went through; None: it has none.
    """

    folder: Path
    history: History | None


def stress(
    pair: Pair, predictions: Predictions, faces: FaceCrops, settings: Stress, done: Path, out: Path
) -> dict[str, Any]:
    """Damage and attack crops of the test split; tables and figures go to `out`.

    Args:
        predictions: of the stage evaluate; their settings of bootstrap, bins and seed apply here too.
        faces: memory holds the sampled crops.
        done: folder of finished work; it is not repeated.
        out: folder for robustness, adversarial and defences, each as CSV and PNG.

    Returns:
        `robustness`, `adversarial`, and `limits` with the sentences of both.
    """
    out.mkdir(parents=True, exist_ok=True)
    test, seed = predictions.test, predictions.seed
    sample = sample_rows(test, settings.max_pictures, seed)
    chosen = attackable(test, pair.calibrations[MODEL], settings.adversarial.max_pictures, seed)
    names = sorted({*sample["image_id"], *chosen["image_id"]})
    crops = load_crops(faces.folder, pair.size, "test", names)
    damaged = damaged_logits(pair, sample, crops, settings.families, seed, done / "robustness")
    threat = Threat(settings.adversarial.epsilons, faces.history, seed)
    attacked = attacked_logits(pair, chosen, crops, threat, done / "adversarial")
    measure = MeasureSettings(predictions.resamples, predictions.bins, seed)
    robustness = robustness_table(damaged, sample, pair, settings.families, measure)
    levels, attacks = robustness_rows(robustness), attack_rows(attacked, chosen, test, pair)
    cost = noise_cost(pair, sample, crops, predictions.resamples) if len(chosen) else {}
    defences = defence_rows(attacked, chosen, pair, cost.get("threshold", 0.0))
    for name, rows in (("robustness", levels), ("adversarial", attacks), ("defences", defences)):
        rows.to_csv(out / f"{name}.csv", index=False, float_format="%.6g")
    plot_robustness(levels, out / "robustness.png")
    plot_adversarial(attacks, out / "adversarial.png")
    plot_defences(defences, out / "defences.png")
    adversarial = attack_table(attacks, chosen)
    adversarial["defences"] = cost | {"words": defence_words(defences, cost)}
    limits = [*robustness["words"], *adversarial["words"]]
    return {"robustness": robustness, "adversarial": adversarial, "limits": limits}


def write_facts(facts: Mapping[str, Any], out: Path) -> None:
    """Write facts.json, and metrics.json with the few figures that compare runs; print the limits.

    Args:
        facts: from `stress`.
    """
    areas = {  # family -> detector -> mean AUC over its levels
        family: {detector: area["value"] for detector, area in found["area"].items()}
        for family, found in facts["robustness"]["families"].items()
    }
    write_json(out / "facts.json", facts)
    write_json(out / "metrics.json", {"area": areas})
    print("\n".join(facts["limits"]))


def stress_key(settings: Stress, seed: int, detector: Path, faces: Path) -> str:
    """Identity of a run: parameters, weights, faces and code. A run resumes only with the same key."""
    weights = file_digest(detector / WEIGHTS)
    return resume_key(__name__, settings.model_dump_json(), str(seed), weights, shards_digest(faces))
