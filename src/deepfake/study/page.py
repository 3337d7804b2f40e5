"""A study as tables, a plot, Markdown and one HTML page that needs only a browser."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2
import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deepfake.evaluation.metrics import Interval
from deepfake.params.study import Study
from deepfake.plots import QUIET, STYLE, save_figure
from deepfake.study.statistics import Draws


@dataclass(frozen=True)
class Table:
    """A titled table of text cells; `note` says how to read it."""

    title: str
    note: str
    frame: pd.DataFrame


def tables(study: Study, drawn: Mapping[str, Draws]) -> list[Table]:
    """What the study found.

    Args:
        study: its variants, the first being what the others are compared with.
        drawn: condition -> AUCs, the clean one first.
    """
    found = [_headline(drawn)]
    found += [_matrix(condition, draws) for condition, draws in drawn.items()]
    ablations = {name: v.without for name, v in study.variants.items() if v.without is not None}
    if ablations:
        found.append(_ablations(ablations, drawn))
    if any(len(variant.seeds) > 1 for variant in study.variants.values()):
        found.append(_seeds(drawn))
    return found


def _headline(drawn: Mapping[str, Draws]) -> Table:
    clean = next(iter(drawn.values()))
    first = clean.variants[0]
    rows = []
    for variant in clean.variants:
        if len(clean.generators(variant)) < len(clean.all_generators):
            continue  # a mean over fewer generators would stand beside means over all
        row = {"variant": variant}
        for condition, draws in drawn.items():
            row[f"mean AUC, {condition}"] = shown(draws.mean(variant))
            row[f"less {first}, {condition}"] = _paired(draws, variant, first) if variant != first else ""
        worst = min(clean.generators(variant), key=lambda name: clean.cell(variant, name).value)
        rows.append(row | {"worst generator": f"{worst} {clean.cell(variant, worst).value:.3f}"})
    note = (
        "Mean over generators of the AUC on fakes of a generator that training never saw, against the "
        "test split's real pictures, for variants that were tried on all. 95 % intervals over groups of "
        "pictures; differences are paired."
    )
    return Table("Unseen generators", note, pd.DataFrame(rows))


def _matrix(condition: str, draws: Draws) -> Table:
    """Worst generator first, by the mean of all variants."""
    average = {
        name: np.mean([draws.cell(v, name).value for v in draws.variants if name in draws.generators(v)])
        for name in draws.all_generators
    }
    rows = [
        {"held out": name}
        | {v: shown(draws.cell(v, name)) if name in draws.generators(v) else "–" for v in draws.variants}
        for name in sorted(average, key=lambda name: float(average[name]))
    ]
    return Table(f"Held-out generator by variant, {condition}", "Worst first.", pd.DataFrame(rows))


def _ablations(ablations: Mapping[str, str], drawn: Mapping[str, Draws]) -> Table:
    rows = []
    for name, whole in ablations.items():
        on = len(next(iter(drawn.values())).generators(name))
        row = {"variant": name, "compared with": whole, "generators": str(on)}
        for condition, draws in drawn.items():
            change = draws.difference(name, whole)
            row[condition] = shown(change, sign=True)
            row[f"reading, {condition}"] = _reading(change)
        rows.append(row)
    note = "Change of the mean AUC when one part is changed; an interval that covers zero is noise."
    return Table("One part at a time", note, pd.DataFrame(rows))


def _seeds(drawn: Mapping[str, Draws]) -> Table:
    rows = []
    for condition, draws in drawn.items():
        for variant in draws.variants:
            per_seed = [draws.spread[variant, name] for name in draws.generators(variant)]
            if len(per_seed[0]) > 1:
                means = np.mean(per_seed, axis=0)
                rows.append({
                    "variant": variant, "condition": condition, "seeds": str(len(means)),
                    "mean AUC of each": ", ".join(f"{mean:.3f}" for mean in means),
                })  # fmt: skip
    return Table("Seeds", "How far training alone moves the mean.", pd.DataFrame(rows))


def shown(interval: Interval, sign: bool = False) -> str:
    """`0.700 [0.650, 0.750]`; differences carry their sign."""
    form = "+.3f" if sign else ".3f"
    return f"{interval.value:{form}} [{interval.low:{form}}, {interval.high:{form}}]"


def _paired(draws: Draws, variant: str, first: str) -> str:
    return shown(draws.difference(variant, first), sign=True)


def _reading(change: Interval) -> str:
    if change.low > 0.0:
        return "helps"
    return "hurts" if change.high < 0.0 else "noise"


def to_markdown(title: str, lines: list[str], found: list[Table]) -> str:
    """The study as a document of tables, for a repository."""
    parts = [f"# {title}", *lines]
    for table in found:
        parts += [
            f"## {table.title}",
            table.note,
            table.frame.to_markdown(index=False, disable_numparse=True),
        ]
    return "\n\n".join(parts) + "\n"


def to_html(title: str, lines: list[str], found: list[Table], plot: bytes) -> str:
    """The same with the plot, without scripts, links or dates."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
    picture = f"data:image/png;base64,{base64.b64encode(plot).decode()}"
    return environment.from_string(template).render(title=title, lines=lines, tables=found, picture=picture)


def draw_matrix(draws: Draws, condition: str, path: Path) -> None:
    """AUC with interval per held-out generator, a colour per variant."""
    generators = draws.all_generators
    with matplotlib.rc_context(STYLE):
        canvas = Figure(
            figsize=(8.0, 1.6 + 0.28 * len(generators) * len(draws.variants)), layout="constrained"
        )
        axes = canvas.subplots()
        for number, variant in enumerate(draws.variants):
            names = draws.generators(variant)
            cells = [draws.cell(variant, name) for name in names]
            at = [generators.index(name) + 0.8 * number / len(draws.variants) - 0.3 for name in names]
            values = np.array([cell.value for cell in cells])
            reach = np.abs(np.array([[c.low for c in cells], [c.high for c in cells]]) - values)
            axes.errorbar(values, at, xerr=reach, fmt="o", markersize=4, label=variant)
        axes.axvline(0.5, color=QUIET, linestyle=":")
        axes.set(yticks=range(len(generators)), yticklabels=generators, xlabel="AUC", ylim=(-0.6, None))
        axes.set_title(f"Fakes of a generator that training never saw, {condition}")
        axes.invert_yaxis()
        canvas.legend(loc="outside lower center", ncols=3)
        save_figure(canvas, path)
