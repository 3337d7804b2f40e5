"""Checks of the repository's own MLflow database: is it damaged, and are its paths in this repository?

MLflow stores absolute paths of artefacts. If the repository was moved or copied, it must not use the paths
of its old place: there may be no files, or those of another registry.
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
    """The folder of a `file:` URI or a path; None for a place on a server."""
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") else None


@cache  # once per process: the check reads the whole file
def check_database(database: Path, experiment: str) -> None:
    """Refuse a damaged database, and change its paths to those of the repository's present place.

    Args:
        database: `mlflow.db`, beside the folder `artifacts`. If it does not exist, nothing happens.
        experiment: the experiment whose path shows the repository's old place.

    Raises:
        RegistryError: the file is damaged, is not an SQLite database, or can't be read or written.
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
            f"{database} can't be used ({str(error).splitlines()[0]}): if it is damaged, move it to "
            "another place and run `deepfake register`, which registers the starter and the model in "
            "models/ again"
        ) from error


def _move(connection: sqlite3.Connection, experiment: str, artifacts: Path) -> None:
    """Change all paths below the old `artifacts` folder, or none of them."""
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
