"""The cache of detections: exact, shared by processes, and safe to lose."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepfake.params.preprocess import Faces
from deepfake.preprocess import detections
from deepfake.preprocess.detections import Detection, open_cache
from deepfake.preprocess.faces import Face
from deepfake.shards.executors import process_pool

PARAMS = Faces(detector="centerface", weights=None, min_score=0.5, min_size=32, margin=0.3)
FOUND = Detection(480, 640, (Face(0.1, 1 / 3, 2**0.5, 1e-17, 0.7, (0.1, 1e300)), Face(1, 2, 3, 4, 0.6)))


def test_what_comes_out_is_exactly_what_went_in(tmp_path: Path) -> None:
    cache = open_cache(tmp_path / "deep" / "cache.sqlite3", PARAMS, 0.0)
    assert cache.get("a") is None
    cache.put("a", FOUND)
    cache.put("a", FOUND)
    cache.put("b", Detection(1, 2, ()))
    again = open_cache(tmp_path / "deep" / "cache.sqlite3", PARAMS, 0.0)
    assert again.get("a") == FOUND and again.get("b") == Detection(1, 2, ())


@pytest.mark.parametrize("change", [{"min_score": 0.6}, {"border": 0.01}])
def test_other_searches_are_not_taken_for_ours(tmp_path: Path, change: dict) -> None:
    path, border = tmp_path / "cache.sqlite3", change.pop("border", 0.0)
    open_cache(path, PARAMS, 0.0).put("a", FOUND)
    assert open_cache(path, PARAMS.model_copy(update=change), border).get("a") is None


@pytest.mark.parametrize("name", ["SEARCH", "SECOND_SEARCH"])
def test_neither_are_those_of_other_constants(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_cache(tmp_path / "cache.sqlite3", PARAMS, 0.0).put("a", FOUND)
    monkeypatch.setattr(detections, name, (1, 2))
    assert open_cache(tmp_path / "cache.sqlite3", PARAMS, 0.0).get("a") is None


def test_what_is_decided_after_the_search_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite3"
    open_cache(path, PARAMS, 0.0).put("a", FOUND)
    later = {"min_size": 99, "margin": 1.0, "align": "landmarks", "which": "all"}
    assert open_cache(path, PARAMS.model_copy(update=later), 0.0).get("a") == FOUND


@pytest.mark.parametrize("place", [0, 5000])
def test_a_damaged_file_is_set_aside_and_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: int
) -> None:
    path = tmp_path / "cache.sqlite3"
    cache = open_cache(path, PARAMS, 0.0)
    for number in range(200):
        cache.put(f"{number}", FOUND)
    damaged = bytearray(path.read_bytes())
    damaged[place : place + 3000] = b"\xa5" * 3000
    path.write_bytes(damaged)
    made = open_cache(path, PARAMS, 0.0)
    assert "cache.sqlite3 is damaged" in capsys.readouterr().err
    assert made.get("1") is None
    made.put("1", FOUND)
    assert made.get("1") == FOUND
    assert (tmp_path / "cache.sqlite3.damaged").read_bytes() == damaged


def _fill(path: Path) -> int:
    cache = open_cache(path, PARAMS, 0.0)
    for number in range(200):
        if cache.get(f"{number}") is None:
            cache.put(f"{number}", FOUND)
    return sum(cache.get(f"{number}") == FOUND for number in range(200))


def test_processes_share_one_file(tmp_path: Path) -> None:
    with process_pool(3) as pool:
        assert pool is not None
        assert list(pool.map(_fill, [tmp_path / "cache.sqlite3"] * 3)) == [200] * 3
