"""Gates: each can fail alone, and one failed gate keeps a model out of production."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from helpers import tiny_params

from deepfake.base.parameters import parse_params
from deepfake.registry import release as module
from deepfake.registry.release import TOLERANCE, ReleaseParams, check_gates, release

GATES = ("data_verdict", "test_auc", "smoke_prediction", "photographs")


@pytest.fixture
def params() -> ReleaseParams:
    return parse_params(ReleaseParams, tiny_params(**{"register.min_test_auc": 0.75}), origin="test")


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, dict[str, Any]]]:
    """The gates of a model: the verdict on its data, its AUC on test, and its gap between consumers."""

    def check(
        verdict: bool = True, auc: float = 0.9, gap: float = 0.0, rendered: bool = False
    ) -> dict[str, dict[str, Any]]:
        path = module.REPORTS / "validate/verdict.json"
        judged = SimpleNamespace(bundle=SimpleNamespace(only_rendered=rendered))
        monkeypatch.setattr(module, "read_json", {path: {"passed": verdict}}.__getitem__)
        monkeypatch.setattr(module, "smoke_gap", lambda one: {id(judged): gap}[id(one)])
        metrics = {"test": {"model": {"auc": {"value": auc}}}}
        return check_gates(0.75, metrics, judged)

    return check


@pytest.mark.parametrize(
    ("facts", "failed"),
    [
        ({}, None),
        ({"verdict": False}, "data_verdict"),
        ({"auc": 0.7499}, "test_auc"),
        ({"auc": 0.75}, None),  # the limit itself passes
        ({"gap": TOLERANCE}, "smoke_prediction"),
        ({"gap": TOLERANCE / 2}, None),
        ({"rendered": True}, "photographs"),
    ],
)
def test_each_gate_looks_at_its_own_fact(
    checked: Callable[..., dict[str, dict[str, Any]]], facts: dict[str, Any], failed: str | None
) -> None:
    gates = checked(**facts)
    assert {*gates} == {*GATES}
    assert [name for name, gate in gates.items() if not gate["passed"]] == ([failed] if failed else [])
    observed = {name: gate["observed"] for name, gate in gates.items()}
    assert observed == {
        "data_verdict": facts.get("verdict", True), "test_auc": facts.get("auc", 0.9),
        "smoke_prediction": failed != "smoke_prediction",
        "photographs": "trained on rendered pictures; never judges photographs" if facts.get("rendered")
        else "trained on photographs",
    }  # fmt: skip
    assert gates["test_auc"]["required"] == ">= 0.75"


class Registry:
    """The aliases of one model, for `release`."""

    def __init__(self, version: str | None, starter: bool) -> None:
        self.version, self.starter, self.held_back = version, starter, ""

    def alias_version(self, name: str, alias: str) -> SimpleNamespace | None:
        return None if self.version is None else SimpleNamespace(version=self.version)

    def promote(self, name: str, version: str, reason: str) -> None:
        self.version = version

    def has_starter(self) -> bool:
        return self.starter

    def register_starter(self, name: str) -> None:
        self.version = self.version or "1"

    def hold_back(self, name: str, version: str, why: str) -> None:
        self.held_back = why


@pytest.fixture
def released(
    params: ReleaseParams, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[module.Release, Registry]]:
    """Release version 2 with some failed gates, with or without a version in production."""

    def run(
        failed: tuple[str, ...], production: str | None, starter: bool = False
    ) -> tuple[module.Release, Registry]:
        registry = Registry(production, starter)
        gates = {name: {"passed": name not in failed, "observed": 0, "required": ""} for name in GATES}
        bundle = SimpleNamespace(folder=None, weights_sha256="weights")

        def check(limit: float, metrics: dict[str, Any], predictor: object) -> dict[str, Any]:
            assert (limit, metrics, predictor) == (0.75, {"test": {}}, bundle), (
                "the model is not what is judged"
            )
            return gates

        published: list[module.Publication] = []

        def publish(publication: module.Publication) -> SimpleNamespace:
            published.append(publication)
            return SimpleNamespace(version="2")

        monkeypatch.setattr(module, "Predictor", lambda one: one)
        for name in ("bundle_digest", "_artifacts", "flat_figures"):
            monkeypatch.setattr(module, name, lambda *_, **__: None)
        monkeypatch.setattr(module, "read_json", lambda _: {"test": {}})
        monkeypatch.setattr(module.pd, "read_csv", lambda _: None)
        monkeypatch.setattr(module, "read_params", dict)
        monkeypatch.setattr(module.Explanation, "from_metrics", lambda _: None)
        monkeypatch.setattr(module, "write_bundle", lambda *_: bundle)
        monkeypatch.setattr(module, "check_gates", check)
        monkeypatch.setattr(module, "publish", publish)
        for name in ("alias_version", "promote", "has_starter", "register_starter", "hold_back"):
            monkeypatch.setattr(module, name, getattr(registry, name))
        result = release(params)
        (publication,) = published
        assert (publication.weights_sha256, publication.name) == ("weights", params.register_.name)
        assert publication.description.endswith(f"gates failed: {', '.join(failed) or 'none'}")
        assert result.gates == gates
        return result, registry

    return run


@pytest.mark.parametrize("failed", [(name,) for name in GATES[:-1]] + [GATES])
def test_one_failed_gate_keeps_a_first_model_out_of_production(
    released: Callable[..., tuple[module.Release, Registry]], failed: tuple[str, ...]
) -> None:
    result, registry = released(failed, None)
    assert registry.version is None and not result.in_production and result.version == "2"


def test_a_first_model_that_passes_all_gates_goes_to_production(
    released: Callable[..., tuple[module.Release, Registry]],
) -> None:
    result, registry = released((), None)
    assert registry.version == "2" and result.in_production


def test_a_model_in_production_stays_there(
    released: Callable[..., tuple[module.Release, Registry]],
) -> None:
    result, registry = released((), "1")
    assert registry.version == "1" and not result.in_production


def test_a_model_of_rendered_pictures_stays_beside_the_starter(
    released: Callable[..., tuple[module.Release, Registry]],
) -> None:
    result, registry = released(("photographs",), None, starter=True)
    assert registry.version == "1" and not result.in_production
    assert registry.held_back == "trained on rendered pictures; never judges photographs"
    result, registry = released((), None, starter=True)
    assert registry.version == "1" and not registry.held_back  # both know photographs: a person decides


def test_where_nothing_else_is_a_model_of_rendered_pictures_serves(
    released: Callable[..., tuple[module.Release, Registry]],
) -> None:
    result, registry = released(("photographs",), None)
    assert registry.version == "2" and result.in_production and not registry.held_back
