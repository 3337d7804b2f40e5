"""Facts about the data for the page and the cards: hashes, splits, audits, provenance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deepfake.audit.report import audit_rows
from deepfake.base.stage import file_digest, read_json


def data_facts(raw: Path, faces: Path, models: Path, reports: Path) -> dict[str, Any]:
    """Read the facts from the outputs of earlier stages.

    Returns:
        `digests` (file in words -> sha256), `sources`, `audits` (pictures in words -> rows), `verdict`;
        from preprocess `splits`, `groups`, `per_source`, `history`, `face_detector`, `given_split`, `gap`.
    """
    statistics = read_json(reports / "preprocess/metrics.json")
    verdict = read_json(reports / "validate/verdict.json")
    files = {
        "original pictures (manifest with the sha256 of each)": raw / "manifest.parquet",
        "face crops (manifest with splits)": faces / "manifest.parquet",
        "weights of the model": models / "detector/model.weights.h5",
        "raw predictions": reports / "evaluate/predictions.parquet",
    }
    return {
        "digests": {what: file_digest(path) for what, path in files.items()},
        "sources": read_json(raw / "sources.json"),
        "audits": {
            "original pictures": audit_rows(read_json(reports / "validate/audit.json")),
            "face crops": audit_rows(read_json(reports / "preprocess/audit.json")),
        },
        "verdict": {
            "passed": verdict["passed"],
            "expectations": len(verdict["expectations"]),
            "warnings": [
                row for row in verdict["expectations"]
                if row["status"] == "failed" and row["severity"] == "warning"
            ],
        },
        "splits": statistics["split"],
        "face_detector": statistics["face_detector"],
        **{key: statistics[key] for key in ("groups", "per_source", "history", "given_split", "gap")},
    }  # fmt: skip
