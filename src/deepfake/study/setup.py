"""What every study runs on, beside the questions in its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepfake.base.runtime import Runtime


@dataclass(frozen=True)
class StudyFolders:
    """Where a study reads and writes.

    Attributes:
        faces: the face shards, from preprocess; a study of heads reads them for the spectrum baseline.
        features: the cached features, from embed; only a study of heads reads them.
        work: finished and killed cells, by key.
        out: the pages, the plots and scores.parquet; a study of heads also writes summary.json.
    """

    faces: Path
    features: Path
    work: Path
    out: Path


@dataclass(frozen=True)
class StudySetup:
    """What a study runs on.

    Attributes:
        title: name of the study in its pages and in MLflow.
        content: of params.yaml, with the study's `data`. Faces and features were made with it.
        runtime: the device and its settings; the runs in MLflow name it.
    """

    title: str
    content: Mapping[str, Any]
    runtime: Runtime
    folders: StudyFolders
