"""Folders as people name them: understood where they are clear, else an error that names what is there."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import pytest
from ingest_data import fill, ingested, picture

from deepfake.base.errors import SourceError
from deepfake.shards.manifest import usable
from deepfake.sources.names import folder_name

FOLDER = {"kind": "folder", "name": "set"}


def tree(root: Path, *folders: str) -> Path:
    """Two different pictures in every folder."""
    names = [f"{folder}/{number}.png" for folder in folders for number in (0, 1)]
    return fill(root, {name: picture(number) for number, name in enumerate(names)})


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        ("real", "fake"),
        ("Real", "FAKE"),
        ("0_real", "1_fake"),
        ("training_real", "training_fake"),
        ("Real-Images", "Fake-Images"),
        ("original", "deepfakes"),
        ("wrapped/twice/real", "wrapped/twice/fake"),
    ],
)
def test_class_folders_are_known_by_words(tmp_path: Path, real: str, fake: str) -> None:
    frame = ingested(tree(tmp_path / "in", f"{real}/cam", f"{fake}/gan"), FOLDER)
    assert frame["label"].to_dict() == {
        f"set/{real}/cam/0.png": 0, f"set/{real}/cam/1.png": 0,
        f"set/{fake}/gan/0.png": 1, f"set/{fake}/gan/1.png": 1,
    }  # fmt: skip
    assert set(frame["source"]) == {"cam", "gan"} and set(frame["generator"]) == {"none", "gan"}
    assert (frame["split"] == "train").all() if "training" in real else frame["split"].isna().all()


@pytest.mark.parametrize(
    "layout", ["{split}/{label}", "{label}/{split}", "{split}_{label}", "{label}/{split}/cam"]
)
def test_splits_may_stand_above_or_in_a_class_folder(tmp_path: Path, layout: str) -> None:
    splits = {"Train": "train", "valid": "val", "TEST": "test"}
    places = [layout.format(split=split, label=label) for split in splits for label in ("real", "Fake")]
    frame = ingested(tree(tmp_path / "in", *places), FOLDER)
    assert len(usable(frame)) == 12 and frame["label"].sum() == 6
    assert {path: known for path in frame.index for word, known in splits.items() if word in path} == frame[
        "split"
    ].to_dict()
    assert set(frame["source"]) == {"cam" if layout.endswith("cam") else "set"}


def test_folders_above_class_folders_name_where_pictures_come_from(tmp_path: Path) -> None:
    root = tree(
        tmp_path / "in", "progan/cat/0_real", "progan/cat/1_fake", "stargan/1_fake/x", "stargan/0_real"
    )
    frame = ingested(root, FOLDER)
    assert set(zip(frame["label"], frame["source"], strict=True)) == {
        (0, "progan"), (1, "progan"), (0, "stargan"), (1, "stargan"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["real_vs_fake", "unreal", "surreal", "cats", "train", "", "2024", "fakery"]
)
def test_a_word_that_is_not_clear_is_no_class(name: str) -> None:
    assert folder_name(name)[0] is None


@pytest.mark.parametrize(
    ("folders", "sentence"),
    [
        (["cats", "dogs"], r"no folder of real or fake .*: cats/ \(2 files, such as cats/0\.png\), dogs/ .*"
         r"expected real/<source>/\.\.\. and fake/<generator>/\.\.\., or these folders inside "
         r"train/.* correct ingest\.root"),
        (["real_and_fake"], r"real_and_fake/ \(2 files, such as real_and_fake/0\.png\): no folder name"),
        (["train/a", "train/b"], r"train/a/ \(2 files, such as train/a/0\.png\), train/b/ "),
        (["."], r"2 files in no folder, such as 0\.png"),
        (["real", "diffusion_v2"], r"no fake picture in any source: .*; not used in set: diffusion_v2/ "
         r"\(2 files, such as diffusion_v2/0\.png\)"),
    ],
)  # fmt: skip
def test_an_unknown_layout_is_named(tmp_path: Path, folders: list[str], sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        ingested(tree(tmp_path / "in", *folders), FOLDER)


def test_what_is_not_used_is_said_and_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tree(tmp_path / "in", "real", "fake", "more/stuff")
    (root / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere").mkdir()
    (root / "README.txt").write_text("notes")
    assert len(ingested(root, FOLDER)) == 4
    words = (
        "linked/ (a link to a folder), more/ (2 files, such as more/stuff/0.png): "
        "no folder name says if they are real or fake"
    )
    assert f"source 'set': not used: {words}\n" in capsys.readouterr().out
    assert json.loads((tmp_path / "in-out" / "sources.json").read_text())[0]["unused"] == words


def test_files_of_the_system_are_no_pictures(tmp_path: Path) -> None:
    root = tree(tmp_path / "in", "real/cam", "fake/gan")
    names = (".DS_Store", "Thumbs.db", "desktop.ini", "._0.png")
    fill(root, {f"{place}/{name}": b"x" for name in names for place in (".", "real/cam", "fake")})
    assert len(ingested(root, FOLDER)) == 4


def test_a_folder_that_cannot_be_read_has_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path / "in", "real/cam", "real/locked", "fake/gan")
    scan = os.scandir  # root may read every folder: what others meet is made here

    def refuse(place: object) -> object:
        if str(place).endswith("locked"):
            raise PermissionError(13, "Permission denied", place)
        return scan(place)

    monkeypatch.setattr(os, "scandir", refuse)
    frame = ingested(root, FOLDER)
    assert frame["reject_reason"].dropna().to_dict() == {"set/real/locked": "unreadable"}
    assert (
        "the folder can't be read (Permission denied), so its files are not counted"
        in frame.loc["set/real/locked", "reject_detail"]
    )


def test_an_archive_of_archives_is_named(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("real/1.png", picture(1))
    root = fill(
        tmp_path / "in",
        {"real/1.png": picture(1), "fake/2.png": picture(2), "fake/a.zip": inner.getvalue()},
    )
    frame = ingested(root, FOLDER)
    assert "it is an archive inside the source: unpack it" in frame.loc["set/fake/a.zip", "reject_detail"]
    with zipfile.ZipFile(root / "outer.zip", "w") as archive:
        archive.writestr("part1.zip", inner.getvalue())
    with pytest.raises(
        SourceError, match=r"1 files in no folder, such as part1\.zip.*; .* correct `folder`"
    ):
        ingested(root, {"kind": "archive", "name": "set", "path": "outer.zip"})


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"Rar!\x1a\x07\x01\0", "is a rar archive"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "is a 7z archive"),
        (b"\x28\xb5\x2f\xfd\4\0\0\0", "is a zstd archive"),
        (b"PK\x07\x08PK\x03\x04", "is one part of a split zip"),
    ],
)
def test_archives_of_other_kinds_are_named(tmp_path: Path, head: bytes, words: str) -> None:
    fill(tmp_path, {"set.zip": head + bytes(600)})
    with pytest.raises(SourceError, match=words):
        ingested(tmp_path, {"kind": "archive", "path": "set.zip"})


def test_a_tilde_is_the_home_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tree(tmp_path / "in", "real", "fake")
    assert len(ingested(tmp_path / "in", FOLDER | {"path": "~/in"})) == 4
    (tmp_path / "labels.csv").write_text("path,label\n0.png,real\n1.png,fake\n")
    table = {"kind": "csv", "path": "~/labels.csv", "folder": "~/in/real"}
    assert len(ingested(tmp_path / "in", table)) == 2
