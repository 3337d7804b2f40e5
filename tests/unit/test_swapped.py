"""Swapped faces: the mask holds another face, nothing else changes; donors are similar strangers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from deepfake.base.labels import FAKE, REAL
from deepfake.degrade.pseudo_fakes.swapped import swap_face
from deepfake.demo.corpus import make_pair
from deepfake.embed import donors as module
from deepfake.embed.donors import Donors
from deepfake.embed.features import SWAPPED
from deepfake.embed.views import View, make_swapped_view
from deepfake.media.encoding import encode_png
from deepfake.preprocess.faces import Face

SIDE = 96
# Eyes, nose and corners of the mouth in the middle of the crop.
POINTS = np.array([[36, 40], [60, 40], [48, 52], [38, 64], [58, 64]], np.float32)


@pytest.fixture(scope="module")
def people() -> list[np.ndarray]:
    return [make_pair(6, index, SIDE)[0] for index in range(6)]


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_only_the_face_changes_and_it_is_the_other_one_in_the_picture_s_colours(people: list) -> None:
    first, second = people[:2]
    dark = (second // 3).astype(np.uint8)  # its colours are matched before it is blended
    for seed in range(20):
        fake = swap_face(first, POINTS, dark, POINTS + 2.0, rng(seed))
        assert fake is not None
        np.testing.assert_array_equal(fake.pixels[fake.mask == 0], first[fake.mask == 0])
        inside = fake.mask > 0.7
        assert 0.05 < inside.mean() < 0.5
        assert np.abs(fake.pixels.astype(int) - first)[inside].mean() > 2.0
        means = [one[inside].mean() for one in (fake.pixels, first, dark)]
        assert abs(means[0] - means[1]) < abs(means[2] - means[1])


def test_the_other_face_is_moved_to_the_same_place(people: list) -> None:
    mark = people[1].copy()
    mark[10:22, 10:22] = (255, 0, 0)  # beside that face, at its nose once it is moved
    away = POINTS + (np.array([16, 16]) - POINTS[2])
    fake = swap_face(people[0], POINTS, mark, away.astype(np.float32), rng(1))
    assert fake is not None
    red = fake.pixels[..., 0].astype(int) - fake.pixels[..., 1]
    assert red[48:56, 44:52].mean() > red[70:, :20].mean() + 20


def test_a_face_that_covers_nothing_is_no_fake(people: list) -> None:
    tiny = (POINTS - 48) / 20 + 48
    assert swap_face(people[0], tiny, people[1], POINTS, rng(0)) is None
    same = np.full_like(POINTS, 40.0)  # all features in one point: there is no way to move it
    assert swap_face(people[0], POINTS, people[1], same, rng(0)) is None


@pytest.fixture
def shard(people: list, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Donors]:
    """Donors of a shard; the finder gives each crop the points that belong to its first pixel."""

    def made(groups: list[str], shifts: list[float | None], labels: list[int] | None = None) -> Donors:
        class Finder:
            def detect(self, crop: np.ndarray) -> list[Face]:
                shift = shifts[int(crop[0, 0, 0])]
                points = () if shift is None else tuple((POINTS + shift).ravel())
                return [] if shift is None else [Face(0, 0, 1, 1, 0.9, points)]

        monkeypatch.setattr(module, "_finder", Finder)
        examples = []
        for number, group in enumerate(groups):
            crop = people[number % len(people)].copy()
            crop[0, 0] = number
            label = labels[number] if labels else REAL
            examples.append(
                {"image_id": str(number), "image": encode_png(crop), "label": label, "group": group}
            )
        return Donors.of(examples)

    return made


def test_a_donor_is_a_stranger_with_a_similar_face(
    shard: Callable[..., Donors], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    monkeypatch.setattr(module, "swap_face", lambda own, points, other, *rest: taken.append(other[0, 0, 0]))
    groups = ["kin", "kin", "a", "b", "c", "d", "e", "f", "far"]
    donors = shard(groups, [0, 0, 1, 1, 2, 2, 3, 9, 20])
    for seed in range(60):
        assert donors.swapped("0", rng(seed)) is None
    assert {*map(int, taken)} == {2, 3, 4, 5, 6}  # the five nearest; 1 is kin, 7 and 8 are far


def test_fakes_and_crops_without_a_face_give_and_get_none(shard: Callable[..., Donors]) -> None:
    donors = shard(["a", "b", "c"], [0, None, 0], [REAL, REAL, FAKE])
    assert {*donors.place} == {"0"}
    assert [donors.swapped(name, rng(0)) for name in "012"] == [None] * 3  # "0" is alone
    assert Donors.of([]).swapped("0", rng(0)) is None


def test_a_swapped_view_depends_on_picture_number_and_seed(shard: Callable[..., Donors]) -> None:
    donors = shard(list("abcdef"), [0.0] * 6)
    view = View(SWAPPED, 1)
    once, again = (make_swapped_view(donors, view, "wild", "0", 7) for _ in range(2))
    assert once is not None and once.shape == (SIDE, SIDE, 3) and once.dtype == np.uint8
    np.testing.assert_array_equal(once, again)
    others = [
        make_swapped_view(donors, *rest)
        for rest in (
            (View(SWAPPED, 2), "wild", "0", 7),
            (view, "wild", "1", 7),
            (view, "wild", "0", 8),
        )
    ]
    assert all(other is not None and not np.array_equal(other, once) for other in others)
