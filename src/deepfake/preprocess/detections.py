"""A cache of detections by the picture's content: each picture is searched only once."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from deepfake.params.preprocess import Faces
from deepfake.preprocess.faces import SEARCH, Face, weights_digest
from deepfake.preprocess.search import SECOND_SEARCH

_PATIENCE = 60.0  # seconds that a process waits while another one writes
_TABLE = (
    "CREATE TABLE IF NOT EXISTS detections "
    "(image_id TEXT, search TEXT, found TEXT NOT NULL, PRIMARY KEY (image_id, search)) WITHOUT ROWID"
)


@dataclass(frozen=True)
class Detection:
    """The faces of a picture, best score first, and the size in pixels of the searched part."""

    height: int
    width: int
    faces: tuple[Face, ...]


@dataclass(frozen=True)
class DetectionCache:
    """A sqlite3 file that many processes may share. The object itself can be pickled.

    Attributes:
        search: digest of detector, weights and settings. Detections of another search are never used.
    """

    path: Path
    search: str

    def get(self, image_id: str) -> Detection | None:
        """The detection of the picture with this id (sha256 of its bytes); None if it is not there."""
        query = "SELECT found FROM detections WHERE image_id = ? AND search = ?"
        row = _connect(self.path).execute(query, (image_id, self.search)).fetchone()
        if row is None:
            return None
        found = json.loads(row[0])  # JSON keeps floats exactly, so a warm cache gives the same bytes
        faces = tuple(Face(**face | {"points": tuple(face["points"])}) for face in found["faces"])
        return Detection(found["height"], found["width"], faces)

    def put(self, image_id: str, detection: Detection) -> None:
        """Keep a detection. If another process kept one before, that one stays."""
        row = (image_id, self.search, json.dumps(asdict(detection)))
        _connect(self.path).execute("INSERT OR IGNORE INTO detections VALUES (?, ?, ?)", row)


def open_cache(path: Path, params: Faces, border: float) -> DetectionCache:
    """Open or make the cache in `path`. A damaged file is renamed, with a warning.

    Args:
        border: share of the picture's shorter side that is cut off at each edge before the search.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    _connect.cache_clear()  # an old connection would still use the file that it opened
    try:
        _prepare(path)
    except sqlite3.OperationalError:  # locked, read-only, disk full: a new file would not help
        raise
    except sqlite3.DatabaseError as error:
        aside = path.with_name(f"{path.name}.damaged")
        path.replace(aside)
        print(f"warning: {path.name} is damaged ({error}); renamed to {aside.name}", file=sys.stderr)
        _prepare(path)
    facts = [params.detector, weights_digest(params), params.min_score, border, *SEARCH, *SECOND_SEARCH]
    return DetectionCache(path, hashlib.sha256(json.dumps(facts).encode()).hexdigest())


def _prepare(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)) as connection:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        connection.execute(_TABLE)


@lru_cache(maxsize=1)
def _connect(path: Path) -> sqlite3.Connection:
    """One connection per process. It does not wait for the disk: a damaged cache is simply made again."""
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    return connection
