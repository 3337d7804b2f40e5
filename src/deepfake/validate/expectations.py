"""Expectations: Great Expectations (GX) checks tables; the results are put in words and name the rows.

They are used on the raw manifest (`validation`) and on the splits of the face manifest (`leakage`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

import great_expectations as gx
import pandas as pd
from great_expectations.data_context.types import base as gx_types

from deepfake.base.text import percent, visible

MAX_ROWS_NAMED = 10

Severity = Literal["critical", "warning"]
Tables = Mapping[str, pd.DataFrame]
Check = Any  # a GX expectation, or its configuration in a result; GX declares both fields as optional


@dataclass(frozen=True)
class Result:
    """The result of one expectation.

    Attributes:
        asserts: the expectation, as a sentence about the data.
        status: `skipped` if the columns are wrong, because then nothing else can be read.
        rows: paths of the first rows that break it, in path order.
        row_count: how many rows break it; also 0 if no single row is wrong.
    """

    name: str
    severity: Severity
    asserts: str
    status: Literal["passed", "failed", "skipped"]
    observed: str
    rows: tuple[str, ...] = ()
    row_count: int = 0


@dataclass(frozen=True)
class DataVerdict:
    """All results in a fixed order; `passed` if no critical expectation failed."""

    passed: bool
    results: tuple[Result, ...]

    @classmethod
    def of(cls, results: Iterable[Result]) -> DataVerdict:
        """The verdict on `results`; a skipped critical expectation counts as failed."""
        ordered = tuple(results)
        return cls(all(r.severity != "critical" or r.status == "passed" for r in ordered), ordered)

    @property
    def readable(self) -> bool:
        """False if the columns are wrong, so that the rows can't be read."""
        return all(result.status != "skipped" for result in self.results)

    def failed(self, severity: Severity) -> tuple[Result, ...]:
        """The failed expectations of one severity."""
        return tuple(r for r in self.results if r.status == "failed" and r.severity == severity)

    def to_json(self) -> dict[str, Any]:
        """Plain types; equal manifests give equal content, in any order of rows."""
        return {
            "passed": self.passed,
            "critical_failures": [result.name for result in self.failed("critical")],
            "warnings": [result.name for result in self.failed("warning")],
            "expectations": [asdict(result) | {"rows": [*result.rows]} for result in self.results],
        }


def expect(
    table: str, name: str, text: str, kind: Any, severity: Severity = "critical", **kwargs: Any
) -> Check:
    """One expectation on a table: its name, and a sentence that says what must hold."""
    return kind(description=text, severity=severity, meta={"name": name, "table": table}, **kwargs)


@contextmanager
def gx_context() -> Iterator[Any]:
    """GX in memory, without analytics, progress bars, temporary folders and log lines."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    config = gx_types.DataContextConfig(
        store_backend_defaults=gx_types.InMemoryStoreBackendDefaults(),
        analytics_enabled=False,
        progress_bars=gx_types.ProgressBarsConfig(globally=False),
    )
    try:
        yield gx.get_context(mode="ephemeral", project_config=config)
    finally:
        logger.setLevel(level)


def run_checks(
    context: Any,
    tables: Tables,
    checks: list[Check],
    observed: Callable[[Check, dict[str, Any], Tables], str],
    offenders: Callable[[Check, dict[str, Any], Tables], list[str]],
) -> dict[str, Result]:
    """Results, by name, of the checks on the given tables.

    Args:
        tables: frames by name, as in `expect`; `rows` has one row per picture.
        observed: says what was found; see `row_words`.
        offenders: gives the paths of the rows that break an expectation; see `row_paths`.
    """
    results = {}
    for name, table in tables.items():
        suite = gx.ExpectationSuite(name, [c for c in checks if c.meta["table"] == name])
        asset = context.data_sources.add_pandas(name).add_dataframe_asset(name)
        batch = asset.add_batch_definition_whole_dataframe(name).get_batch({"dataframe": table})
        for outcome in batch.validate(suite, result_format="COMPLETE").results:
            check, found = outcome.expectation_config, outcome.result
            status = "passed" if outcome.success else "failed"
            rows = [] if outcome.success else offenders(check, found, tables)
            results[check.meta["name"]] = result_of(check, status, observed(check, found, tables), rows)
    return results


def result_of(check: Check, status: Any, observed: str, rows: list[str]) -> Result:
    """The result of one expectation; it names the first rows and counts all."""
    name, severity, named = check.meta["name"], check.severity.value, tuple(rows[:MAX_ROWS_NAMED])
    return Result(name, severity, check.description, status, observed, named, len(rows))


def row_paths(check: Check, found: dict[str, Any], tables: Tables) -> list[str]:
    """Paths of all rows that break an expectation on `rows`."""
    # Index labels; with named columns instead, GX looks up one cell at a time.
    listed = found.get("unexpected_index_list", []) if check.meta["table"] == "rows" else []
    return [*tables["rows"]["path"].loc[listed].fillna("(no path)")] if len(listed) else []


def row_words(check: Check, found: dict[str, Any], tables: Tables) -> str:
    """How often an expectation is broken, and by which values."""
    if "observed_value" in found:
        return percent(found["observed_value"])
    if "unexpected_count" not in found:
        return "could not be computed"
    values = pd.Series(found["unexpected_list"], dtype=object).dropna().unique()[:3]
    named = ", ".join(f"{value!s:.24}".strip() or '""' for value in values)
    counts = f"broken in {found['unexpected_count']:,} of {found['element_count']:,} rows"
    return f"{counts}: {named}" if named else counts


def first_failure(verdict: DataVerdict) -> str:
    """What the first critical failure asserts, what was found, and the first rows; one sentence."""
    first, *others = verdict.failed("critical")
    rows = f", first in {', '.join(first.rows[:3])}" if first.rows else ""
    more = f", and {len(others)} more failed" if others else ""
    text = f"{first.name}: {first.asserts.rstrip('.')}, but found: {first.observed}{rows}{more}"
    return visible(text)  # a file's name must not move the cursor of whoever reads the error
