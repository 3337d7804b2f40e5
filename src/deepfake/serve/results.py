"""The table of scores. Its file is checked before any work, and written as a whole at the end.

Each row goes at once to a journal beside the output. After a stop, the same command continues from the
journal. The output itself is replaced in one step, so it is always complete: the new or the old one.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deepfake.base.errors import DeepfakeError
from deepfake.serve.batch import COLUMNS, Row

FORMS = (".csv", ".json", ".jsonl", ".parquet")
_DIGITS = 8  # of scores and thresholds in CSV


def check_output(output: Path) -> None:
    """Check that results can be written to `output`, and that it is not a file of another kind.

    Raises:
        DeepfakeError: the text says what is wrong with it.
    """
    with writing(output):
        if output.is_dir():
            raise DeepfakeError(f"--output {output} is a folder: name a file in it, such as scores.csv")
        if output.exists() and not output.is_file():
            return  # a device or a pipe takes CSV
        if output.suffix.lower() not in FORMS:
            raise DeepfakeError(f"--output {output}: its name must end in one of {', '.join(FORMS)}")
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.exists() and output.stat().st_size and not _is_ours(output):
            raise DeepfakeError(
                f"--output {output} exists and is not a table of scores: choose another name, or move it"
            )
        journal = _journal(output)
        is_new = not journal.exists()
        with journal.open("a"):
            pass
        if is_new:
            journal.unlink()


def is_stream(output: Path | None) -> bool:
    """Whether rows are written at once, without a journal: to standard output, a device or a pipe."""
    return output is None or (output.exists() and not output.is_file())


class Journal:
    """The rows of a run that has not ended, one line of JSON per picture.

    Attributes:
        known: name and sha256 of a picture -> its rows from an earlier run that was stopped.
    """

    def __init__(self, output: Path, key: dict[str, Any]) -> None:
        self._path = _journal(output)
        self.known: dict[tuple[str, str], list[Row]] = {}
        with writing(self._path):
            good = self._read(key) if self._path.is_file() else 0
            self._file: io.FileIO = self._path.open("r+b" if good else "wb", buffering=0)
            if good:  # removes a line that a kill cut off
                self._file.truncate(good)
                self._file.seek(good)
        if not good:
            self._write(key)

    def add(self, name: str, digest: str, rows: list[Row]) -> None:
        """Keep the rows of a picture."""
        if (name, digest) not in self.known:
            self._write({"name": name, "sha256": digest, "rows": rows})

    def close(self, done: bool) -> None:
        """Close the file; remove it if the results are written."""
        self._file.close()
        if done:
            self._path.unlink()

    def _write(self, content: dict[str, Any]) -> None:
        line = json.dumps(content).encode() + b"\n"
        try:
            with writing(self._path):
                while line:  # unbuffered, so that an interruption loses no scored picture
                    line = line[self._file.write(line) :]
        except DeepfakeError:
            self._file.close()
            raise

    def _read(self, key: dict[str, Any]) -> int:
        """Fill `known`. Returns the bytes up to the last complete line; 0 if it is from another run."""
        lines = self._path.read_bytes().splitlines(keepends=True)
        good = 0
        for number, line in enumerate(lines):
            try:
                content = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n") or (number == 0 and content != key):
                break
            if number:
                self.known[content["name"], content["sha256"]] = content["rows"]
            good += len(line)
        return good


def write_table(rows: Sequence[Row], output: Path) -> None:
    """Write rows in one step; the ending of `output` decides the format."""
    beside = output.with_name(f".{output.name}.{os.getpid()}")
    with writing(output):
        try:
            beside.write_bytes(_encoded(rows, output.suffix.lower()))
            beside.replace(output)
        finally:
            beside.unlink(missing_ok=True)


def csv_lines(rows: Sequence[Row], header: bool) -> str:
    """Rows as lines of CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    if header:
        writer.writeheader()
    fixed = ("score", "threshold")
    for row in rows:
        writer.writerow(row | {k: f"{row[k]:.{_DIGITS}f}" for k in fixed if row[k] is not None})
    return text.getvalue()


def _encoded(rows: Sequence[Row], form: str) -> bytes:
    ordered = [{name: row[name] for name in COLUMNS} for row in rows]
    if form == ".csv":
        return csv_lines(ordered, header=True).encode()
    if form == ".json":
        return (json.dumps(ordered, indent=1, ensure_ascii=False) + "\n").encode()
    if form == ".jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ordered).encode()
    import pyarrow as pa
    import pyarrow.parquet

    kinds = dict.fromkeys(COLUMNS, pa.string()) | {"score": pa.float64(), "threshold": pa.float64()}
    kinds |= dict.fromkeys(("face", "box_left", "box_top", "box_side", "left_out"), pa.int64())
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(pa.Table.from_pylist(ordered, schema=pa.schema(kinds)), sink)
    return sink.getvalue().to_pybytes()


def _is_ours(output: Path) -> bool:
    """Whether `write_table` wrote a file: only such files are replaced."""
    form = output.suffix.lower()
    if form == ".parquet":
        import pyarrow
        import pyarrow.parquet

        try:
            return {*COLUMNS} >= {*pyarrow.parquet.read_schema(output).names} >= {"path", "verdict"}
        except (pyarrow.ArrowException, OSError):
            return False
    with output.open("rb") as stream:
        head = stream.read(200)
    if form == ".csv":
        return head.startswith(b"path,face,score,verdict,")
    return b"".join(head.split()).removeprefix(b"[").startswith((b'{"path":', b"]"))


def _journal(output: Path) -> Path:
    return output.with_name(f"{output.name}.part")


@contextmanager
def writing(place: object) -> Iterator[None]:
    """Turn an error of the disk into one sentence that names the file.

    Raises:
        DeepfakeError: replaces an OSError, except if the reader has closed a pipe.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DeepfakeError(
                f"no space left on the disk for {place}: free some space, then run again"
            ) from error
        raise DeepfakeError(f"{place} can't be written: {error.strerror or error}") from error
