"""The demo corpus: reproducible, balanced, and without a shortcut in the files themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from deepfake.demo.corpus import (
    QUALITY,
    contact_sheet,
    generator_of,
    make_pair,
    write_corpus,
)
from deepfake.demo.generators import GENERATORS

PORTRAITS, SIZE, SEED = 9, 96, 5


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_corpus(folder, portraits=PORTRAITS, size=SIZE, seed=SEED)
    return folder


def _both(index: int) -> tuple[np.ndarray, np.ndarray]:
    real, fake = make_pair(SEED, index, SIZE)
    return real, fake.pixels


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*.jpg")}


def test_bytes_do_not_depend_on_the_number_of_workers(corpus: Path, tmp_path: Path) -> None:
    write_corpus(tmp_path, portraits=PORTRAITS, size=SIZE, seed=SEED, workers=2)
    assert _contents(tmp_path) == _contents(corpus)


def test_a_picture_does_not_depend_on_how_many_are_made(corpus: Path, tmp_path: Path) -> None:
    write_corpus(tmp_path, portraits=2, size=SIZE, seed=SEED)
    every = _contents(corpus)
    few = _contents(tmp_path)
    assert len(few) == 4
    assert all(every[name] == content for name, content in few.items())


def test_another_seed_gives_other_pictures() -> None:
    first, second = make_pair(SEED, 0, SIZE)[0], make_pair(SEED + 1, 0, SIZE)[0]
    assert np.abs(first.astype(int) - second.astype(int)).mean() > 5


def test_classes_are_balanced_and_named_by_portrait(corpus: Path) -> None:
    names = [f"{index:05d}.jpg" for index in range(PORTRAITS)]
    assert sorted(f.name for f in (corpus / "real" / "camera").iterdir()) == names
    fakes = sorted((corpus / "fake").rglob("*.jpg"), key=lambda f: f.name)
    assert [f.name for f in fakes] == names
    assert [f.parent.name for f in fakes] == [generator_of(i) for i in range(PORTRAITS)]
    counts = [sum(f.parent.name == name for f in fakes) for name in GENERATORS]
    assert max(counts) - min(counts) <= 1


def test_files_of_both_classes_are_alike(corpus: Path) -> None:
    for file in corpus.rglob("*.jpg"):
        with Image.open(file) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (SIZE, SIZE))
            assert JpegImagePlugin.get_sampling(image) == 0  # 4:4:4
            assert not image.getexif()
            assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_jpeg_quality_stays_in_its_range(corpus: Path) -> None:
    def table(quality: int) -> int:
        return max(1, (50 + 16 * (200 - 2 * quality)) // 100)  # first luma entry is 16

    low, high = table(QUALITY[1]), table(QUALITY[0])
    for file in corpus.rglob("*.jpg"):
        with Image.open(file) as image:
            assert low <= image.quantization[0][0] <= high  # type: ignore[attr-defined]


@pytest.mark.parametrize("index", range(8))
def test_generators_change_the_picture_inside_their_mask_only(index: int) -> None:
    real, fake = make_pair(SEED, index, SIZE)
    assert real.dtype == fake.pixels.dtype == np.uint8
    assert real.shape == fake.pixels.shape == (SIZE, SIZE, 3)
    assert fake.mask.dtype == np.float32 and fake.mask.shape == (SIZE, SIZE)
    assert fake.mask.min() >= 0.0 and 0.5 < fake.mask.max() <= 1.0
    change = np.abs(real.astype(int) - fake.pixels.astype(int)).max(axis=2)
    assert change[fake.mask == 0].max(initial=0) == 0
    assert change[fake.mask > 0.5].mean() > 1.0
    if generator_of(index) in {"swap", "edit"}:
        assert 0.01 < (fake.mask > 0.5).mean() < 0.5


def test_fakes_keep_the_mean_colour_and_the_power_of_their_originals() -> None:
    for index in range(4):
        real, fake = (p.astype(float) for p in _both(index))
        assert np.abs(real.mean(axis=(0, 1)) - fake.mean(axis=(0, 1))).max() < 5
        ratio = np.diff(fake.mean(axis=2)).std() / np.diff(real.mean(axis=2)).std()
        assert 0.7 < ratio < 1.4


def test_contact_sheet_has_a_row_for_the_real_and_each_generator(corpus: Path) -> None:
    sheet = contact_sheet(corpus, columns=3)
    assert sheet.shape == ((1 + len(GENERATORS)) * SIZE, 3 * SIZE, 3)
    assert sheet.dtype == np.uint8
    first = np.asarray(Image.open(corpus / "real" / "camera" / "00000.jpg"))
    assert np.array_equal(sheet[:SIZE, :SIZE], first)


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="even"):
        write_corpus(tmp_path, portraits=1, size=97, seed=0)
    with pytest.raises(FileNotFoundError, match="write_corpus"):
        contact_sheet(tmp_path / "empty")
