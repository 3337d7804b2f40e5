"""Small faces in large pictures: found in tiles, once each, beside those that the whole picture shows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake.demo.corpus import make_pair
from deepfake.params.preprocess import Faces
from deepfake.preprocess.faces import Face, load_detector
from deepfake.preprocess.search import search
from deepfake.preprocess.tiles import search_tiles

PARAMS = Faces(detector="centerface", weights=None, min_score=0.5, min_size=32, margin=0.3)
PORTRAIT = 128  # pixels; its face has some 75


def photograph(height: int, width: int, places: list[tuple[int, int]]) -> np.ndarray:
    """A grey picture with portraits whose left top corners are at x, y."""
    picture = np.full((height, width, 3), 140, np.uint8)
    people = [make_pair(7, index, PORTRAIT)[0] for index in range(6)]
    for number, (x, y) in enumerate(places):
        picture[y : y + PORTRAIT, x : x + PORTRAIT] = people[number % len(people)]
    return picture


def in_places(faces: list[Face], places: list[tuple[int, int]]) -> list[int]:
    """How many faces have their middle in each portrait."""
    middles = [(face.left + face.width / 2, face.top + face.height / 2) for face in faces]
    return [sum(0 < x - a < PORTRAIT and 0 < y - b < PORTRAIT for x, y in middles) for a, b in places]


def test_sixty_faces_of_a_group_photograph_are_found_once_each() -> None:
    places = [(300 * column + 40, 300 * row + 60) for row in range(6) for column in range(10)]
    picture = photograph(1800, 3000, places)
    assert sum(in_places(load_detector(PARAMS).detect(picture), places)) < 60
    found = search(picture, PARAMS)
    assert in_places(found, places) == [1] * 60 and len(found) == 60
    assert all(55 < max(face.width, face.height) < 100 for face in found)
    assert [face.score for face in found] == sorted((face.score for face in found), reverse=True)
    for face in found:
        points = np.reshape(face.points, (5, 2)) - (face.left, face.top)
        assert (points > 0).all() and (points < (face.width, face.height)).all()


def test_faces_of_a_panorama_are_found() -> None:
    places = [(1000 * number + 300, 150) for number in range(20)]
    picture = photograph(512, 20_000, places)
    assert load_detector(PARAMS).detect(picture) == []
    assert in_places(search(picture, PARAMS), places) == [1] * 20


class Spots:
    """Finds bright rectangles of at least `least` pixels a side where it looks, cut off where they are."""

    def __init__(self, least: int) -> None:
        self.least = least
        self.looked = 0

    def detect(self, picture: np.ndarray) -> list[Face]:
        self.looked += 1
        scale = max(picture.shape[:2]) / 640
        _, _, boxes, _ = cv2.connectedComponentsWithStats((picture[:, :, 0] > 200).astype(np.uint8))
        return [
            Face(float(x), float(y), float(w), float(h), 0.9, (x + 1.0, y + 1.0) * 5)
            for x, y, w, h, _ in boxes[1:].tolist()
            if min(w, h) >= self.least * scale
        ]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    shape=st.tuples(st.integers(300, 4000), st.integers(1300, 6000)),
    side=st.integers(45, 300),
    corner=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_face_anywhere_is_found_whole_and_once(
    shape: tuple[int, int], side: int, corner: tuple[float, float]
) -> None:
    height, width = shape
    side = min(side, height // 2)
    left, top = int(corner[0] * (width - side)), int(corner[1] * (height - side))
    picture = np.zeros((height, width, 3), np.uint8)
    picture[top : top + side, left : left + side] = 255
    detector = Spots(20)
    whole = detector.detect(picture)
    found = [*whole, *search_tiles(picture, whole, detector)]
    (face,) = found
    assert (face.left, face.top, face.width, face.height) == (left, top, side, side)
    assert face.points == (left + 1.0, top + 1.0) * 5


@pytest.mark.parametrize("shape", [(1280, 1280), (900, 600), (32, 60_000)])
def test_small_pictures_and_thin_strips_are_not_searched_again(shape: tuple[int, int]) -> None:
    detector = Spots(20)
    assert search_tiles(np.zeros((*shape, 3), np.uint8), [], detector) == [] and detector.looked == 0


def test_behind_a_portrait_nobody_is_looked_for() -> None:
    detector = Spots(20)
    large = [Face(100.0, 100.0, 800.0, 700.0, 0.9)]
    assert search_tiles(np.zeros((2000, 3000, 3), np.uint8), large, detector) == []
    assert detector.looked == 0


def test_what_the_whole_shows_keeps_every_bit() -> None:
    picture = np.zeros((2000, 3000, 3), np.uint8)
    picture[400:600, 700:900] = 255
    known = [Face(690.25, 395.5, 220.125, 210.0625, 0.51, tuple(map(float, range(10))))]
    assert search_tiles(picture, known, Spots(20)) == []
