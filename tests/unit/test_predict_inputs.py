"""`deepfake predict`: whatever is named is scored or gets a row with its reason, and stops nothing else."""

from __future__ import annotations

import csv
import io
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from serve_helpers import GreyPredictor, album, exit_code, picture, stand_in

LATIN = "caf\udce9.png"  # a name in latin-1, as Python holds it


@pytest.fixture(autouse=True)
def predictor(monkeypatch: pytest.MonkeyPatch) -> GreyPredictor:
    return stand_in(monkeypatch)


def rows(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    """The rows on standard output by the file's name."""
    found = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len({row["path"] for row in found}) == len(found)
    return {Path(row["path"]).name: row for row in found}


def test_a_name_that_is_not_utf8_is_escaped_and_the_rest_is_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    album(tmp_path, "a.png", LATIN, "z.png")
    for output in ("out.csv", "out.json", "out.jsonl", "out.parquet"):
        assert exit_code(tmp_path, "--output", tmp_path / "results" / output) == 0
    assert exit_code(tmp_path) == 0
    assert set(rows(capsys)) == {"a.png", "caf\\xe9.png", "z.png"}
    assert rb"caf\xe9.png" in (tmp_path / "results/out.csv").read_bytes()


def test_a_terminal_in_latin_1_shows_what_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    assert exit_code(album(tmp_path, "\u0141\u00f3d\u017a.png")) == 0
    sys.stdout.flush()
    assert b"\\u0141\xf3d\\u017a.png" in raw.getvalue()


def test_names_too_long_and_missing_files_get_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = album(tmp_path, "good.png")
    assert exit_code("n" * 300, folder / "missing.png", folder / "good.png") == 3
    found = rows(capsys)
    assert found["good.png"]["score"]
    assert found["n" * 300]["reason"] == "unreadable: File name too long"
    assert found["missing.png"]["reason"] == "unreadable: it does not exist"


def test_nothing_to_score_is_said_before_a_model_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"nothing to score; .*missing.png: it does not exist"):
        exit_code(tmp_path / "missing.png")
    (tmp_path / "scores.csv").write_text("path\n")
    with pytest.raises(SystemExit, match=r"nothing to score; 1 tables"):
        exit_code(tmp_path)


def test_an_unreadable_folder_gets_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    album(tmp_path, "a.png", "locked/b.png", "open/c.png")
    scandir = os.scandir

    def refusing(place: str) -> object:  # the tests may run as root, whom no folder refuses
        if Path(place).name == "locked":
            raise PermissionError(13, "Permission denied", place)
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refusing)
    assert exit_code(tmp_path) == 3
    found = rows(capsys)
    assert set(found) == {"a.png", "locked", "c.png"}
    assert found["locked"]["reason"] == "unreadable: the folder can't be listed: Permission denied"


def test_linked_folders_are_entered_once_and_loops_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    album(tmp_path / "elsewhere", "linked.png")
    folder = album(tmp_path / "album", "a.png", "deep/b.png")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "deep" / "loop").symlink_to(folder)
    (folder / "broken.png").symlink_to(tmp_path / "nowhere.png")
    assert exit_code(folder) == 3
    said = capsys.readouterr()
    names = sorted(Path(row["path"]).name for row in csv.DictReader(io.StringIO(said.out)))
    assert names == ["a.png", "b.png", "broken.png", "linked.png"]
    assert "1 folders that a link reached again" in said.err


def test_hidden_files_and_tables_of_results_are_passed_over_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    album(tmp_path, "a.png", ".hidden.png", ".cache/b.png")
    assert exit_code(tmp_path, "--output", tmp_path / "scores.csv") == 0
    assert exit_code(tmp_path) == 0
    said = capsys.readouterr()
    assert "1 file, 1 face: 0 fake, 1 real, 0 uncertain" in said.err
    assert "skipped: 1 hidden files, 1 hidden folders, 1 tables" in said.err
    assert "scores.csv" not in said.out


def test_an_empty_name_is_no_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(album(tmp_path, "a.png"))
    assert exit_code("") == 2
    assert "an empty name" in capsys.readouterr().err


@pytest.mark.parametrize("between", ["\n", "\0"])
def test_a_list_comes_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], between: str
) -> None:
    folder = album(tmp_path, "a.png", LATIN, "c.png")
    names = between.join(str(folder / name) for name in ("c.png", LATIN)) + between
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(os.fsencode(names))))
    assert exit_code("-") == 0
    assert list(rows(capsys)) == ["c.png", "caf\\xe9.png"]


def test_patterns_that_no_shell_expanded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = album(tmp_path, "a.png", "b.png", "deep/c.png", "d[1].png")
    assert exit_code(folder / "**" / "[ac].png") == 0
    assert list(rows(capsys)) == ["a.png", "c.png"]
    assert exit_code(folder / "d[1].png") == 0  # a file of this very name
    assert list(rows(capsys)) == ["d[1].png"]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archives_are_scored_without_unpacking(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    folder = album(tmp_path / "album", "a.png", "deep/b.png", ".hidden.png")
    (folder / "notes.csv").write_text("path\n")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    archive = tmp_path / f"album.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as writer:
            for file in files:
                writer.write(file, file.relative_to(folder))
    else:
        with tarfile.open(archive, "w:gz") as tar:
            for file in files:
                tar.add(file, file.relative_to(folder))
    before = sorted(tmp_path.rglob("*"))
    assert exit_code(archive) == 0
    found = [row["path"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))]
    assert found == [f"{archive}/a.png", f"{archive}/deep/b.png"]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_archive_keeps_what_came_before_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = album(tmp_path, "a.png", "b.png")
    with tarfile.open(tmp_path / "cut.tar", "w") as tar:
        for name in ("a.png", "b.png"):
            tar.add(folder / name, name)
    whole = (tmp_path / "cut.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: 512 + 512 + 700])
    assert exit_code(tmp_path / "cut.tar", folder / "b.png") == 3
    found = rows(capsys)
    assert found["b.png"]["score"] and "is damaged" in found["cut.tar"]["reason"]


def test_a_clip_gets_a_verdict_and_so_do_its_frames(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for number in range(12):
        writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    writer.release()
    assert exit_code(clip, "--frames", 3) == 0
    found = rows(capsys)
    assert list(found) == ["clip.avi", "clip.avi#frame-2", "clip.avi#frame-6", "clip.avi#frame-10"]
    scores = [float(row["score"]) for row in found.values()]
    assert scores == pytest.approx(
        [120 / 255, 40 / 255, 120 / 255, 200 / 255], abs=0.02
    )  # first: the median
    assert found["clip.avi"]["verdict"] == "uncertain"
    assert "1 of 3 frames look fake" in found["clip.avi"]["reason"]
    assert "not on clips" in found["clip.avi"]["note"] and found["clip.avi#frame-6"]["note"] == "at 0:00.6"


def test_a_parquet_table_names_pictures_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = album(tmp_path / "album", "a.png", "b.png")
    names = pa.table({"path": ["b.png", "missing.png"], "label": [0, 1]})
    pyarrow.parquet.write_table(names, folder / "list.parquet")
    assert exit_code(folder / "list.parquet") == 3
    found = rows(capsys)
    assert list(found) == ["b.png", "missing.png"] and found["b.png"]["score"]
    (folder / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(SystemExit, match="not a Parquet table with a column `path`"):
        exit_code(folder / "bad.parquet")


def test_addresses_of_stores_are_read_and_those_of_the_web_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    store.pipe({"/album/a.png": picture(), "/album/scores.csv": b"path", "/album/huge.png": bytes(2**23)})
    assert exit_code("memory://album") == 3
    found = rows(capsys)
    assert list(found) == ["a.png", "huge.png"] and found["a.png"]["score"]
    assert found["huge.png"]["reason"].startswith("too_many_bytes")
    with pytest.raises(SystemExit, match="web addresses are not read"):
        exit_code("https://localhost/a.png")
