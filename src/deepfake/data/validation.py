"""Validate: what must hold of a manifest before a detector may learn from it.

Great Expectations judges; this file says what is expected, in which words, and names the rows that
break it. Shares and counts stand in small derived tables: each judgement is one expectation.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal

import great_expectations as gx
import pandas as pd
import pyarrow as pa
from great_expectations.data_context.types import base as gx_types
from great_expectations.expectations.row_conditions import Column

from deepfake.data.manifest import LABEL_NAMES, SCHEMA, usable
from deepfake.images import FORMATS
from deepfake.params import Validate

MAX_ROWS_NAMED = 10
MIN_SIDE, MAX_SIDE = 16, 32768  # pixels: no face is an icon or a gigapixel panorama
_REQUIRED = ("image_id", "label", "source", "generator", "group", "path", "decode_ok", "cropped")
_REQUIRED_DECODED = ("format", "width", "height", "mode", "bytes", "has_exif", "phash")

Severity = Literal["critical", "warning"]
Tables = Mapping[str, pd.DataFrame]
Check = Any  # a GX expectation, or what a result says of it; GX declares both fields as optional
gxe: Any = gx.expectations  # its names are re-exported in a way that strict typing does not see


@dataclass(frozen=True)
class Result:
    """What became of one expectation.

    Attributes:
        asserts: what it says of the data, as a sentence.
        status: `skipped` when the columns don't fit, so that nothing else can be read.
        rows: paths of the first rows that break it, in path order.
        row_count: how many rows break it; 0 too where no row is wrong by itself.
    """

    name: str
    severity: Severity
    asserts: str
    status: Literal["passed", "failed", "skipped"]
    observed: str
    rows: tuple[str, ...] = ()
    row_count: int = 0


@dataclass(frozen=True)
class Verdict:
    """Every result in a fixed order; `passed` when no critical expectation failed."""

    passed: bool
    results: tuple[Result, ...]

    def failed(self, severity: Severity) -> tuple[Result, ...]:
        """The failed expectations of one severity."""
        return tuple(r for r in self.results if r.status == "failed" and r.severity == severity)

    def to_json(self) -> dict[str, Any]:
        """Plain types; equal manifests give equal content, whatever their row order."""
        return {
            "passed": self.passed,
            "critical_failures": [result.name for result in self.failed("critical")],
            "warnings": [result.name for result in self.failed("warning")],
            "expectations": [asdict(result) | {"rows": [*result.rows]} for result in self.results],
        }


def validate_manifest(frame: pd.DataFrame, params: Validate) -> Verdict:
    """Hold a manifest against every expectation; writes nothing, opens no connection.

    Args:
        frame: rows as `manifest.read_manifest` returns them, in any order.

    Returns:
        The verdict: what is wrong with the data is a result of this function, never an error.
    """
    checks = [*_schema_checks(), *_row_checks(), *_share_checks(params)]
    unread = "not checked: the columns don't fit"
    results = {check.meta["name"]: _result(check, "skipped", unread, []) for check in checks}
    with _gx_context() as context:
        schema = _run(context, {"columns": frame, "types": _types(frame)}, checks)
        results |= schema
        if all(result.status == "passed" for result in schema.values()):
            results |= _run(context, _tables(frame), checks)
    broken = [r for r in results.values() if r.severity == "critical" and r.status != "passed"]
    return Verdict(passed=not broken, results=tuple(results.values()))


def _check(
    table: str, name: str, text: str, kind: Any, severity: Severity = "critical", **kwargs: Any
) -> Check:
    return kind(description=text, severity=severity, meta={"name": name, "table": table}, **kwargs)


def _schema_checks() -> list[Check]:
    return [
        _check("columns", "columns", "The manifest has the columns of its schema, in order.",
               gxe.ExpectTableColumnsToMatchOrderedList, column_list=SCHEMA.names),
        _check("types", "types", "Every column holds the type that the schema declares.",
               gxe.ExpectColumnPairValuesToBeEqual, column_A="found", column_B="declared"),
    ]  # fmt: skip


def _row_checks() -> list[Check]:
    in_set, not_in_set = gxe.ExpectColumnValuesToBeInSet, gxe.ExpectColumnValuesToNotBeInSet
    between, unique = gxe.ExpectColumnValuesToBeBetween, gxe.ExpectColumnValuesToBeUnique
    label, kept = Column("label"), Column("reject_reason").is_null()
    broken, decoded = (Column("decode_ok") == flag for flag in (False, True))
    return [
        _check("rows", "required_fields", "Identity, label and origin are known of every row, file "
               "facts of all that decode.", in_set, column="missing", value_set=[""]),
        _check("rows", "labels", "Every label is 0 (real) or 1 (fake).",
               in_set, column="label", value_set=[*LABEL_NAMES]),
        _check("rows", "image_id_format", "Every image_id is a sha256 in 64 hexadecimal digits.",
               gxe.ExpectColumnValuesToMatchRegex, column="image_id", regex=r"^[0-9a-f]{64}\Z"),
        _check("rows", "image_id_unique", "No image_id occurs twice among the usable pictures.",
               unique, column="image_id", row_condition=kept),
        _check("rows", "path_unique", "No path occurs twice.", unique, column="path"),
        _check("rows", "real_generator", 'Every real picture has the generator "none".',
               in_set, column="generator", value_set=["none"], row_condition=label == 0),
        _check("rows", "fake_generator", "Every fake picture names its generator.",
               not_in_set, column="generator", value_set=["none", ""], row_condition=label == 1),
        _check("rows", "reason_given", "Every picture that does not decode has a reason.",
               gxe.ExpectColumnValuesToNotBeNull, column="reject_reason", row_condition=broken),
        *(_check("rows", side, f"The {side} of what decodes is {MIN_SIDE} to {MAX_SIDE} pixels.",
                 between, column=side, min_value=MIN_SIDE, max_value=MAX_SIDE,
                 row_condition=decoded) for side in ("width", "height")),
        _check("rows", "formats", f"Every usable picture is one of {', '.join(FORMATS)}.",
               in_set, column="format", value_set=[*FORMATS], row_condition=kept),
        _check("rows", "label_conflict", "No file stands under real and under fake at once.",
               not_in_set, column="reject_reason", value_set=["label_conflict"]),
        _check("rows", "phash_across_classes", "No real and fake picture look the same unless they "
               "are a declared pair.", in_set, "warning", column="twin_look", value_set=[""]),
    ]  # fmt: skip


def _share_checks(params: Validate) -> list[Check]:
    largest, smallest = gxe.ExpectColumnMaxToBeBetween, gxe.ExpectColumnMinToBeBetween
    return [
        _check("rows", "rejected_share",
               f"At most {_percent(params.max_rejected_share)} of the files are rejected.",
               gxe.ExpectColumnProportionOfNonNullValuesToBeBetween,
               column="reject_reason", max_value=params.max_rejected_share),
        _check("classes", "rejected_share_gap", "The rejected shares of real and fake differ by at "
               f"most {_percent(params.max_rejected_share_gap)}.",
               largest, column="gap", max_value=params.max_rejected_share_gap),
        _check("classes", "min_per_class",
               f"Each class has at least {params.min_per_class} usable pictures.",
               smallest, column="usable", min_value=params.min_per_class),
        _check("classes", "max_class_share", "The larger class is at most "
               f"{_percent(params.max_class_share)} of the usable pictures.",
               largest, column="share", max_value=params.max_class_share),
        _check("sources", "max_source_share", "In a class of several sources, each gives at most "
               f"{_percent(params.max_source_share)}.", gxe.ExpectColumnValuesToBeBetween,
               column="share", max_value=params.max_source_share,
               row_condition=Column("sources") > 1),
        _check("classes", "several_sources", "Each class comes from two sources or more; one alone "
               "teaches the source.", smallest, "warning", column="sources", min_value=2),
    ]  # fmt: skip


def _types(frame: pd.DataFrame) -> pd.DataFrame:
    """Declared and found type of every column that is there once; `columns` tells of the others."""
    once = [field for field in SCHEMA if [*frame.columns].count(field.name) == 1]
    found = [f.type if _fits(frame[f.name], f.type) else frame[f.name].dtype for f in once]
    rows = [(f.name, str(f.type), str(kind)) for f, kind in zip(once, found, strict=True)]
    return pd.DataFrame(rows, columns=["path", "declared", "found"])


def _fits(column: pd.Series, kind: pa.DataType) -> bool:
    """Whether every value that is not null becomes this type without loss."""
    wanted = {"string": ["string"], "bool": ["boolean"]}.get(str(kind), ["integer", "floating"])
    there = column.dropna()
    if len(there) and pd.api.types.infer_dtype(there) not in wanted:
        return False
    with suppress(pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError, OverflowError):
        pa.Array.from_pandas(there, type=kind)
        return True
    return False


def _tables(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The manifest in path order with what is derived per row, and its counts and shares."""
    table = pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False)
    rows = table.to_pandas().sort_values(["path", "image_id"]).reset_index(drop=True)
    rows["missing"] = ""
    for name in (*_REQUIRED, *_REQUIRED_DECODED):
        needed = rows["decode_ok"].eq(True) | (name in _REQUIRED)
        rows.loc[rows[name].isna() & needed, "missing"] += f"{name} "
    looks = usable(rows).groupby("phash")
    # A group made of the hash is what ingest knew of the picture, no declared kinship.
    pair = looks["group"].transform("nunique").eq(1) & ~rows["group"].str.startswith("phash/")
    rows["twin_look"] = rows["phash"].where(looks["label"].transform("nunique").gt(1) & ~pair, "")
    sources = usable(rows).groupby(["label", "source"]).size().rename("usable").reset_index()
    within = sources.groupby("label")
    sources["share"] = sources["usable"] / within["usable"].transform("sum")
    sources["sources"] = within["usable"].transform("size")
    return {"rows": rows, "classes": _classes(rows), "sources": sources}


def _classes(rows: pd.DataFrame) -> pd.DataFrame:
    """Counts and shares of real and fake, 0 for a class without rows."""
    kept = usable(rows).groupby("label")
    counts = {"files": rows.groupby("label").size(), "usable": kept.size()}
    table = pd.DataFrame(counts | {"sources": kept["source"].nunique()})
    table = table.reindex([*LABEL_NAMES]).fillna(0)
    table["rejected"] = (table["files"] - table["usable"]) / table["files"].clip(lower=1)
    table["gap"] = round(table["rejected"].max() - table["rejected"].min(), 9)  # 0.3 - 0.2 <= 0.1
    table["share"] = table["usable"] / max(table["usable"].sum(), 1)
    return table


@contextmanager
def _gx_context() -> Iterator[Any]:
    """GX in memory, without analytics, bars, temporary folders and log lines."""
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


def _run(context: Any, tables: Tables, checks: list[Check]) -> dict[str, Result]:
    """Results, by name, of the checks whose table is given."""
    results = {}
    for name, table in tables.items():
        suite = gx.ExpectationSuite(name, [c for c in checks if c.meta["table"] == name])
        asset = context.data_sources.add_pandas(name).add_dataframe_asset(name)
        batch = asset.add_batch_definition_whole_dataframe(name).get_batch({"dataframe": table})
        for outcome in batch.validate(suite, result_format="COMPLETE").results:
            check, found = outcome.expectation_config, outcome.result
            status = "passed" if outcome.success else "failed"
            rows = [] if outcome.success else _offenders(check, found, tables)
            result = _result(check, status, _observed(check, found, tables), rows)
            results[result.name] = result
    return results


def _result(check: Check, status: Any, observed: str, rows: list[str]) -> Result:
    name, severity, named = check.meta["name"], check.severity.value, tuple(rows[:MAX_ROWS_NAMED])
    return Result(name, severity, check.description, status, observed, named, len(rows))


def _offenders(check: Check, found: dict[str, Any], tables: Tables) -> list[str]:
    """Paths of all rows that break an expectation."""
    # Index labels; with named columns instead, GX looks up one cell at a time.
    listed = found.get("unexpected_index_list", []) if check.meta["table"] == "rows" else []
    if check.meta["name"].startswith("rejected_share"):
        rejected = tables["rows"]["reject_reason"].notna()
        if check.meta["table"] == "classes":
            rejected &= tables["rows"]["label"] == tables["classes"]["rejected"].idxmax()
        listed = rejected[rejected].index
    return [*tables["rows"]["path"].loc[listed].fillna("(no path)")] if len(listed) else []


def _observed(check: Check, found: dict[str, Any], tables: Tables) -> str:
    """What was found, in words."""
    table, column = tables[check.meta["table"]], check.kwargs.get("column")
    if check.meta["table"] == "columns":
        odd = ", ".join(sorted({*map(str, table.columns)} ^ {*SCHEMA.names}))
        return f"{len(table.columns)} columns{'; missing or unknown: ' * bool(odd)}{odd}"
    if check.meta["table"] == "types":
        wrong = table.query("found != declared").itertuples()
        return "; ".join(f"{w.path} is {w.found}, not {w.declared}" for w in wrong) or "as declared"
    if check.meta["table"] == "classes":
        form = _percent if column in ("gap", "share") else "{:,.0f}".format
        shown = table["rejected" if column == "gap" else column]
        return ", ".join(f"{LABEL_NAMES[label]} {form(shown[label])}" for label in LABEL_NAMES)
    if check.meta["table"] == "sources":
        top = table.query("sources > 1").nlargest(1, "share").itertuples()
        words = [f"{t.source} is {_percent(t.share)} of {LABEL_NAMES.get(t.label)}" for t in top]
        return words[0] if words else "no class has several sources"
    if "observed_value" in found:
        return _percent(found["observed_value"])
    if "unexpected_count" not in found:
        return "could not be computed"
    values = pd.Series(found["unexpected_list"], dtype=object).dropna().unique()[:3]
    named = ", ".join(f"{value!s:.24}".strip() or '""' for value in values)
    counts = f"broken in {found['unexpected_count']:,} of {found['element_count']:,} rows"
    return f"{counts}: {named}" if named else counts


def _percent(share: float) -> str:
    return f"{round(100 * share, 2):g} %"
