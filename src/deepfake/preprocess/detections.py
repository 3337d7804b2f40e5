"""What the detector found, kept by content: a picture is searched once, however often stages run."""

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

_PATIENCE = 60.0  # seconds that a process waits for another one's write
_TABLE = (
    "CREATE TABLE IF NOT EXISTS detections "
    "(image_id TEXT, search TEXT, found TEXT NOT NULL, PRIMARY KEY (image_id, search)) WITHOUT ROWID"
)


@dataclass(frozen=True)
class Detection:
    """The faces of a picture, best score first, and the size in pixels of what was searched."""

    height: int
    width: int
    faces: tuple[Face, ...]


@dataclass(frozen=True)
class DetectionCache:
    """A sqlite3 file that any number of processes may share; may be sent to another process.

    Attributes:
        search: names detector, weights and settings; what others found is never taken for ours.
    """

    path: Path
    search: str

    def get(self, image_id: str) -> Detection | None:
        """What was found in the picture with these bytes' sha256, if it was searched before."""
        query = "SELECT found FROM detections WHERE image_id = ? AND search = ?"
        row = _connect(self.path).execute(query, (image_id, self.search)).fetchone()
        if row is None:
            return None
        found = json.loads(row[0])  # JSON keeps doubles exactly: a warm cache gives the same bytes
        faces = tuple(Face(**face | {"points": tuple(face["points"])}) for face in found["faces"])
        return Detection(found["height"], found["width"], faces)

    def put(self, image_id: str, detection: Detection) -> None:
        """Keep what was found; another process may have been faster."""
        row = (image_id, self.search, json.dumps(asdict(detection)))
        _connect(self.path).execute("INSERT OR IGNORE INTO detections VALUES (?, ?, ?)", row)


def open_cache(path: Path, params: Faces, border: float) -> DetectionCache:
    """The cache in `path`, made if need be; a damaged file is set aside with a warning.

    Args:
        border: share of the picture that is cut off before it is searched.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    _connect.cache_clear()  # a connection goes on with the file that it was opened on
    try:
        _prepare(path)
    except sqlite3.OperationalError:  # locked, read-only, disk full: nothing that a new file mends
        raise
    except sqlite3.DatabaseError as error:
        aside = path.with_name(f"{path.name}.damaged")
        path.replace(aside)
        print(f"warning: {path.name} is damaged ({error}); set aside as {aside.name}", file=sys.stderr)
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
    """One connection per process. After a power cut the file may be damaged, and is made again."""
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    return connection
