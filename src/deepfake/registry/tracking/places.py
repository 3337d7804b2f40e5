"""Our own database: is it sound, and do the places in it lie in this repository?

MLflow stores absolute places of artefacts. A repository that was moved or copied must not use those of its
old place: there may be nothing, or the registry of somebody else.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deepfake.base.errors import RegistryError

_PLACES = {  # table -> columns that hold places
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("storage_location", "source"),
}


def local_folder(uri: str) -> Path | None:
    """The folder that a `file:` URI or a path names; None for a place on a server."""
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") else None


@cache  # once per process: the check reads the whole file
def check_database(database: Path, experiment: str) -> None:
    """Refuse a broken database, and move the places in it to where the repository lies now.

    Args:
        database: `mlflow.db`; beside it lies `artifacts`. Nothing happens where there is none yet.
        experiment: the one whose place says where the repository was.

    Raises:
        RegistryError: the file is no sound SQLite database, or can't be read or written.
    """
    if not database.exists():
        return
    try:
        with closing(sqlite3.connect(database, timeout=60.0)) as connection, connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            _move(connection, experiment, database.parent / "artifacts")
    except sqlite3.Error as error:
        raise RegistryError(
            f"{database} can't be used ({str(error).splitlines()[0]}): if it is broken, move it away and "
            "run `deepfake register`, which registers the starter and the model in models/ again"
        ) from error


def _move(connection: sqlite3.Connection, experiment: str, artifacts: Path) -> None:
    """Rewrite the places below the old `artifacts` folder, all of them or none."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "experiments" not in tables:
        return
    row = connection.execute(
        "SELECT artifact_location FROM experiments WHERE name = ?", (experiment,)
    ).fetchone()
    old, new = None if row is None else row[0].rstrip("/"), artifacts.as_uri()
    if old is None or old == new:
        return
    for table in _PLACES.keys() & tables:
        for column in _PLACES[table]:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
            )
