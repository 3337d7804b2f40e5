"""The command `deepfake predict`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from deepfake.bundle.bundle import RENDERED_ONLY
from deepfake.bundle.predictor import Predictor
from deepfake.serve.batch import How, Row, score_contents
from deepfake.serve.contents import read_entry
from deepfake.serve.listing import Inputs, list_entries
from deepfake.serve.results import Journal, check_output, csv_lines, is_stream, write_table, writing
from deepfake.serve.summary import Summary

_PATIENCE = 10.0  # seconds between two lines of progress if the output is not a terminal


@dataclass(frozen=True)
class Request:
    """The arguments of one call.

    Attributes:
        paths: the pictures to score; see `list_entries`.
        output: file for the results; None: CSV on standard output.
        assume_face: the pictures are face crops.
        workers: number of pictures that are judged at the same time.
        frames: number of evenly spaced frames of each clip.
    """

    paths: Sequence[str]
    output: Path | None
    assume_face: bool
    workers: int
    frames: int


def predict(request: Request, load: Callable[[], tuple[Predictor, str]]) -> int:
    """Score all pictures. A picture that can't be scored gets a row with the reason.

    Args:
        load: gives the predictor and the name of its version; it is called only if there are pictures.

    Returns:
        The number of pictures without a score.

    Raises:
        DeepfakeError: there are no pictures or no model, or the results can't be written.
    """
    if request.output is not None:
        check_output(request.output)
    listing = list_entries(request.paths, sys.stdin.buffer, request.output)
    predictor, version = load()
    if predictor.bundle.only_rendered:
        print(f"warning: {RENDERED_ONLY}", file=sys.stderr)
    predictor.prepare()  # before the first row is written
    began = time.monotonic()
    if request.output is None or is_stream(request.output):
        summary = _stream(request, listing, predictor, version)
    else:
        summary = _write(request, request.output, listing, predictor, version)
    for line in summary.lines(listing.passed):
        print(line, file=sys.stderr)
    print(f"{time.monotonic() - began:.1f} s", file=sys.stderr)
    return summary.unscored


def _stream(request: Request, listing: Inputs, predictor: Predictor, version: str) -> Summary:
    """Write each row as CSV at once, to standard output, a device or a pipe."""
    summary = Summary()
    place = request.output or "standard output"
    with writing(place):
        file = sys.stdout if request.output is None else request.output.open("w", encoding="utf-8")
        try:
            file.write(csv_lines([], header=True))
            for _, _, rows in _scored(request, listing, predictor, version, {}):
                file.write(csv_lines(rows, header=False))
                file.flush()
                summary.add(rows)
        finally:
            if file is not sys.stdout:
                file.close()
    return summary


def _write(request: Request, output: Path, listing: Inputs, predictor: Predictor, version: str) -> Summary:
    summary, table = Summary(), list[Row]()
    weights = predictor.bundle.weights_sha256
    key = {
        "version": version, "weights": weights, "assume_face": request.assume_face,
        "frames": request.frames,
    }  # fmt: skip
    journal = Journal(output, key)
    if journal.known:
        print(f"continues after {len(journal.known)} pictures that are scored already", file=sys.stderr)
    done = False
    try:
        for name, digest, rows in _scored(request, listing, predictor, version, journal.known):
            journal.add(name, digest, rows)
            summary.add(rows)
            table += rows
        write_table(table, output)
        done = True
    finally:
        journal.close(done)
        if not done:
            print(
                f"{summary.files} pictures are scored and kept in {output.name}.part: run the same command "
                "again to continue",
                file=sys.stderr,
            )
    return summary


def _scored(
    request: Request,
    listing: Inputs,
    predictor: Predictor,
    version: str,
    known: Mapping[tuple[str, str], list[Row]],
) -> Iterator[tuple[str, str, list[Row]]]:
    """Name, digest and rows of each picture; shows the progress on standard error."""
    limits = predictor.bundle.recipe.limits
    contents = (each for entry in listing.entries for each in read_entry(entry, limits))
    how = How(version, request.assume_face, request.workers, request.frames)
    judged = score_contents(predictor, contents, known, how)
    pause = 0.1 if sys.stderr.isatty() else _PATIENCE
    with tqdm(desc="score", unit="file", total=len(listing.entries), mininterval=pause) as bar:
        for content, digest, rows in judged:
            bar.update()
            yield content.name, digest, rows
