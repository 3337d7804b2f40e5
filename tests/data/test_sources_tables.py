"""Tables of pictures: CSV with paths, Parquet with image bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingest_data import FILES, fill, ingested, picture

from deepfake.base.errors import SourceError
from deepfake.shards.manifest import usable

CSV = {"kind": "csv", "name": "set", "path": "labels.csv"}
PARQUET = {"kind": "huggingface", "name": "set", "path": "parquet"}
HEADER = "path,label,source,generator,group,split\n"


def table(root: Path, text: str) -> Path:
    return fill(root, FILES | {"labels.csv": text.encode()})


def test_a_row_gives_all_that_it_says(tmp_path: Path) -> None:
    rows = [
        "real/camera/1.png,real,lfw,,ada,train",
        "real/phone/2.png,REAL,,,,valid",
        '"fake/gan/3.png",fake,ff,stylegan,ada,TEST',
        "./fake/diffusion/4.png,Fake,,,,",
        "fake/gan/gone.png,fake,,,,",
    ]
    frame = ingested(table(tmp_path, "\ufeff" + HEADER + "\n".join(rows)), CSV)
    facts = frame[["label", "source", "generator", "split"]].astype(object)
    assert facts.where(facts.notna(), None).to_dict("index") == {
        name: dict(zip(facts.columns, values, strict=True))
        for name, values in {
            "set/real/real/camera/1.png": (0, "lfw", "none", "train"),
            "set/real/real/phone/2.png": (0, "set", "none", "val"),
            "set/fake/fake/gan/3.png": (1, "ff", "stylegan", "test"),
            "set/fake/fake/diffusion/4.png": (1, "set", "set", None),
            "set/fake/fake/gan/gone.png": (1, "set", "set", None),
        }.items()
    }
    assert frame.loc["set/real/real/camera/1.png", "group"] == "set/ada"
    assert frame.loc["set/fake/fake/gan/3.png", "group"] == "set/ada"
    assert frame["reject_reason"].dropna().to_dict() == {"set/fake/fake/gan/gone.png": "unreadable"}


DIALECTS = {
    "marks": "\ufeffpath,label\r\n{real},real\r\n{fake},fake\r\n".encode(),
    "semicolons": b"path;label;note\n{real};Real;a,b\n{fake};Fake;c\n",
    "tabs": b"path\tlabel\n{real}\treal\n{fake}\tfake\n",
    "old line ends": b"path,label\r{real},real\r{fake},fake\r",
    "two bytes a letter": "path\tlabel\n{real}\treal\n{fake}\tfake\n".encode("utf-16"),
    "words": b"Path, Label\n{real}, ORIGINAL\n{fake}, Deepfakes\n",
}


@pytest.mark.parametrize("name", DIALECTS)
def test_tables_as_spreadsheets_write_them(tmp_path: Path, name: str) -> None:
    code = "utf-16-le" if name == "two bytes a letter" else "utf-8"
    data = DIALECTS[name]
    for word in ("real", "fake"):
        file = {"real": "real/camera/1.png", "fake": "fake/gan/3.png"}[word]
        data = data.replace(f"{{{word}}}".encode(code), file.encode(code))
    frame = ingested(fill(tmp_path / "in", FILES | {"labels.csv": data}), CSV)
    assert frame["label"].to_dict() == {"set/real/real/camera/1.png": 0, "set/fake/fake/gan/3.png": 1}
    assert len(usable(frame)) == 2


@pytest.mark.parametrize(
    "start", ["", "./", "/home/ann/set/", "C:\\users\\ann\\", "D:/data/", "\\\\server\\set\\", "here"]
)
def test_paths_of_another_machine_are_found_by_their_end(tmp_path: Path, start: str) -> None:
    root = tmp_path / "in"
    slash = "\\" if "\\" in start else "/"
    start = f"{root}/" if start == "here" else start
    names = ["real/camera/1.png", "real/phone/2.png", "fake/gan/3.png"]
    rows = [f"{start}{name.replace('/', slash)},{name[:4]}" for name in names]
    frame = ingested(table(root, "\n".join(["path,label", *rows])), CSV)
    assert sorted(frame.index) == sorted(f"set/{name[:4]}/{name}" for name in names)
    assert len(usable(frame)) == 3


def test_what_is_cut_off_one_path_is_cut_off_all(tmp_path: Path) -> None:
    rows = ["/ann/real/camera/1.png,real", "/ann/real/camera/gone.png,real", "/ann/fake/gan/3.png,fake"]
    frame = ingested(table(tmp_path / "in", "\n".join(["path,label", *rows])), CSV)
    assert frame["reject_reason"].dropna().to_dict() == {"set/real/real/camera/gone.png": "unreadable"}
    rows.append("/bob/fake/diffusion/4.png,fake")
    with pytest.raises(SourceError, match=r"line 5 .*: '/bob/fake/diffusion/4\.png' leads outside"):
        ingested(table(tmp_path / "in", "\n".join(["path,label", *rows])), CSV)


def test_columns_labels_and_folder_can_be_named(tmp_path: Path) -> None:
    text = "file,y,who\n1.png,1,ada\n2.png,0,bob\n"
    files = {"pictures/1.png": picture(1), "pictures/2.png": picture(2), "lists/labels.csv": text.encode()}
    source = CSV | {
        "path": "lists/labels.csv",
        "folder": "pictures",
        "columns": {"image": "file", "label": "y", "group": "who"},
        "real_labels": [1],
        "fake_labels": [0],
    }
    frame = ingested(fill(tmp_path / "in", files), source)
    assert frame["label"].to_dict() == {"set/real/1.png": 0, "set/fake/2.png": 1}
    assert set(frame["group"]) == {"set/ada", "set/bob"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,label\n", r"labels\.csv has no column 'path'; it has 'file', 'label': set .*columns\.image"),
        ("path,y\n", r"has no column 'label'"),
        ("", r"has no column 'path'|has no column 'label'"),
        ("path,label\n", r"labels\.csv has no rows"),
        ("path,label\nreal/camera/1.png,1\n", r"line 2 of labels\.csv: label '1' is unknown; real_labels"),
        ("path,label\nreal/camera/1.png,real\nreal/phone/2.png,\n", r"line 3 .*: label '' is unknown"),
        ("path,label\n,real\n", r"line 2 .*: no path in column 'path'"),
        ("path,label\na,real\nb,fake\n./a,fake\n", r"line 4 .*: \./a is also in line 2: remove one"),
        ("path,label\n../secret.png,real\n", r"line 2 .*: '\.\./secret\.png' leads outside"),
        ("path,label\n/etc/hostname,real\n", r"line 2 .*: '/etc/hostname' leads outside .*set `folder`"),
        ("path,label\nlink/secret.png,real\n", r"'link/secret\.png' leads outside"),
        ("path,label\n.,real\n", r"'\.' leads outside"),
        ("path,label,split\na,real,holdout\n", r"line 2 .*: split 'holdout' is not train, val or test"),
        ('path,label\n"a,real\n', r"save it as CSV in UTF-8"),
        ("path,label\na\0b,real\n", r"can't be used as a path|can't be read"),
    ],
)  # fmt: skip
def test_a_bad_table_names_the_line(tmp_path: Path, text: str, sentence: str) -> None:
    root = table(tmp_path / "in", text)
    (tmp_path / "secret.png").write_bytes(picture(9))
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(SourceError, match=sentence):
        ingested(root, CSV)


def test_a_named_column_must_be_there(tmp_path: Path) -> None:
    root = table(tmp_path / "in", "path,label\na,real\n")
    with pytest.raises(SourceError, match=r"no column 'identity'; .* set the source's columns\.group"):
        ingested(root, CSV | {"columns": {"group": "identity"}})


def write_parquet(path: Path, columns: dict, names: list[str] | None = None, **options: object) -> None:
    content = pa.table(columns)
    if names is not None:
        feature = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        content = content.replace_schema_metadata({"huggingface": json.dumps(feature)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(content, path, **options)


def structs(numbers: list[int]) -> pa.Array:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.array([{"bytes": picture(n), "path": f"{n}.png"} for n in numbers], kind)


def test_parquet_as_the_hub_writes_it(tmp_path: Path) -> None:
    for split, numbers in {"train": range(40), "validation": range(40, 44)}.items():
        labels = [number % 2 for number in numbers]  # 0 is fake here, as the class names say
        file = tmp_path / "in" / "parquet" / "data" / f"{split}-00000-of-00001.parquet"
        write_parquet(file, {"image": structs(list(numbers)), "label": labels}, ["Fake", "Real"])
    frame = ingested(tmp_path / "in", PARQUET)
    assert len(usable(frame)) == 44
    assert frame["split"].value_counts().to_dict() == {"train": 40, "val": 4}
    row = frame.loc["set/fake/data/train-00000-of-00001.parquet/00000038"]
    assert row[["label", "bytes", "generator"]].tolist() == [1, len(picture(38)), "set"]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_one_parquet_file_with_plain_bytes_and_columns(tmp_path: Path, kind: pa.DataType) -> None:
    columns = {
        "jpg": pa.array([picture(1), picture(2), None, b""], kind),
        "is_fake": [True, False, True, False],
        "split": ["test", None, "train", "dev"],
        "who": [1, 2, 3, 3],
    }
    write_parquet(tmp_path / "in" / "train.parquet", columns)
    source = PARQUET | {
        "path": "train.parquet",
        "columns": {"image": "jpg", "label": "is_fake", "group": "who"},
        "real_labels": ["false"],
        "fake_labels": ["true"],
    }
    frame = ingested(tmp_path / "in", source).sort_values("group")
    assert frame["label"].tolist() == [1, 0, 1, 0]
    assert frame["split"].tolist() == ["test", "train", "train", "val"]
    assert frame["group"].tolist() == ["set/1", "set/2", "set/3", "set/3"]
    assert frame["reject_reason"].fillna("").tolist() == ["", "", "unreadable", "unreadable"]


PAIR = {"image": [picture(1), picture(2)], "label": ["real", "fake"]}


@pytest.mark.parametrize(
    ("columns", "change", "sentence"),
    [
        ({"label": ["real", "fake"]}, {}, r"0\.parquet has no column 'image'; it has 'label': set "),
        ({"image": PAIR["image"]}, {}, r"has no column 'label'"),
        (PAIR | {"image": ["a.png", "b.png"]}, {}, r"column 'image' holds string, not image bytes"),
        (PAIR | {"label": [0, 1]}, {}, r"row 0 of 0\.parquet: label '0' is unknown; real_labels are"),
        (PAIR | {"label": ["real", None]}, {}, r"row 1 of 0\.parquet: label 'None' is unknown"),
        (PAIR, {"files": "*.pq"}, r"parquet has no file that matches '\*\.pq': correct `files`"),
        (PAIR, {"path": "gone"}, r"gone has no file that matches '\*\.parquet'"),
        (PAIR, {"limits": {"max_files": 1}}, r"more than 1 pictures or .* raise the source's limits"),
        (PAIR, {"limits": {"max_bytes": 500}}, r"Parquet files hold more than .* 500 bytes"),
    ],
)  # fmt: skip
def test_a_bad_parquet_says_what_to_set(tmp_path: Path, columns: dict, change: dict, sentence: str) -> None:
    write_parquet(tmp_path / "parquet" / "0.parquet", columns)
    with pytest.raises(SourceError, match=sentence):
        ingested(tmp_path, PARQUET | change)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_a_damaged_parquet_is_named(tmp_path: Path, share: float) -> None:
    file = tmp_path / "parquet" / "0.parquet"
    write_parquet(file, PAIR)
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SourceError, match=r"0\.parquet is damaged or not a Parquet file .* fetch it again"):
        ingested(tmp_path, PARQUET)


def test_a_dictionary_of_one_picture_is_counted_as_often_as_it_stands(tmp_path: Path) -> None:
    columns = {"image": [picture(1)] * 400, "label": ["real"] * 400}
    write_parquet(tmp_path / "parquet" / "0.parquet", columns, use_dictionary=True)
    assert (tmp_path / "parquet" / "0.parquet").stat().st_size < 20_000
    with pytest.raises(SourceError, match=r"Parquet files hold more than .* 20000 bytes"):
        ingested(tmp_path, PARQUET | {"limits": {"max_bytes": 20_000}})
