"""Kaggle and the Hub: the tests replace only the download, by folders of the same form."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingest_data import fill, ingested, picture

from deepfake.base.errors import SourceError
from deepfake.shards.manifest import usable

# The packages of the extras `kaggle` and `huggingface`; each has its own HTTP library.
kagglehub = pytest.importorskip("kagglehub")
requests = pytest.importorskip("requests")
huggingface_hub = pytest.importorskip("huggingface_hub")
httpx2 = pytest.importorskip("httpx2")
errors = pytest.importorskip("huggingface_hub.errors")
KaggleApiHTTPError = pytest.importorskip("kagglehub.exceptions").KaggleApiHTTPError
UnauthenticatedError = pytest.importorskip("kagglehub.exceptions").UnauthenticatedError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB = {"kind": "huggingface", "name": "hub", "repo": "someone/faces", "revision": COMMIT}
KAGGLE = {"kind": "kaggle", "name": "140k"}


def test_the_140k_set_comes_with_its_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    names = [f"{split}/{label}/{n}.jpg" for n in range(2) for split in ("train", "valid", "test")
             for label in ("real", "fake")]  # fmt: skip
    tree = {f"real_vs_fake/real-vs-fake/{name}": picture(i, "JPEG") for i, name in enumerate(names)}
    top = fill(tmp_path / "cache", tree | {"train.csv": b"id,label\n"})

    def download(handle: str) -> str:
        asked.append(handle)
        return str(top)

    monkeypatch.setattr(kagglehub, "dataset_download", download)
    frame = ingested(tmp_path / "in", KAGGLE)
    assert asked == ["xhlulu/140k-real-and-fake-faces/versions/2"]
    assert sorted(frame.index) == sorted(f"140k/{name}" for name in names)
    assert len(usable(frame)) == 12
    counts = frame.groupby(["split", "label"]).size().to_dict()
    assert counts == {(split, label): 2 for split in ("train", "val", "test") for label in (0, 1)}
    assert frame["generator"].map({"none": 0, "140k": 1}).tolist() == frame["label"].tolist()


def test_a_hub_data_set_is_asked_for_at_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple] = []
    snapshot = tmp_path / "snapshots" / COMMIT / "data"
    snapshot.mkdir(parents=True)
    table = pa.table({"image": [picture(1), picture(2)], "label": ["real", "fake"]})
    pq.write_table(table, tmp_path / "blob")
    (snapshot / "test-00000-of-00001.parquet").symlink_to(tmp_path / "blob")  # as in the Hub's cache

    def download(repo: str, **options: object) -> str:
        asked.append((repo, options))
        return str(snapshot.parent)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    frame = ingested(tmp_path / "in", HUB)
    options = {"repo_type": "dataset", "revision": COMMIT, "allow_patterns": "*.parquet"}
    assert asked == [("someone/faces", options)]
    assert sorted(frame.index) == [
        "hub/fake/data/test-00000-of-00001.parquet/00000001",
        "hub/real/data/test-00000-of-00001.parquet/00000000",
    ]
    assert set(frame["split"]) == {"test"}


def failing(error: Exception) -> Callable[..., str]:
    def download(*_: object, **__: object) -> str:
        raise error

    return download


def answer(status: int) -> object:
    response = requests.Response()
    response.status_code = status
    return response


@pytest.mark.parametrize(
    "error",
    [
        requests.exceptions.ConnectionError("Failed to resolve 'www.kaggle.com'"),
        KaggleApiHTTPError("404 Client Error.\n\nResource not found", answer(404)),
        KaggleApiHTTPError("403 Client Error.", answer(403)),
        UnauthenticatedError(),
        ValueError("Invalid dataset handle"),
    ],
    ids=["offline", "missing", "forbidden", "no token", "handle"],
)
def test_a_failed_kaggle_download_says_what_to_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(kagglehub, "dataset_download", failing(error))
    with pytest.raises(SourceError) as caught:
        ingested(tmp_path / "in", KAGGLE)
    text = str(caught.value)
    assert (
        "source '140k': can't download the Kaggle data set xhlulu/140k-real-and-fake-faces/versions/2"
        in text
    )
    assert type(error).__name__ in text and "check the network" in text and "kind: archive" in text
    assert "\n" not in text


def hub_error(kind: type[Exception], status: int) -> Exception:
    request = httpx2.Request("GET", "https://huggingface.co/api/datasets/someone/faces")
    return kind("refused", response=httpx2.Response(status, request=request))


@pytest.mark.parametrize(
    "error",
    [
        errors.LocalEntryNotFoundError("Please check your internet connection and try again."),
        errors.OfflineModeIsEnabled("offline"),
        errors.LocalTokenNotFoundError("no token"),
        errors.HFValidationError("repo"),
        hub_error(errors.RepositoryNotFoundError, 404),
        hub_error(errors.RevisionNotFoundError, 404),
        hub_error(errors.GatedRepoError, 403),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_failed_hub_download_says_what_to_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", failing(error))
    with pytest.raises(SourceError) as caught:
        ingested(tmp_path / "in", HUB)
    text = str(caught.value)
    assert f"source 'hub': can't download someone/faces at {COMMIT}" in text
    assert type(error).__name__ in text and "check the network" in text and "set `path`" in text


@pytest.mark.parametrize(
    ("package", "source", "extra"),
    [("kagglehub", KAGGLE, "kaggle"), ("huggingface_hub", HUB, "huggingface")],
)
def test_a_missing_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, source: dict, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SourceError, match=rf'{package} is not installed: pip install -e "\.\[{extra}\]"'):
        ingested(tmp_path / "in", source)
