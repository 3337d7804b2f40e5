"""Which explanation a model's users get to see, and what it is worth in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MIN_PICTURES = 8  # an interval of fewer says nothing
# Maps of a network without learned weights that agree this much with the trained one's show the picture.
MAX_RANDOMISED = 0.5
RULE = (
    "Largest insertion minus deletion of the methods that beat the better of a random and a centred map on "
    "the same pictures (whole 95 % interval of the paired difference above 0), and whose maps change when "
    f"the learned weights are shuffled (mean rank correlation at most {MAX_RANDOMISED}). None is chosen "
    f"from fewer than {MIN_PICTURES} pictures."
)


@dataclass(frozen=True)
class Explanation:
    """What a model's users get to see.

    Attributes:
        method: a key of `METHODS`; None: no method did better than a map that knows nothing.
        pictures: how many test fakes the scores rest on.
        speed_up: how many times faster the score falls when the method's places are deleted than at
            random; None where none was measured.
        absent: why there is none, where it was not the test that decided.
    """

    method: str | None
    pictures: int
    speed_up: float | None
    absent: str = ""

    @classmethod
    def from_metrics(cls, metrics: Mapping[str, Any]) -> Explanation:
        """From what the explain stage wrote."""
        best = metrics["best"]
        speed_up = None if best is None else metrics["methods"][best]["speed_up"]
        return cls(best, metrics["pictures"]["scored"], speed_up)

    @property
    def sentence(self) -> str:
        """The method and its score, or why there is none."""
        if self.method is None:
            return self.absent or no_method(self.pictures)
        from deepfake.explain.methods import TITLES  # and Keras with them: many judge, few explain

        pace = ""
        if self.speed_up is not None:
            pace = f"deleting what it marks lowers the score {self.speed_up:.1f} times as fast as random, "
        return f"{TITLES[self.method]}: {pace}on {self.pictures} test fakes that the model recognised."


def reasons_against(scores: Mapping[str, Any], pictures: int) -> list[str]:
    """Why a method may not be shown; empty: it may."""
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
    """What each method that was scored has over the better of the two maps that know nothing."""
    return {name: scores["gain"]["value"] for name, scores in methods.items() if "gain" in scores}


def no_method(pictures: int) -> str:
    """What is said in place of a heat map."""
    if pictures < MIN_PICTURES:
        return f"No heat map: too few recognised test fakes ({pictures}) to test an explanation on."
    return (
        "No heat map: no explanation method beat a random and a centred map for this model "
        f"({pictures} test fakes)."
    )


def limits(best: str | None, pictures: int) -> list[str]:
    """For the top of the report page: what explanations of this model cannot do."""
    return [] if best is not None else [no_method(pictures)]
