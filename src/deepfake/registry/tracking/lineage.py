"""What ties a run to code, data, parameters and packages."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import yaml
from mlflow.entities import Dataset, DatasetInput, InputTag

from deepfake.base.stage import root

# What a run does with the data that DVC keeps; MLflow's page of a run shows it beside the digest.
_CONTEXTS = {"data/raw": "source", "data/faces": "training", "data/embeddings": "training"}


def lineage() -> dict[str, str]:
    """Tags that tie a run to code, data, parameters and packages."""
    top = root()
    tags = {
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": str(bool(_git("status", "--porcelain", "--untracked-files=no"))).lower(),
    }
    for name in ("dvc.lock", "params.yaml", "requirements.lock"):
        path = top / name
        if path.is_file():
            tags[f"sha256.{name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return tags | {f"dvc.{out['path']}": out["md5"] for out in _data(top / "dvc.lock")}


def datasets() -> list[DatasetInput]:
    """The data that a run reads, with DVC's digests: MLflow's own cover 10,000 rows."""
    return [
        DatasetInput(_dataset(out), [InputTag("mlflow.data.context", _CONTEXTS[out["path"]])])
        for out in _data(root() / "dvc.lock")
        if out["path"] in _CONTEXTS
    ]


def _dataset(out: dict[str, Any]) -> Dataset:
    profile = {key: out[key] for key in ("size", "nfiles") if key in out}
    # A digest of DVC is 32 characters and `.dir`, the longest that MLflow takes.
    return Dataset(
        name=out["path"],
        digest=out["md5"],
        source_type="dvc",
        source=json.dumps({"path": out["path"], "get": "dvc pull"}),
        profile=json.dumps(profile),
    )


def _data(lock: Path) -> list[dict[str, Any]]:
    """DVC's entries of everything below data/."""
    if not lock.is_file():
        return []
    stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {})
    outs = [out for stage in stages.values() for out in stage.get("outs", [])]
    return [out for out in outs if out["path"].startswith("data/")]


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root(), capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown: no git repository"
    return done.stdout.strip()
