"""What ingest wrote, as the stages after it read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from deepfake.params.ingest.ingest import Ingest
from deepfake.shards.manifest import read_manifest


@dataclass(frozen=True)
class RawData:
    """The pictures as they came.

    Attributes:
        manifest: a row per picture, kept or rejected; it says in which shard a picture is.
        folder: of the shards.
        settings: the parameters that ingest had.
    """

    manifest: pd.DataFrame
    folder: Path
    settings: Ingest

    @classmethod
    def read(cls, folder: Path, settings: Ingest) -> RawData:
        """Read the manifest in the folder that ingest wrote with these parameters."""
        return cls(read_manifest(folder / "manifest.parquet"), folder, settings)
