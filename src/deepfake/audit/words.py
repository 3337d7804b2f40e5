"""Sentences that say which features of a family tell real from fake."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from deepfake.audit.names import Feature
from deepfake.base.labels import FAKE, LABEL_NAMES, REAL

_MAX_SENTENCES = 5
_MAX_SOURCES = 20  # so many sources are examined one by one, the largest first
_MAX_FEATURES = 20  # rows of a family's table, the strongest first
_CARRIED = 0.15  # if one source has an AUC so much above that of all fakes, it is named instead of them
_MORE = 0.05  # a second sentence on a feature needs an AUC so much above that of the first
_SAME = 0.02  # a common value says more than a median: it wins if its AUC is at most this much lower


@dataclass(frozen=True)
class Claim:
    """One feature that tells some pictures (of one source, or all fakes) from the other class.

    Attributes:
        order: position of the feature in the family; of two equally strong claims the first is used.
        auc: the AUC of this feature alone, 0.5..1.
        who: the source, or None for all fakes.
    """

    feature: Feature
    order: int
    auc: float
    who: str | None
    text: str


def describe(
    features: Sequence[Feature], values: np.ndarray, sample: pd.DataFrame, warn: float
) -> dict[str, Any]:
    """The strongest sentences of a family, at most five, and its feature table.

    Args:
        values: float [pictures, features]; nan if a picture does not have the feature.
        sample: rows with `label` and `source`.
        warn: a feature with a lower AUC gets no sentence.
    """
    labels = sample["label"].to_numpy()
    overall = _claims(features, values, labels == FAKE, labels == REAL, None, FAKE)
    single: list[Claim] = []
    sources = sample.groupby(["label", "source"]).size().sort_values(ascending=False, kind="stable")
    for label, source in sources.index[:_MAX_SOURCES]:
        inside = (labels == label) & (sample["source"] == source).to_numpy()
        claims = _claims(features, values, inside, labels != label, source, int(label))
        single += _first_by(claims, _topic)
    chosen = _choose(overall, single, warn)
    table = [
        {"feature": c.feature.name, "words": c.feature.words, "auc": round(c.auc, 4), "says": c.text}
        for c in sorted(overall, key=_rank)[:_MAX_FEATURES]
    ]
    return {"sentences": [claim.text for claim in chosen], "features": table}


def _choose(overall: list[Claim], single: list[Claim], warn: float) -> list[Claim]:
    """The strongest claim of every topic: about all fakes, or about the one source that explains it.

    Claims about more sources follow, up to `_MAX_SENTENCES` claims.
    """
    carriers = {_topic(claim): claim for claim in _first_by(single, _topic)}
    told = []
    for claim in _first_by(overall, _topic):
        carrier = carriers[_topic(claim)]
        carried = claim.auc <= warn or carrier.auc > claim.auc + _CARRIED
        told.append(carrier if carried else claim)
    told = sorted((claim for claim in told if claim.auc > warn), key=_rank)[:_MAX_SENTENCES]
    known = {claim.feature.name: claim.auc + _MORE for claim in told}
    more = [
        claim
        for claim in _first_by(single, _source)
        if claim.auc > max(warn, known.get(claim.feature.name, 0.0))
        and claim.who not in {other.who for other in told}
    ]
    return sorted([*told, *more[: _MAX_SENTENCES - len(told)]], key=_rank)


def _first_by(claims: Iterable[Claim], key: Callable[[Claim], str]) -> list[Claim]:
    """The strongest claim of every key, strongest first."""
    best: dict[str, Claim] = {}
    for claim in sorted(claims, key=_rank):
        best.setdefault(key(claim), claim)
    return list(best.values())


def _topic(claim: Claim) -> str:
    return claim.feature.topic or claim.feature.words


def _source(claim: Claim) -> str:
    return claim.who or ""


def _rank(claim: Claim) -> tuple[float, int, str]:
    return (-round(claim.auc, 6), claim.order, claim.who or "")


def _claims(
    features: Sequence[Feature],
    values: np.ndarray,
    inside: np.ndarray,
    outside: np.ndarray,
    source: str | None,
    label: int,
) -> list[Claim]:
    """One claim per feature: these pictures compared with all pictures of the other class."""
    who = f"{source} ({LABEL_NAMES[label]})" if source else f"the {LABEL_NAMES[label]} pictures"
    other = f"the {LABEL_NAMES[FAKE if label == REAL else REAL]}"
    ours, theirs = values[inside], values[outside]
    above = _rank_auc(ours, theirs)
    found = []
    for number, feature in enumerate(features):
        a, b = ours[:, number], theirs[:, number]
        mirrored = bool(feature.mirror_words) and above[number] < 0.5
        words, sign = (feature.mirror_words, -1.0) if mirrored else (feature.words, 1.0)
        options = [*_on_one_side(a, b, who, other)] or [*_by_value(feature, a, b, who, other)]
        if not feature.is_category and not np.isnan(a).all() and not np.isnan(b).all():
            ours_mid, theirs_mid = sign * np.nanmedian(a), sign * np.nanmedian(b)
            text = f"median {_number(ours_mid)} against {_number(theirs_mid)} of {other}"
            options.append((max(above[number], 1.0 - above[number]), text))
        auc, text = max(options, key=lambda option: option[0])
        target = f"{who} from {other}" if source else "real from fake"
        sentence = f"{words} tells {target} with AUC {auc:.2f}: {text}"
        found.append(Claim(feature, number, float(auc), source, sentence[0].upper() + sentence[1:]))
    return found


def _rank_auc(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Per feature, the chance that ours is above theirs (Mann-Whitney); float64 [features]."""
    ranks = rankdata(np.nan_to_num(np.concatenate([ours, theirs]), nan=-np.inf), axis=0)
    n, m = len(ours), len(theirs)
    return np.asarray((ranks[:n].mean(axis=0) - (n + 1) / 2) / m)


def _on_one_side(ours: np.ndarray, theirs: np.ndarray, who: str, other: str) -> Iterator[tuple[float, str]]:
    """AUC and text, if only the pictures of one side have the feature."""
    inside, outside = (float(np.mean(~np.isnan(column))) for column in (ours, theirs))
    if (inside == 0.0) != (outside == 0.0):
        text = f"{_share(inside)} of {who} have it, {_share(outside)} of {other}"
        yield 0.5 + abs(inside - outside) / 2, text


def _by_value(
    feature: Feature, ours: np.ndarray, theirs: np.ndarray, who: str, other: str
) -> Iterator[tuple[float, str]]:
    """AUC and text of one common value. For a quantity, more than half of the pictures must have it."""
    kinds, counts = np.unique(ours, return_counts=True)
    yes_no = feature.values == ("no", "yes")
    value = 1.0 if yes_no else kinds[counts.argmax()]
    inside, outside = (float(_equal(column, value).mean()) for column in (ours, theirs))
    if feature.is_category or inside > 0.5:
        auc = 0.5 + abs(inside - outside) / 2
        bonus = 0.0 if feature.is_category else _SAME
        what = "have one" if yes_no else f"have {_value(feature, value)}"
        text = f"{_share(inside)} of {who} {what}, {_share(outside)} of {other}"
        yield min(auc + bonus, 1.0) if auc > 0.5 + bonus else auc, text


def _equal(column: np.ndarray, value: float) -> np.ndarray:
    return np.isnan(column) if np.isnan(value) else column == value


def _value(feature: Feature, value: float) -> str:
    if np.isnan(value):
        return "none"
    if feature.named_by_hash:
        return f"{int(value):08x}"
    return feature.values[int(value)] if feature.values else _number(value)


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _share(share: float) -> str:
    return "all" if share == 1.0 else "none" if share == 0.0 else f"{100 * share:.3g} %"
