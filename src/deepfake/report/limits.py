"""The limits of the model in a few sentences from the figures, for a reader with ten seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deepfake.base.text import percent
from deepfake.report.words import spoken

EVALUATION, DATA = "evaluate/metrics.json", "data"


def limits(facts: Mapping[str, Any]) -> list[str]:
    """Sentences for the top of the page: about the data, the evaluation, then those in other facts."""
    found = [*_of_data(facts.get(DATA)), *_of_evaluation(facts.get(EVALUATION))]
    return found + [sentence for given in facts.values() for sentence in given.get("limits", ())]


def _of_data(data: Mapping[str, Any] | None) -> Iterator[str]:
    if data is None:
        return
    if {source["kind"] for source in data["sources"]} == {"synthetic"}:
        yield "It knows only rendered portraits: its verdicts on photographs mean nothing."
    if told := [row["family"] for row in data["audits"]["face crops"] if row["status"] != "passed"]:
        yield (
            f"Its figures may show a bias of the data and not forgery: {', '.join(told)} of the crops "
            "alone can tell real from fake (shortcut audit)."
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
            f"It is not measured at a false-positive rate of 0.1 %: this needs 1,000 real test pictures, "
            f"but there are {few['reals']:,}."
        )


def _worst_parts(table: Mapping[str, Any]) -> Iterator[str]:
    measured = {
        name: row for name, row in table["per_generator"].items() if row["auc"]["value"] is not None
    }
    if measured:
        name, row = min(measured.items(), key=lambda item: item[1]["auc"]["value"])
        auc = "AUC {value:.2f} [{low:.2f}, {high:.2f}]".format(**row["auc"])
        caught = row.get("flagged_fake")
        rate = f"; it calls {percent(caught['value'], 0)} of them fake" if caught else ""
        yield f"It is weakest on fakes of {name}: {auc}, {row['pictures']:,} pictures{rate}."
    reals = [(row, name) for name, row in table["per_source"].items() if name.startswith("real/")]
    flagged = [(row["flagged_fake"]["value"], row, name) for row, name in reals if "flagged_fake" in row]
    if len(flagged) > 1:
        value, row, name = max(flagged, key=lambda item: (item[0], item[2]))
        yield (
            f"It is hardest on real pictures of {name.removeprefix('real/')}: it calls {percent(value, 0)} "
            f"of {row['pictures']:,} fake."
        )


def _no_better(table: Mapping[str, Any]) -> Iterator[str]:
    for name in table["detectors"][1:]:
        difference = table["differences"][name]
        low = difference["auc"]["low"]
        if low is not None and low <= 0.0:
            yield (
                f"The test does not show that it beats the {spoken(name)}: AUC "
                "{value:+.3f} [{low:+.3f}, {high:+.3f}].".format(**difference["auc"])
            )


def _at_threshold(table: Mapping[str, Any]) -> Iterator[str]:
    figures = table["test"][table["detectors"][0]]
    precision = figures.get("precision_at_1pct_prevalence", {}).get("value")
    if precision is not None:
        yield (
            f"If 1 picture in 100 is fake, then {round(100 * (1 - precision))} of 100 pictures that it "
            "calls fake are real."
        )


def _abstaining(table: Mapping[str, Any]) -> Iterator[str]:
    if "abstention" not in table:
        return
    found = table["abstention"]
    wrong = found["wrong_of_answered"]["value"]
    rest = "" if wrong is None else f"; {percent(wrong, 1)} of its verdicts are wrong"
    yield f"It gives no verdict on {percent(found['uncertain']['value'], 0)} of test pictures{rest}."
    for name, covered in found["coverage"].items():
        if covered["value"] is not None and covered["value"] < covered["from"]:
            yield (
                f"Its promise for {name} pictures does not hold on test: {percent(covered['stated'], 0)} "
                f"coverage were promised, {percent(covered['value'], 1)} are measured."
            )
