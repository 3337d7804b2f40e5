"""The shortcut audit finds and names planted differences, and is at chance without a difference."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import tiny_params
from PIL import Image, ImageFilter, ImageOps

from deepfake.audit.audit import Measured, grouped_folds, judge
from deepfake.audit.names import BORDER, FAMILIES, place
from deepfake.audit.report import audit_rows, plot_audit, require_no_shortcut
from deepfake.audit.shortcuts import border, measure, sharpness
from deepfake.base.errors import ParamsError, ValidationFailed
from deepfake.base.labels import FAKE
from deepfake.base.parameters import parse_params
from deepfake.media.container import container_facts
from deepfake.params.audit import Audit
from deepfake.params.ingest.limits import Limits
from deepfake.params.whole import Params
from deepfake.shards.sample import sample_rows

LIMITS = Limits(max_bytes=10**6, max_pixels=10**6, min_side=32)
PARAMS = Audit(warn=0.6, stop=0.9, acknowledged=(), folds=5, bootstrap_resamples=100, max_pictures=1000)
EACH, SIDE = 60, 64


def scene(seed: int) -> Image.Image:
    """Soft coloured blobs with some grain: all are different pictures of the same kind."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 215, (4, 4, 3), dtype=np.uint8)).resize((SIDE, SIDE))
    grain = rng.normal(0, rng.uniform(2, 4), (SIDE, SIDE, 3))
    return Image.fromarray((np.asarray(coarse) + grain).clip(0, 255).astype(np.uint8))


def encode(picture: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, **({"format": "JPEG", "quality": 90} | options))
    return buffer.getvalue()


def exif() -> Image.Exif:
    block = Image.Exif()
    block[0x010F] = "camera"
    return block


def brighter(picture: Image.Image) -> Image.Image:
    return picture.point(lambda value: min(255, value + 40))


def marked(picture: Image.Image) -> Image.Image:
    pixels = np.asarray(picture).copy()
    pixels[-6:-2, -16:-2:2] = 0
    return Image.fromarray(pixels)


def upsampled(picture: Image.Image) -> Image.Image:
    """The scene, shrunk to half and enlarged again, as a generator's last layer does."""
    return picture.resize((SIDE // 2, SIDE // 2)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def blurred(picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(1.0))


def audit_of(real: Any, fake: Any, params: Audit = PARAMS, pairs: bool = False) -> dict[str, Any]:
    """Audit of EACH pictures per class; `real` and `fake` turn a scene into bytes."""
    sample, measures = measured(real, fake, pairs)
    return judge(Measured("raw", sample, measures, FAMILIES, 2 * EACH), params, seed=3)


def measured(real: Any, fake: Any, pairs: bool = False) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    files = [real(scene(i)) for i in range(EACH)]
    files += [fake(scene(i if pairs else EACH + i)) for i in range(EACH)]
    groups = [f"g{i % EACH if pairs else i}" for i in range(2 * EACH)]
    sample = pd.DataFrame({"label": np.repeat([0, 1], EACH), "group": groups})
    sample["source"] = np.where(sample["label"] == FAKE, "maker", "camera")
    found = [measure(data, LIMITS) for data in files]
    return sample, {family: np.stack([one[family] for one in found]) for family in FAMILIES}


@pytest.fixture(scope="module")
def alike() -> list[dict[str, Any]]:
    """Audits of one set of pictures, all made in the same way, with eight random labellings."""
    sample, measures = measured(encode, encode)
    rng, audits = np.random.default_rng(0), []
    for _ in range(8):
        audits.append(judge(Measured("raw", sample, measures, FAMILIES, len(sample)), PARAMS, seed=3))
        sample = sample.assign(label=rng.permutation(sample["label"]))
    return audits


def test_without_a_difference_the_audit_is_at_chance(alike: list[dict[str, Any]]) -> None:
    rows = [row for audit in alike for row in audit_rows(audit)]
    # Not 0.025, as for exact 95 % intervals: `judge` says what the bootstrap does not resample.
    assert np.mean([row["low"] > 0.5 for row in rows]) <= 0.2
    assert 0.45 <= np.mean([row["auc"] for row in rows]) <= 0.55
    assert all(row["status"] != "stop" for row in rows)
    assert alike[0]["families"]["container"]["sentences"] == []


def test_shuffled_labels_are_chance() -> None:
    rng = np.random.default_rng(1)
    sample = pd.DataFrame({"label": rng.permutation(np.repeat([0, 1], 150)), "source": "all"})
    sample["group"] = [f"g{i}" for i in range(300)]
    strong = np.repeat([0.0, 1.0], 150)[:, None]
    measures = {f: strong + rng.normal(0, 0.1, (300, len(v))) for f, v in FAMILIES.items()}
    for row in audit_rows(judge(Measured("raw", sample, measures, FAMILIES, 300), PARAMS, 3)):
        assert row["low"] <= 0.5, row


@pytest.mark.parametrize(
    ("family", "make", "words"),
    [
        ("container", lambda p: encode(p, quality=75), "JPEG quality"),
        ("container", lambda p: encode(p, exif=exif()), "EXIF block"),
        ("container", lambda p: encode(p, format="PNG"), "ile format"),
        ("container", lambda p: encode(p, icc_profile=b"x" * 200), "ICC profile"),
        ("container", lambda p: encode(p.resize((80, 80))), "in pixels"),
        ("thumbnail", lambda p: encode(brighter(p)), "of the thumbnail"),
        ("border", lambda p: encode(marked(p)), "bottom right corner, more than"),
        ("border", lambda p: encode(ImageOps.mirror(marked(p))), "bottom left corner, more than"),
        ("spectrum", lambda p: encode(upsampled(p)), "Nyquist"),
        ("sharpness", lambda p: encode(blurred(p)), "AUC"),
    ],
)
def test_a_planted_difference_is_found_and_named(family: str, make: Any, words: str) -> None:
    found = audit_of(encode, make)["families"][family]
    assert found["auc"]["low"] > 0.7, found["auc"]
    assert 1 <= len(found["sentences"]) <= 5
    assert any(words in sentence for sentence in found["sentences"]), found["sentences"]
    aucs = [float(s.split("AUC ")[1][:4]) for s in found["sentences"]]
    assert aucs == sorted(aucs, reverse=True)


def mixed_jpeg(picture: Image.Image) -> bytes:
    """JPEG at one of 36 qualities, so that most pictures differ in their quantisation table."""
    return encode(picture, quality=60 + int(np.asarray(picture).sum()) % 36)


@pytest.mark.parametrize("turned", [False, True])
def test_facts_that_one_side_alone_has_are_told_as_just_that(turned: bool) -> None:
    makers = [mixed_jpeg, lambda p: encode(p, format="PNG")]
    found = audit_of(*(makers[::-1] if turned else makers))["families"]["container"]
    said = "all of the fake pictures have it, none" if turned else "none of the fake pictures have it, all"
    assert f"JPEG quality tells real from fake with AUC 1.00: {said} of the real" in found["sentences"]
    tables = next(row for row in found["features"] if row["feature"] == "tables")
    assert tables["auc"] == 1.0 and said in tables["says"]


def test_a_fact_of_few_pictures_of_one_side_is_no_strong_claim() -> None:
    def few(picture: Image.Image) -> bytes:
        return (
            mixed_jpeg(picture)
            if int(np.asarray(picture).sum()) % 5 == 0
            else encode(picture, format="PNG")
        )

    found = audit_of(few, lambda p: encode(p, format="PNG"))["families"]["container"]
    quality = next(row for row in found["features"] if row["feature"] == "jpeg_quality")
    assert 0.5 < quality["auc"] < 0.7 and "none of the fake pictures have it" in quality["says"]


def test_groups_never_straddle_folds() -> None:
    rng = np.random.default_rng(0)
    sample = pd.DataFrame({"label": rng.integers(0, 2, 200)})
    sample["group"] = [f"g{number}" for number in rng.integers(0, 30, 200)]
    scored = []
    for fit, held_out in grouped_folds(sample, 5, seed=1):
        assert not set(sample["group"].iloc[fit]) & set(sample["group"].iloc[held_out])
        scored += [*held_out]
    assert sorted(scored) == list(range(200))


def test_pairs_of_one_group_do_not_help_each_other() -> None:
    for row in audit_rows(audit_of(encode, encode, pairs=True)):
        assert row["low"] <= 0.5, row


def test_a_sample_is_bounded_even_and_independent_of_order() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"image_id": [f"{i:04d}" for i in rng.permutation(900)], "label": 0})
    rows.loc[600:, "label"] = 1
    rows["source"] = np.where(rows.index % 3 == 0, "a", "b")
    rows["group"] = rows["image_id"].str[:3]
    chosen = sample_rows(rows, 300, seed=5)
    assert len(chosen) <= 300
    assert abs(int(chosen["label"].sum()) - 150) <= 4
    assert abs((chosen["source"] == "a").mean() - 1 / 3) < 0.02
    pd.testing.assert_frame_equal(chosen, sample_rows(rows.sample(frac=1, random_state=1), 300, seed=5))
    assert set(sample_rows(rows, 300, seed=6)["image_id"]) != set(chosen["image_id"])
    assert len(sample_rows(rows, 5000, seed=5)) == 900


def test_above_the_limit_stops_unless_acknowledged_by_name() -> None:
    def quality(picture: Image.Image) -> bytes:
        return encode(picture, quality=70)

    audit = audit_of(encode, quality)
    with pytest.raises(ValidationFailed, match=r"raw/container .*AUC 1\.000.*JPEG.*audit\.acknowledged"):
        require_no_shortcut(audit)
    names = tuple(row["name"] for row in audit_rows(audit) if row["status"] == "stop")
    known = audit_of(encode, quality, PARAMS.model_copy(update={"acknowledged": names}))
    assert known["families"]["container"]["status"] == "acknowledged"
    require_no_shortcut(known)


def test_an_unknown_family_cannot_be_acknowledged() -> None:
    with pytest.raises(ParamsError, match=r"audit\.acknowledged\.0.*raw/container.*got 'raw/exif'"):
        parse_params(Params, tiny_params(**{"audit.acknowledged": ["raw/exif"]}), origin="x")


def test_the_figure_of_two_audits_is_byte_stable(alike: list[dict[str, Any]], tmp_path: Any) -> None:
    for name in ("one.png", "again.png"):
        plot_audit([alike[0], alike[1] | {"stage": "crops"}], tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "again.png").read_bytes()


def test_container_facts_are_those_the_file_was_written_with() -> None:
    facts = container_facts(
        encode(scene(1), quality=83, subsampling="4:2:2", progressive=True, exif=exif()), LIMITS
    )
    assert (facts.header.jpeg_quality, facts.subsampling, facts.progressive) == (83, "4:2:2", True)
    assert (facts.header.has_exif, facts.has_icc, facts.has_xmp) == (True, False, False)
    same, other = (container_facts(encode(scene(2), quality=q), LIMITS) for q in (83, 84))
    assert facts.tables == same.tables != other.tables
    png = container_facts(encode(scene(1), format="PNG"), LIMITS)
    assert (png.tables, png.subsampling, png.luminance_step) == (None, None, None)


def test_vectors_have_a_name_for_every_number() -> None:
    for data in (encode(scene(1)), encode(scene(1).convert("L").resize((33, 47)), format="PNG")):
        for family, vector in measure(data, LIMITS).items():
            assert vector.shape == (len(FAMILIES[family]),)
            assert len({f.name for f in FAMILIES[family]}) == len(vector)


def test_places_are_words() -> None:
    assert place(31, 31, 32) == "bottom right corner"
    assert (place(0, 3, 8), place(4, 7, 8), place(4, 4, 8)) == ("top edge", "right edge", "middle")
    gain = border(np.asarray(marked(scene(1)))) - border(np.asarray(scene(1)))
    assert "bottom right corner" in BORDER[int(gain.argmax())].words


def test_sharpness_and_noise_follow_blur_noise_and_jpeg() -> None:
    plain = np.asarray(scene(1))
    sharp, _, noise, blocks = sharpness(plain)
    assert sharpness(np.asarray(blurred(scene(1))))[0] < sharp - 1
    grain = np.random.default_rng(0).normal(0, 8, (SIDE, SIDE, 1))  # variances add
    noisy = sharpness((plain + grain).clip(0, 255).astype(np.uint8))[2]
    assert noisy == pytest.approx(np.hypot(8, noise), rel=0.05)
    coded = Image.open(io.BytesIO(encode(scene(1), quality=20)))
    assert sharpness(np.asarray(coded))[3] > blocks + 0.2


def test_the_figure_places_families_by_name_whatever_their_order(tmp_path: Path) -> None:
    values = {"border": 0.6, "container": 0.9, "thumbnail": 0.7}
    families = {
        name: {"auc": {"value": v, "low": v, "high": v}, "status": "passed", "sentences": []}
        for name, v in values.items()
    }
    turned = dict(reversed(families.items()))
    limits = {"warn": 0.6, "stop": 0.9}
    for number, after in enumerate((families, turned)):
        audits = [
            {"stage": stage, "limits": limits, "families": found}
            for stage, found in (("raw", families), ("crops", after))
        ]
        plot_audit(audits, tmp_path / f"{number}.png")
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "1.png").read_bytes()


def test_an_audit_read_from_its_file_keeps_the_order_of_families() -> None:
    found = {"auc": {"value": 0.5, "low": 0.4, "high": 0.6}, "status": "passed", "sentences": []}
    audit = {"stage": "raw", "families": dict.fromkeys(sorted(FAMILIES), found)}
    assert [row["family"] for row in audit_rows(audit)] == [*FAMILIES], "one figure shows two audits"
