"""`deepfake predict`: results land whole, overwrite nothing of anybody's, and a stopped run goes on."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from helpers import clean_environment, heeds_ctrl_c
from serve_helpers import GreyPredictor, album, exit_code, stand_in

from deepfake import cli
from deepfake.serve import results

# Runs `deepfake predict` with the stand-in; the third picture takes seconds, for a signal.
SLOW = """
import sys, time
sys.path[:0] = sys.argv.pop(1).split(":")
from deepfake import cli
from deepfake.serve import models
from serve_helpers import GreyPredictor
class Slow(GreyPredictor):
    def predict(self, data, assume_face):
        if self.judged == 2:
            print("waits", file=sys.stderr, flush=True)
            time.sleep(5)
        return super().predict(data, assume_face)
models.load_model = lambda model: (Slow(), "1")
cli.main(sys.argv[1:])
"""


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> GreyPredictor:
    return stand_in(monkeypatch)


@pytest.mark.usefixtures("predictor")
def test_the_name_of_the_output_says_its_form(tmp_path: Path) -> None:
    folder = album(tmp_path / "album", "a.png", "b.png")
    (folder / "bad.png").write_text("no picture")
    for form in results.FORMS:
        assert exit_code(folder, "--output", tmp_path / f"scores{form}") == 3
    frames = {
        ".csv": pd.read_csv(tmp_path / "scores.csv"),
        ".json": pd.DataFrame(json.loads((tmp_path / "scores.json").read_text())),
        ".jsonl": pd.read_json(tmp_path / "scores.jsonl", lines=True),
        ".parquet": pd.read_parquet(tmp_path / "scores.parquet"),
    }
    for form, frame in frames.items():
        assert tuple(frame.columns) == results.COLUMNS, form
        assert [Path(path).name for path in frame["path"]] == ["a.png", "b.png", "bad.png"]
        assert frame["score"].tolist()[:2] == pytest.approx([10 / 255, 20 / 255], abs=1e-8)
        assert pd.isna(frame["score"][2]) and frame["reason"][2].startswith("not_an_image")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "album", "scores.csv", "scores.json", "scores.jsonl", "scores.parquet",
    ]  # fmt: skip


@pytest.mark.usefixtures("predictor")
def test_an_output_never_overwrites_a_picture_or_anything_but_a_table_of_scores(tmp_path: Path) -> None:
    folder = album(tmp_path, "a.png", "b.csv")
    (folder / "link.csv").symlink_to(folder / "a.png")
    (folder / "notes.json").write_text('{"mine": 1}')
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for name, words in {
        "a.png": "must end in one of",
        "b.csv": "is not a table of scores",
        "link.csv": "is not a table of scores",
        "notes.json": "is not a table of scores",
        "new.txt": "must end in one of",
        ".": "is a folder",
    }.items():
        with pytest.raises(SystemExit, match=words):
            exit_code(folder / "a.png", folder / "b.csv", "--output", folder / name)
        assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert exit_code(folder / "a.png", "--output", folder / "s.json") == 0
    assert exit_code(folder / "a.png", "--output", folder / "s.json") == 0  # its own is replaced
    with pytest.raises(SystemExit, match="is one of the files to score"):
        exit_code(folder / "a.png", folder / "s.json", "--output", folder / "s.json")


@pytest.mark.usefixtures("predictor")
def test_an_output_below_a_file_is_told_in_one_sentence(tmp_path: Path) -> None:
    folder = album(tmp_path, "a.png")
    with pytest.raises(SystemExit, match=r"error: .*can't be written: "):
        exit_code(folder, "--output", folder / "a.png" / "scores.csv")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
@pytest.mark.usefixtures("predictor")
def test_a_full_disk_names_the_output(tmp_path: Path) -> None:
    folder = album(tmp_path / "album", "a.png")
    with pytest.raises(SystemExit, match="error: no space left on the disk for /dev/full"):
        exit_code(folder, "--output", "/dev/full")
    (tmp_path / "scores.csv.part").symlink_to("/dev/full")
    with pytest.raises(SystemExit, match=r"no space left on the disk for .*scores.csv.part"):
        exit_code(folder, "--output", tmp_path / "scores.csv")


def test_a_full_standard_output_is_told_without_a_traceback(tmp_path: Path) -> None:
    folder = album(tmp_path, "a.png")
    with Path("/dev/full").open("w") as full, _process("predict", folder, stdout=full) as done:
        _, said = done.communicate(timeout=300)
    assert done.returncode == 1 and "no space left on the disk" in said
    assert "Traceback" not in said and "None" not in said


def test_a_reader_that_goes_ends_the_run_quietly(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with _process("predict", album(tmp_path, "a.png"), stdout=writing) as done:
        os.close(writing)
        _, said = done.communicate(timeout=300)
    assert done.returncode == cli.PIPE_CLOSED and "Traceback" not in said and "Exception" not in said


def test_a_stopped_run_says_so_and_the_same_command_goes_on(
    tmp_path: Path, predictor: GreyPredictor, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, output = album(tmp_path / "album", *"abcde"), tmp_path / "scores.csv"
    with _process("predict", folder, "--output", output) as done:
        assert done.stderr is not None
        while "waits" not in done.stderr.readline():
            assert done.poll() is None
        done.send_signal(signal.SIGINT)
        _, said = done.communicate(timeout=300)
    assert done.returncode == cli.INTERRUPTED and "Traceback" not in said and "stopped" in said
    journal = tmp_path / "scores.csv.part"
    kept = len(journal.read_bytes().splitlines()) - 1
    assert not output.exists() and kept >= 1 and f"{kept} pictures are scored and kept" in said
    with journal.open("ab") as file:
        file.write(b'{"name": "cut off by a ki')
    assert exit_code(folder, "--output", output) == 0
    assert predictor.judged == 5 - kept and not journal.exists()
    assert f"continues after {kept} pictures" in capsys.readouterr().err
    names = [Path(row["path"]).name for row in csv.DictReader(output.read_text().splitlines())]
    assert names == [*"abcde"]


def test_rows_of_another_picture_or_another_run_are_not_taken(
    tmp_path: Path, predictor: GreyPredictor
) -> None:
    folder, output = album(tmp_path / "album", "a.png", "b.png"), tmp_path / "scores.csv"
    key = {"version": "1", "weights": "0" * 64, "assume_face": False, "frames": 8}
    for content, judged in ((key, 1), (key | {"version": "2"}, 2)):
        row = {"name": str(folder / "a.png"), "sha256": "of other bytes", "rows": []}
        rows = [dict.fromkeys(results.COLUMNS) | {"path": str(folder / "b.png"), "score": 0.25}]
        rows[0] |= {"verdict": "real", "reason": "", "threshold": 0.5}
        digest = hashlib.sha256((folder / "b.png").read_bytes()).hexdigest()
        lines = [content, row, {"name": str(folder / "b.png"), "sha256": digest, "rows": rows}]
        (tmp_path / "scores.csv.part").write_text("".join(json.dumps(line) + "\n" for line in lines))
        predictor.judged = 0
        assert exit_code(folder, "--output", output) == 0
        assert predictor.judged == judged
        frame = pd.read_csv(output)
        assert (frame["score"].tolist()[1] == 0.25) is (judged == 1)


def test_workers_change_no_row_and_no_order(tmp_path: Path, predictor: GreyPredictor) -> None:
    folder = album(tmp_path / "album", *(f"{number:02}.png" for number in range(23)))
    for workers in (1, 4):
        assert exit_code(folder, "--workers", workers, "--output", tmp_path / f"{workers}.csv") == 0
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "4.csv").read_bytes()
    assert predictor.judged == 46 and exit_code(folder, "--workers", 0) == 2


def _process(*arguments: object, stdout: object = subprocess.PIPE) -> subprocess.Popen[str]:
    tests = Path(__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tests), *map(str, arguments)],
        stdout=stdout, stderr=subprocess.PIPE, text=True, env=clean_environment(), cwd=tests.parent,
        preexec_fn=heeds_ctrl_c,
    )  # fmt: skip
