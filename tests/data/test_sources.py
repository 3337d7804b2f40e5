"""What all sources share: several in one run, digests, the sidecar, and splits from the source."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from helpers import tiny_params
from ingest_data import FILES, fill, ingested, picture

from deepfake.base.errors import ParamsError, SourceError
from deepfake.base.parameters import parse_params
from deepfake.ingest.raw import RawData
from deepfake.params.whole import Params
from deepfake.preprocess.preprocess import preprocess
from deepfake.preprocess.splits import SplitRule
from deepfake.shards.manifest import SPLITS, read_manifest, usable
from deepfake.validate.validation import validate_manifest

FOLDER = {"kind": "folder", "name": "set"}


def sums(files: dict[str, bytes], mark: str = " ") -> bytes:
    return "".join(
        f"{hashlib.sha256(data).hexdigest()} {mark}{name}\n" for name, data in files.items()
    ).encode()


def test_several_sources_in_one_run_and_their_sidecar(tmp_path: Path) -> None:
    files = {f"one/{name}": data for name, data in FILES.items()}
    files |= {
        "two/a.png": picture(5),
        "two/b.png": b"text",
        "two/labels.csv": b"path,label\na.png,real\nb.png,fake\n",
    }
    root = fill(tmp_path / "in", files)
    sources = [
        {"kind": "csv", "name": "table", "path": "two/labels.csv", "licence": "CC0-1.0",
         "citation": "Doe 2020", "url": "https://example.org", "terms": {"table": "CC0-1.0"}},
        FOLDER | {"path": "one"},
    ]  # fmt: skip
    frame = ingested(root, *sources)
    assert len(frame) == 6 and len(usable(frame)) == 5
    sidecar = tmp_path / "in-out" / "sources.json"
    assert json.loads(sidecar.read_text()) == [
        {"name": "table", "kind": "csv", "licence": "CC0-1.0", "citation": "Doe 2020",
         "url": "https://example.org", "revision": None, "files": 2, "usable": {"real": 1, "fake": 0},
         "terms": {"table": "CC0-1.0"}},
        {"name": "set", "kind": "folder", "licence": "not stated", "citation": "not stated", "url": None,
         "revision": None, "files": 4, "usable": {"real": 2, "fake": 2}},
    ]  # fmt: skip
    first = sidecar.read_bytes()
    ingested(root, *sources)
    assert sidecar.read_bytes() == first
    with pytest.raises(SourceError, match=r"no picture comes from tabel: .* there are table"):
        ingested(root, sources[0] | {"terms": {"tabel": "CC0-1.0"}}, sources[1])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"kind": "csv"}, ["sources.0.path is missing"]),
        ({"kind": "archive", "path": "a", "pth": 1}, ["sources.0.pth", "did you mean 'path'", "sha256"]),
        (
            {"kind": "csv", "path": "a", "columns": {"imag": "x"}},
            ["columns.imag", "'image'", "generator, group"],
        ),
        ({"kind": "video", "path": "a", "limits": {"max_size": 1}}, ["limits.max_size", "max_seconds"]),
        ({"kind": "kaggle", "handle": "me/mine"}, ["needs its own `version` and `folder`"]),
        ({"kind": "huggingface"}, ["either `repo`", "or `path`"]),
        ({"kind": "huggingface", "repo": "a/b"}, ["needs `revision`, the full commit hash"]),
        ({"kind": "huggingface", "repo": "a/b", "revision": "main"}, ["sources.0.revision", "got 'main'"]),
        (
            {"kind": "csv", "path": "a", "real_labels": [1], "fake_labels": ["1"]},
            ["['1'] are in both real_labels and fake_labels"],
        ),
        ({"kind": "folder", "name": "../up"}, ["sources.0.name", "got '../up'"]),
    ],
)
def test_source_parameters_are_checked(source: dict, words: list[str]) -> None:
    with pytest.raises(ParamsError) as caught:
        parse_params(Params, tiny_params(**{"ingest.sources": [source]}), origin="params.yaml")
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("mark", [" ", "*"])
def test_files_that_match_their_digests_pass(tmp_path: Path, mark: str) -> None:
    odd = {"real/camera/back\\slash.png": picture(7)}
    listed = sums(FILES, mark) + b"\\" + sums(odd, mark).replace(b"\\", b"\\\\")
    root = fill(tmp_path / "in", FILES | odd | {"SHA256SUMS": listed})
    assert len(usable(ingested(root, FOLDER | {"sha256": "SHA256SUMS"}))) == 5
    (root / "SHA256SUMS").write_bytes(b"\xef\xbb\xbf" + listed.replace(b"\n", b"\r\n"))
    assert len(usable(ingested(root, FOLDER | {"sha256": "SHA256SUMS"}))) == 5


@pytest.mark.parametrize(
    ("listed", "sentence"),
    [
        (
            sums(FILES | {"real/camera/1.png": b"other"}),
            r"real/camera/1\.png is not as SHA256SUMS says \(found ",
        ),
        (
            sums(FILES | {"real/camera/9.png": b"x"}),
            r"real/camera/9\.png is listed in SHA256SUMS but does not exist",
        ),
        (
            sums({name: data for name, data in FILES.items() if "gan" not in name}),
            r"fake/gan/3\.png \(1 in all\) is not listed in SHA256SUMS: remove the file, or add its line",
        ),
        (sums(FILES | {"../outside": b"x"}), r"names \.\./outside, which is outside the source"),
        (b"abc  real/camera/1.png\n", r"line 1 of .*SHA256SUMS does not have the form of sha256sum"),
        (None, r"can't read its list of digests .*SHA256SUMS"),
    ],
)
def test_a_file_that_differs_stops_with_its_name(
    tmp_path: Path, listed: bytes | None, sentence: str
) -> None:
    root = fill(tmp_path / "in", FILES | ({} if listed is None else {"SHA256SUMS": listed}))
    (tmp_path / "outside").write_bytes(b"x")
    with pytest.raises(SourceError, match=f"source 'set': .*{sentence}"):
        ingested(root, FOLDER | {"sha256": "SHA256SUMS"})
    assert not (tmp_path / "in-out").exists()


def test_an_archive_is_held_by_its_own_digest(tmp_path: Path) -> None:
    files = {"set.zip": b"changed", "set.sha256": sums({"set.zip": b"as published"})}
    with pytest.raises(SourceError, match=r"set\.zip is not as set\.sha256 says"):
        ingested(fill(tmp_path, files), {"kind": "archive", "path": "set.zip", "sha256": "set.sha256"})


def test_a_given_split_reaches_the_manifest_and_breaks_nothing_after_it(tmp_path: Path) -> None:
    lines = ["path,label,split"]
    files: dict[str, bytes] = {}
    for number in range(48):
        files[f"{number}.png"] = picture(number)
        lines.append(f"{number}.png,{'real' if number % 2 else 'fake'},{SPLITS[number // 2 % 3]}")
    root = fill(tmp_path / "in", files | {"labels.csv": "\n".join(lines).encode()})
    source = {"kind": "csv", "path": "labels.csv", "cropped": True}
    ingested(root, source)
    raw = tmp_path / "in-out"
    manifest = read_manifest(raw / "manifest.parquet")
    assert manifest["split"].value_counts().to_dict() == {"train": 16, "val": 16, "test": 16}
    thirds = {"train": 0.34, "val": 0.33, "test": 0.33}
    changed = {"ingest.shard_size": 4, "preprocess.size": 32, "preprocess.split": thirds}
    params = parse_params(Params, tiny_params(**changed), origin="test")
    source = RawData(manifest, raw, params.ingest)
    frame, _, _ = preprocess(source, params.preprocess, SplitRule(7), tmp_path / "faces", 1)
    assert set(usable(frame)["split"]) <= set(SPLITS)
    assert not validate_manifest(manifest, params.validate_).failed("critical")
