"""What a reader must know in ten seconds: what the model cannot do, in sentences, from the figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deepfake.report.words import percent, spoken

EVALUATION, DATA = "evaluate/metrics.json", "data"


def limits(facts: Mapping[str, Any]) -> list[str]:
    """Sentences for the top of the page: the data's, the evaluation's, then those that facts bring."""
    found = [*_of_data(facts.get(DATA)), *_of_evaluation(facts.get(EVALUATION))]
    return found + [sentence for given in facts.values() for sentence in given.get("limits", ())]


def _of_data(data: Mapping[str, Any] | None) -> Iterator[str]:
    if data is None:
        return
    if {source["kind"] for source in data["sources"]} == {"synthetic"}:
        yield "It has seen rendered portraits only: what it says of a photograph means nothing."
    if told := [row["family"] for row in data["audits"]["face crops"] if row["status"] != "passed"]:
        yield (
            f"Its figures may be of the data instead of forgery: {', '.join(told)} of the crops alone "
            "tells real from fake (shortcut audit)."
        )


def _of_evaluation(table: Mapping[str, Any] | None) -> Iterator[str]:
    if table is None:
        return
    yield from _worst_parts(table)
    yield from _no_better(table)
    yield from _at_threshold(table)
    yield from _abstaining(table)
    few = table["low_fpr"]["tpr_at_01pct_fpr"]
    if few["allowed_alarms"] == 0:
        yield (
            f"Nothing is known of it at a false-positive rate of 0.1 %: that takes 1,000 real test "
            f"pictures, and there are {few['reals']:,}."
        )


def _worst_parts(table: Mapping[str, Any]) -> Iterator[str]:
    measured = {
        name: row for name, row in table["per_generator"].items() if row["auc"]["value"] is not None
    }
    if measured:
        name, row = min(measured.items(), key=lambda item: item[1]["auc"]["value"])
        auc = "AUC {value:.2f} [{low:.2f}, {high:.2f}]".format(**row["auc"])
        caught = row.get("flagged_fake")
        rate = f"; {percent(1 - caught['value'], 0)} are not called fake" if caught else ""
        yield f"Weakest on fakes of {name}: {auc}, {row['pictures']:,} pictures{rate}."
    reals = [(row, name) for name, row in table["per_source"].items() if name.startswith("real/")]
    flagged = [(row["flagged_fake"]["value"], row, name) for row, name in reals if "flagged_fake" in row]
    if len(flagged) > 1:
        value, row, name = max(flagged, key=lambda item: (item[0], item[2]))
        yield (
            f"Hardest on real pictures of {name.removeprefix('real/')}: {percent(value, 0)} of "
            f"{row['pictures']:,} are called fake."
        )


def _no_better(table: Mapping[str, Any]) -> Iterator[str]:
    for name in table["detectors"][1:]:
        difference = table["differences"][name]
        low = difference["auc"]["low"]
        if low is not None and low <= 0.0:
            yield (
                f"It is not shown to beat the {spoken(name)}: AUC "
                "{value:+.3f} [{low:+.3f}, {high:+.3f}].".format(**difference["auc"])
            )


def _at_threshold(table: Mapping[str, Any]) -> Iterator[str]:
    figures = table["test"][table["detectors"][0]]
    precision = figures.get("precision_at_1pct_prevalence", {}).get("value")
    if precision is not None:
        yield (
            f"Where 1 picture in 100 is fake, {round(100 * (1 - precision))} of 100 that it calls fake "
            "are real."
        )


def _abstaining(table: Mapping[str, Any]) -> Iterator[str]:
    if "abstention" not in table:
        return
    found = table["abstention"]
    wrong = found["wrong_of_answered"]["value"]
    rest = "" if wrong is None else f"; of the verdicts it gives {percent(wrong)} are wrong"
    yield f"It gives no verdict on {percent(found['uncertain']['value'], 0)} of test pictures{rest}."
    for name, covered in found["coverage"].items():
        if covered["value"] is not None and covered["value"] < covered["from"]:
            yield (
                f"Its promise on {name} pictures does not hold on test: {percent(covered['value'])} are "
                f"covered, {percent(covered['stated'], 0)} were promised."
            )
