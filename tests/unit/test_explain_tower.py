"""Explanations of a frozen tower: gradients come from its twin, scores from the served model."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from explain_helpers import SIZE, TINY, TinyFrozen, checkerboard_net, no_detail
from model_helpers import noise, tower_or_skip

from deepfake.base.labels import Verdict
from deepfake.base.stage import write_json
from deepfake.bundle.predictor import FaceVerdict, Predictor
from deepfake.explain import scoring, tokens
from deepfake.explain.explain import twin_gap
from deepfake.explain.faithfulness import Faithful
from deepfake.explain.heat import logits, with_gradients
from deepfake.explain.methods import METHODS, methods_of, skipped
from deepfake.explain.references import encode_references, make_references, with_detail
from deepfake.explain.sanity import randomised
from deepfake.explain.scoring import Located, Samples, score_methods
from deepfake.networks.clip import token_sequences
from deepfake.networks.frozen import FrozenDetector


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> TinyFrozen:
    monkeypatch.setattr(tokens, "_BLOCK", 1)
    return TinyFrozen()


@pytest.mark.parametrize("name", methods_of(TinyFrozen()))
def test_every_method_gives_a_map_of_its_own_picture(name: str, tiny: TinyFrozen) -> None:
    crops = noise(3, SIZE)
    together = METHODS[name](tiny, crops, no_detail())
    assert together.shape == (3, SIZE, SIZE) and together.dtype == np.float32
    assert (together.min(axis=(1, 2)) == 0.0).all() and (together.max(axis=(1, 2)) == 1.0).all()
    np.testing.assert_allclose(METHODS[name](tiny, crops[1:2], no_detail())[0], together[1], atol=1e-3)


def test_a_method_that_does_not_apply_is_left_out_in_words() -> None:
    net = checkerboard_net()
    assert set(METHODS) - set(methods_of(net)) == {"attention-flow"}
    assert skipped(net) == ["Attention flow does not apply to a network with feature maps."]
    assert skipped(TinyFrozen()) == []
    with pytest.raises(ValueError, match="does not apply"):
        METHODS["attention-flow"](net, noise(1, SIZE), no_detail())


def test_places_of_the_last_block_have_no_part_in_the_logit(tiny: TinyFrozen) -> None:
    sequences = token_sequences(tiny.twin)
    assert len(sequences) == TINY.blocks + 1
    _, slopes = next(with_gradients(tiny.twin, sequences, noise(2, SIZE)))
    parts = [np.abs(tokens.grid(slope)).max() for slope in slopes]
    assert min(parts[:-2]) > 1e-4 and parts[-2:] == [0.0, 0.0]


def test_a_patch_that_is_like_the_class_token_has_the_logit_of_the_picture(tiny: TinyFrozen) -> None:
    """The hottest patch is the one whose tokens, as class tokens, give the highest logit."""
    crop = noise(1, SIZE)
    seen = tiny.sequences.predict_on_batch(crop)
    alone = [
        float(tiny.head(np.stack([part[:, place] for part in seen], axis=1))[0]) for place in range(17)
    ]
    assert alone[0] == pytest.approx(float(tiny.twin.predict_on_batch(crop)[0, 0]), abs=1e-3)
    heat = METHODS["patch-logits"](tiny, crop, no_detail())[0]
    cells = heat.reshape(4, 8, 4, 8).mean(axis=(1, 3)).ravel()
    assert int(cells.argmax()) == int(np.argmax(alone[1:]))


def test_attention_flow_adds_up_the_ways_to_the_class_token() -> None:
    """Two blocks: place 1 reaches the class token in block 0, and place 2 reaches it over place 1."""
    first, second = np.zeros((2, 1, 1, 3, 3), np.float32)
    first[0, 0, 0, 1], first[0, 0, 1, 2], second[0, 0, 0, 1] = 0.5, 0.25, 0.5
    ones = np.ones_like(first)
    np.testing.assert_allclose(tokens.followed([first, second], [ones, ones]), [[1.0, 0.125]])
    np.testing.assert_allclose(tokens.followed([first, second], [ones, -ones]), [[0.5, 0.0]])


def test_the_distance_of_the_twin_is_said_and_a_network_has_none(tiny: TinyFrozen) -> None:
    crops = noise(5, SIZE)
    apart = np.abs(tiny.twin.predict_on_batch(crops)[:, 0] - logits(tiny, crops))
    assert 0.0 < apart.mean() < 0.2
    gap = twin_gap(tiny, crops)
    assert gap == {
        "mean": pytest.approx(apart.mean(), abs=1e-3),
        "largest": pytest.approx(apart.max(), abs=1e-3),
    }
    assert twin_gap(checkerboard_net(), crops) is None and twin_gap(tiny, crops[:0]) is None


def test_the_methods_of_a_tower_are_scored_by_what_is_served(
    tiny: TinyFrozen, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    @contextmanager
    def other(model: object, seed: int, head_only: bool) -> object:
        yield TinyFrozen(5)

    monkeypatch.setattr(scoring, "randomised", other)
    crops = noise(9, SIZE)
    references = make_references(tiny, crops, seed=0)
    assert not references.any() and len(references) == 1, "nobody is in it"
    ends = [crops, with_detail(crops, references)]
    ends = ends if logits(tiny, ends[0]).mean() > logits(tiny, ends[1]).mean() else ends[::-1]
    top, bottom = (logits(tiny, each) for each in ends)
    groups = np.arange(9).astype(str)
    fakes = Faithful(*ends, top, bottom, groups).where(top > bottom + 0.05)
    located = Located(crops[:2], np.ones((2, SIZE, SIZE), bool), groups[:2])
    asked, served = [], TinyFrozen.predict_on_batch
    monkeypatch.setattr(TinyFrozen, "predict_on_batch", lambda me, x: asked.append(len(x)) or served(me, x))
    table, heats = score_methods(tiny, Samples(fakes, located), references, 3)
    assert set(table["methods"]) == set(heats) == set(METHODS)
    assert sum(asked) > 7 * 6 * len(fakes.crops), "deletion and insertion ask what is served"
    write_json(tmp_path / "facts.json", table)


def test_the_app_explains_a_frozen_detector(tiny: TinyFrozen, tmp_path: object) -> None:
    png = tmp_path / "references.png"
    png.write_bytes(encode_references(np.zeros((1, SIZE, SIZE, 3), np.float32)))
    predictor = Predictor.__new__(Predictor)
    predictor._model = predictor._reference = tiny
    face = FaceVerdict(0, 0.9, Verdict.FAKE, "", 0.5, crop=noise(1, SIZE)[0].astype(np.uint8))
    for method in (*methods_of(tiny), None):
        predictor.bundle = SimpleNamespace(explanation=SimpleNamespace(method=method), references=png)
        heat = predictor.explain(face)
        assert heat is None if method is None else heat.shape == (SIZE, SIZE) and heat.max() == 1.0


def test_a_real_tower_forgets_and_remembers() -> None:
    tower_or_skip()
    rng = np.random.default_rng(0)
    features = 2 * 768
    small = TinyFrozen().head
    head = type(small)(
        (8, 12), np.zeros(features, np.float32), np.ones(features, np.float32),
        rng.normal(size=(2, features)).astype(np.float32), np.zeros(2, np.float32),
        small.axes, small.centres,
    )  # fmt: skip
    model, crop = FrozenDetector(head), noise(1, 224)
    before, class_tokens = logits(model, crop), model.tokens(crop)
    with randomised(model, seed=1, head_only=True) as forgetful:
        np.testing.assert_array_equal(forgetful.tokens(crop), class_tokens)
        assert abs(logits(forgetful, crop) - before) > 0.1
    with randomised(model, seed=1) as forgetful:
        assert np.isfinite(logits(forgetful, crop)).all()
        assert np.corrcoef(forgetful.tokens(crop)[0, 8], class_tokens[0, 8])[0, 1] < 0.5
        twin = forgetful.twin.predict_on_batch(crop)
        assert np.isfinite(twin).all()
    np.testing.assert_array_equal(logits(model, crop), before)
