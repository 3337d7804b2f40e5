"""The explanation that a model's users see, and how good it is, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MIN_PICTURES = 8  # with fewer, the interval says nothing
# Maps that agree this much with those of a network with shuffled weights show the picture, not the model.
MAX_RANDOMISED = 0.5
RULE = (
    "The chosen method has the largest insertion minus deletion. It must beat a random and a centred map "
    "on the same pictures (the whole 95 % interval of the paired difference is above 0). Its maps must "
    f"change if the learned weights are shuffled (mean rank correlation at most {MAX_RANDOMISED}). "
    f"With fewer than {MIN_PICTURES} pictures, no method is chosen."
)


@dataclass(frozen=True)
class Explanation:
    """The explanation that a model's users see.

    Attributes:
        method: a key of `METHODS`; None: no method beat the random and the centred map.
        pictures: number of test fakes behind the scores.
        speed_up: the fall of the score when the method's places are deleted, relative to random places;
            None: not measured.
        absent: reason for no method, if it is not the result of the test.
    """

    method: str | None
    pictures: int
    speed_up: float | None
    absent: str = ""

    @classmethod
    def from_metrics(cls, metrics: Mapping[str, Any]) -> Explanation:
        """From the metrics that the stage explain wrote."""
        best = metrics["best"]
        speed_up = None if best is None else metrics["methods"][best]["speed_up"]
        return cls(best, metrics["pictures"]["scored"], speed_up)

    @property
    def sentence(self) -> str:
        """The method and its score, or the reason why there is none."""
        if self.method is None:
            return self.absent or no_method(self.pictures)
        from deepfake.explain.methods import TITLES  # imports Keras, which judging does not need

        pace = ""
        if self.speed_up is not None:
            pace = f"without its places the score falls {self.speed_up:.1f} times as fast as at random, "
        return f"{TITLES[self.method]}: {pace}on {self.pictures} test fakes that the model recognised."


def reasons_against(scores: Mapping[str, Any], pictures: int) -> list[str]:
    """Reasons not to show a method; empty: it may be shown."""
    if pictures < MIN_PICTURES:
        return ["too few pictures"]
    found = []
    if scores["gain"]["low"] <= 0.0:
        found.append(f"no better than the {scores['rival']} map")
    if scores["randomised_full"]["value"] > MAX_RANDOMISED:
        found.append("maps hardly change when the learned weights are shuffled")
    return found


def choose(methods: Mapping[str, Mapping[str, Any]], pictures: int) -> str | None:
    """The best method by `RULE`."""
    fit = [name for name, scores in methods.items() if not reasons_against(scores, pictures)]
    return max(fit, key=lambda name: methods[name]["faithfulness"]["value"], default=None)


def gains(methods: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Each scored method's lead over the better of the random and the centred map."""
    return {name: scores["gain"]["value"] for name, scores in methods.items() if "gain" in scores}


def no_method(pictures: int) -> str:
    """The text that replaces a heat map."""
    if pictures < MIN_PICTURES:
        return f"No heat map: too few recognised test fakes ({pictures}) to test an explanation on."
    return (
        "No heat map: no explanation method beat a random and a centred map for this model "
        f"({pictures} test fakes)."
    )
