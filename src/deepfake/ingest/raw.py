"""The output of ingest, for the stages that read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from deepfake.params.ingest.ingest import Ingest
from deepfake.shards.manifest import read_manifest


@dataclass(frozen=True)
class RawData:
    """The original pictures.

    Attributes:
        manifest: one row per picture, kept or rejected.
        folder: the folder of the shards.
        settings: the parameters of ingest.
    """

    manifest: pd.DataFrame
    folder: Path
    settings: Ingest

    @classmethod
    def read(cls, folder: Path, settings: Ingest) -> RawData:
        """Read the manifest in the folder that ingest wrote with these parameters."""
        return cls(read_manifest(folder / "manifest.parquet"), folder, settings)
