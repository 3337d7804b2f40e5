"""The second search: a frame around a tight crop, and boxes in pixels of the picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake.demo.corpus import make_pair
from deepfake.params.preprocess import Faces
from deepfake.preprocess import search as module
from deepfake.preprocess.faces import Face, load_detector
from deepfake.preprocess.search import search
from deepfake.preprocess.squares import face_square

PARAMS = Faces(detector="centerface", weights=None, min_score=0.5, min_size=32, margin=0.3)


class Blind:
    """Finds nothing in its first picture, and `faces` in the second."""

    def __init__(self, *faces: Face) -> None:
        self.faces = list(faces)
        self.seen: list[np.ndarray] = []

    def detect(self, picture: np.ndarray) -> list[Face]:
        self.seen.append(picture)
        return self.faces if len(self.seen) == 2 else []


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> Blind:
    detector = Blind()
    monkeypatch.setattr(module, "load_detector", lambda params: detector)
    return detector


def test_the_second_search_sees_half_the_longer_side_more_on_all_sides(blind: Blind) -> None:
    picture = np.random.default_rng(0).integers(1, 256, (100, 200, 3), dtype=np.uint8)
    blind.faces = [Face(110, 120, 40, 50, 0.9, (111, 121, 112, 122, 113, 123, 114, 124, 115, 125))]
    (found,) = search(picture, PARAMS)
    first, second = blind.seen
    assert first is picture and second.shape == (300, 400, 3)
    assert np.array_equal(second[100:200, 100:300], picture)
    assert np.count_nonzero(second) == picture.size  # the rest is black
    assert found == Face(10, 20, 40, 50, 0.9, (11, 21, 12, 22, 13, 23, 14, 24, 15, 25))


def test_large_pictures_are_shrunk_before_and_boxes_grow_again(blind: Blind) -> None:
    blind.faces = [Face(180, 190, 20, 30, 0.9, (190, 200) * 5)]
    (found,) = search(np.full((640, 1280, 3), 9, np.uint8), PARAMS)
    assert blind.seen[1].shape == (480, 640, 3)
    assert found == Face(80, 120, 80, 120, 0.9, (120, 160) * 5)


def test_a_picture_that_is_all_length_stays_small(blind: Blind) -> None:
    assert search(np.zeros((32, 60_000, 3), np.uint8), PARAMS) == []
    assert blind.seen[1].shape == (321, 640, 3)


def test_faces_in_the_black_around_a_picture_are_none(blind: Blind) -> None:
    blind.faces = [Face(70, 70, 50, 50, 0.9), Face(80, 80, 60, 60, 0.8), Face(270, 150, 70, 10, 0.7)]
    assert [face.score for face in search(np.zeros((100, 200, 3), np.uint8), PARAMS)] == [0.8]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    shape=st.tuples(st.integers(32, 900), st.integers(32, 900)),
    corner=st.tuples(st.floats(-50, 700), st.floats(-50, 700)),
    side=st.floats(4, 700),
)
def test_squares_of_the_second_search_lie_in_the_picture(
    shape: tuple[int, int], corner: tuple[float, float], side: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_detector", lambda params: detector)
        detector = Blind(Face(*corner, side, side, 0.9))
        for face in search(np.zeros((*shape, 3), np.uint8), PARAMS):
            square = face_square(face, shape, 0.3)
            assert 0 <= square.left <= shape[1] - square.side
            assert 0 <= square.top <= shape[0] - square.side
            middle = face.left + face.width / 2, face.top + face.height / 2
            assert square.left - 1 <= middle[0] <= square.left + square.side + 1
            assert square.top - 1 <= middle[1] <= square.top + square.side + 1


def test_a_face_that_is_found_at_once_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = Blind()
    detector.seen.append(np.zeros((1, 1, 3), np.uint8))
    detector.faces = [Face(1, 2, 3, 4, 0.5)]
    monkeypatch.setattr(module, "load_detector", lambda params: detector)
    assert search(np.zeros((64, 64, 3), np.uint8), PARAMS) == detector.faces
    assert len(detector.seen) == 2


@pytest.mark.parametrize(("index", "share"), [(4, 0.6), (6, 0.8)])
def test_a_tight_crop_has_a_face_only_with_room_around_it(index: int, share: float) -> None:
    portrait, detector = make_pair(7, index, 256)[0], load_detector(PARAMS)
    (whole,) = detector.detect(portrait)
    half = max(whole.width, whole.height) * share / 2
    x, y = whole.left + whole.width / 2, whole.top + whole.height / 2
    tight = portrait[int(y - half) : int(y + half), int(x - half) : int(x + half)]
    assert detector.detect(tight) == []
    (found,) = search(tight, PARAMS)
    assert face_square(found, tight.shape, 0.3).side == min(tight.shape[:2])
    assert search(tight, PARAMS) == [found]
