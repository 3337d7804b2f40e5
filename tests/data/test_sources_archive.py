"""Archives: good ones are unpacked; for others an error names the file and says what to do."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ingest_data import FILES, fill, ingested, picture

from deepfake.base.errors import SourceError
from deepfake.params.ingest.limits import Unpacking
from deepfake.shards.manifest import usable
from deepfake.sources.archive import unpack

SMALL = Unpacking(max_bytes=100_000, max_files=6)
TAR_MODES = {"set.tar": "w", "set.tar.gz": "w:gz", "set.tar.bz2": "w:bz2", "set.tar.xz": "w:xz"}


def zipped(path: Path, files: dict[str, bytes], **options: object) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, files: dict[str, bytes], mode: str = "w", *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, mode) as archive:
        for member in members:
            archive.addfile(member)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def pack(path: Path, files: dict[str, bytes]) -> Path:
    return zipped(path, files) if path.suffix == ".zip" else tarred(path, files, TAR_MODES[path.name])


@pytest.mark.parametrize("name", ["set.zip", *TAR_MODES])
def test_an_archive_gives_what_the_folder_would(tmp_path: Path, name: str) -> None:
    root = fill(tmp_path / "in", {"plain/" + name: data for name, data in FILES.items()})
    pack(root / name, {f"top/{inside}": data for inside, data in FILES.items()})
    archived = ingested(root, {"kind": "archive", "name": "set", "path": name, "folder": "top"})
    plain = ingested(root, {"kind": "folder", "name": "set", "path": "plain"})
    assert archived.equals(plain)
    assert len(usable(archived)) == 4


def test_folders_named_after_splits_give_the_split(tmp_path: Path) -> None:
    splits = {"train": "train", "valid": "val", "test": "test"}
    files = {
        f"{split}/{label}/{number}{split}.png": picture(10 * number + len(split) + len(label) * 100)
        for split in splits
        for number, label in enumerate(("real", "fake"))
    }
    tmp_path.joinpath("in").mkdir()
    zipped(tmp_path / "in" / "set.zip", files)
    frame = ingested(tmp_path / "in", {"kind": "archive", "name": "set", "path": "set.zip"})
    assert {path: splits[path.split("/")[1]] for path in frame.index} == frame["split"].to_dict()
    assert sorted(frame.index) == sorted(f"set/{name}" for name in files)
    assert set(frame["source"]) == {"set"}


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_link(path: Path) -> None:
    info = zipfile.ZipInfo("real/link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, "/etc/hostname")


def encrypted(path: Path) -> None:
    data = bytearray(zipped(path, FILES).read_bytes())
    for magic, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # the flag of an encrypted member
        at = -1
        while (at := data.find(magic, at + 1)) >= 0:
            data[at + offset] |= 1
    path.write_bytes(data)


def lying_zip(path: Path) -> None:
    """A member that declares 10 bytes but inflates to a megabyte."""
    data = bytearray(zipped(path, {"real/1.png": bytes(1_000_000)}).read_bytes())
    for magic, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", data, data.find(magic) + offset, 10)
    path.write_bytes(data)


def extended_header(path: Path) -> None:
    """A tar file of two kilobytes with an extended header of two megabytes."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 2_000_000
    path.write_bytes(gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + bytes(2_000_000)))


def nameless(path: Path) -> None:
    """A member whose name begins with a zero byte, which the reader takes as the end of the name."""
    zipped(path, {"xreal/a.png": b"a"})
    path.write_bytes(path.read_bytes().replace(b"xreal", b"\0real"))


def cut(make: Callable[[Path], Path], path: Path, share: float) -> None:
    data = make(path).read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "zip slip": (lambda p: zipped(p, {"../evil.png": b"x"}), r"'\.\./evil\.png' would be written outside"),
    "zip absolute": (lambda p: zipped(p, {"/evil.png": b"x"}), "outside the folder"),
    "zip link": (zip_link, r"'real/link\.png' is a link, a device or a sparse file; pack regular"),
    "zip declared bomb": (lambda p: zipped(p, {"a": bytes(200_000)}), r"100000 bytes: if .*max_bytes"),
    "zip undeclared bomb": (lying_zip, "is damaged"),
    "zip of many": (lambda p: zipped(p, {str(n): b"" for n in range(7)}), "more than 6 members: if "),
    "zip encrypted": (encrypted, r"is encrypted \(real/camera/1\.png\): unpack it and use a folder source"),
    "zip without a name": (nameless, "is damaged"),
    "zip cut": (lambda p: cut(lambda q: zipped(q, FILES), p, 0.6), "is damaged .* fetch it again"),
    "tar with a name twice": (lambda p: tarred(p, {"a": b"1", "./a": b"2"}), "is damaged"),
    "tar slip": (lambda p: tarred(p, {"real/../../evil": b"x"}), "would be written outside the folder"),
    "tar absolute": (lambda p: tarred(p, {"/tmp/evil": b"x"}), "would be written outside the folder"),
    "tar symlink": (lambda p: tarred(p, {}, "w", link("real", "/etc")), "'real' is a link"),
    "tar through a symlink": (
        lambda p: tarred(p, {"real/passwd": b"x"}, "w", link("real", "/etc")), "'real' is a link",
    ),
    "tar hard link": (lambda p: tarred(p, {}, "w", link("a", "/etc/passwd", tarfile.LNKTYPE)), "is a link"),
    "tar pipe": (lambda p: tarred(p, {}, "w", link("a", "", tarfile.FIFOTYPE)), "is a link, a device"),
    "tar declared bomb": (lambda p: tarred(p, {"a": bytes(200_000)}, "w:gz"), "more than 100000 bytes"),
    "tar of small bombs": (
        lambda p: tarred(p, dict.fromkeys(["a", "b"], bytes(60_000)), "w:gz"), "more than 100000 bytes",
    ),
    "tar undeclared bomb": (extended_header, "more than 100000 bytes"),
    "tar of many": (lambda p: tarred(p, {str(n): b"" for n in range(7)}), "more than 6 members"),
    "tar cut": (lambda p: cut(lambda q: tarred(q, FILES), p, 0.3), "is damaged"),
    "tar without its end": (
        lambda p: p.write_bytes(tarred(p, {"a": bytes(512)}).read_bytes()[:1024]), "before its end mark",
    ),
    "tar.gz cut": (lambda p: cut(lambda q: tarred(q, FILES, "w:gz"), p, 0.6), "is damaged"),
    "tar.xz cut": (lambda p: cut(lambda q: tarred(q, FILES, "w:xz"), p, 0.6), "is damaged"),
    "text": (lambda p: p.write_text("no archive"), "is damaged or no zip or tar file"),
    "nothing": (lambda p: p.write_bytes(b""), "is damaged or no zip or tar file"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_archive_is_refused_and_writes_nothing_elsewhere(tmp_path: Path, name: str) -> None:
    make, sentence = BAD[name]
    archive, target = tmp_path / "archive", tmp_path / "deep" / "target"
    make(archive)
    target.mkdir(parents=True)
    with pytest.raises(SourceError, match=sentence):
        unpack(archive, target, SMALL, "source 'x': archive")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "deep"]
    assert sorted(path.name for path in target.parent.iterdir()) == ["target"]
    assert sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) <= SMALL.max_bytes


@pytest.mark.parametrize("make", [zipped, tarred])
def test_an_archive_without_pictures_says_what_is_expected(
    tmp_path: Path, make: Callable[[Path, dict[str, bytes]], Path]
) -> None:
    make(tmp_path / "set", {})
    with pytest.raises(SourceError, match=r"source 'archive': no file in its folder '\.'; expected real/"):
        ingested(tmp_path, {"kind": "archive", "path": "set"})
    make(tmp_path / "set", {"elsewhere/1.png": picture(1)})
    with pytest.raises(SourceError, match=r"correct `folder`"):
        ingested(tmp_path, {"kind": "archive", "path": "set"})
    with pytest.raises(SourceError, match=r"it has no folder 'top': correct `folder`"):
        ingested(tmp_path, {"kind": "archive", "path": "set", "folder": "top"})


def test_a_missing_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"source 'archive': there is no file .*gone\.zip: correct ingest\.root"
    ):
        ingested(tmp_path, {"kind": "archive", "path": "gone.zip"})


def test_a_member_that_asks_for_all_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header of an LZMA member may ask for four gigabytes."""

    def full(*_: object) -> bytes:
        raise MemoryError

    archive, target = zipped(tmp_path / "a.zip", FILES), tmp_path / "target"
    target.mkdir()
    monkeypatch.setattr(zipfile.ZipExtFile, "read", full)
    with pytest.raises(SourceError, match="asks for too much memory"):
        unpack(archive, target, SMALL, "a.zip")
