"""Gates on a predictor's scores of original bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deepfake.bundle.gates.check import Checks, Evidence, NothingToJudge, ask
from deepfake.bundle.predictor import Predictor
from deepfake.evaluate.calibration import ROUNDING
from deepfake.shards.manifest import read_manifest
from deepfake.shards.shards import read_examples, shard_paths

TOLERANCE = ROUNDING  # largest difference of a score between pipeline, app, CLI and REST
_SMOKE_PICTURES = 4


def check_scores(evidence: Evidence, predictor: Predictor, raw: Path) -> Checks:
    """Whether a predictor gives the same scores as the pipeline.

    Args:
        evidence: the stages' reports about its model.
        raw: the original pictures, from ingest.
    """
    # The size of the difference is rounding noise, so the check says only whether the scores agree.
    limit = f"scores within {TOLERANCE} of the pipeline's"
    return {
        "evidence": ask(_evidence, evidence, predictor, limit="files of this very version"),
        "smoke_scores": ask(_smoke, evidence, predictor, raw, limit=limit),
    }


def _evidence(evidence: Evidence, predictor: Predictor) -> tuple[bool, str]:
    """Two versions with the same weights share a run. Its files belong to the version registered last."""
    same = evidence.predictions().first.calibration == predictor.bundle.calibration
    return same, "its own" if same else "of another version of these weights: register this one again"


def _smoke(evidence: Evidence, predictor: Predictor, raw: Path) -> tuple[bool, str]:
    gap = smoke_gap(evidence, predictor, raw)
    return gap < TOLERANCE, "the same scores" if gap < TOLERANCE else "other scores"


def smoke_gap(evidence: Evidence, predictor: Predictor, raw: Path) -> float:
    """Largest difference between the pipeline's scores and the predictor's, from original bytes.

    Raises:
        NothingToJudge: `raw` has none of the judged pictures.
    """
    expected = evidence.predictions().frame.set_index("image_id")["score"]
    gaps: list[float] = []
    for image_id, data, cropped in original_pictures(raw, set(expected.index)):
        face = predictor.predict(data, assume_face=cropped)[0]
        gaps.append(float("inf") if face.score is None else abs(face.score - float(expected[image_id])))
        if len(gaps) == _SMOKE_PICTURES:
            break
    if not gaps:
        raise NothingToJudge(f"{raw} has none of its test pictures")
    return max(gaps)


def original_pictures(raw: Path, wanted: set[str]) -> Iterator[tuple[str, bytes, bool]]:
    """The wanted pictures from ingest's shards: image_id, bytes, and whether it is a face crop already."""
    manifest = raw / "manifest.parquet"
    if not manifest.is_file():
        return
    cropped = read_manifest(manifest).drop_duplicates("image_id").set_index("image_id")["cropped"]
    for shard in shard_paths(raw):
        for example in read_examples(shard):
            if example["image_id"] in wanted:
                yield example["image_id"], example["image"], bool(cropped[example["image_id"]])
