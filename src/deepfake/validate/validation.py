"""Validate: the expectations that a manifest must meet before a detector may learn from it.

Great Expectations checks them. This file holds the expectations and their words, and names the rows that
break them. Shares and counts are in small tables of their own, so that each is checked by one expectation.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

import great_expectations as gx
import pandas as pd
import pyarrow as pa
from great_expectations.expectations.row_conditions import Column

from deepfake.base.labels import FAKE, LABEL_NAMES, REAL
from deepfake.base.text import percent
from deepfake.media.readers import FORMATS
from deepfake.params.validate import Validate
from deepfake.shards.manifest import SCHEMA, usable
from deepfake.validate.expectations import (
    Check,
    DataVerdict,
    Tables,
    expect,
    gx_context,
    result_of,
    row_paths,
    row_words,
    run_checks,
)

MIN_SIDE, MAX_SIDE = 16, 32768  # pixels: neither an icon nor a gigapixel panorama is a picture of a face
_PAIRS = 5  # pairs that a sentence lists; the page shows more under "Rejected pictures"
_REQUIRED = ("image_id", "label", "source", "generator", "group", "path", "decode_ok", "cropped")
_REQUIRED_DECODED = ("format", "width", "height", "mode", "bytes", "has_exif", "phash")
gxe: Any = gx.expectations  # mypy does not see the names that this module re-exports


def validate_manifest(frame: pd.DataFrame, params: Validate) -> DataVerdict:
    """Check a manifest against every expectation. It writes nothing and opens no connection.

    Args:
        frame: rows as `manifest.read_manifest` returns them, in any order.

    Returns:
        The verdict. Wrong data is a result of this function, never an error.
    """
    checks = [*_schema_checks(), *_row_checks(), *_share_checks(params)]
    unread = "not checked, because the columns are wrong"
    results = {check.meta["name"]: result_of(check, "skipped", unread, []) for check in checks}
    run = partial(run_checks, observed=_observed, offenders=_offenders)
    with gx_context() as context:
        schema = run(context, {"columns": frame, "types": _types(frame)}, checks)
        results |= schema
        if all(result.status == "passed" for result in schema.values()):
            results |= run(context, _tables(frame), checks)
    return DataVerdict.of(results.values())


def _schema_checks() -> list[Check]:
    return [
        expect("columns", "columns", "The manifest has the columns of its schema, in order.",
               gxe.ExpectTableColumnsToMatchOrderedList, column_list=SCHEMA.names),
        expect("types", "types", "Every column holds the type that the schema declares.",
               gxe.ExpectColumnPairValuesToBeEqual, column_A="found", column_B="declared"),
    ]  # fmt: skip


def _row_checks() -> list[Check]:
    in_set, not_in_set = gxe.ExpectColumnValuesToBeInSet, gxe.ExpectColumnValuesToNotBeInSet
    between, unique = gxe.ExpectColumnValuesToBeBetween, gxe.ExpectColumnValuesToBeUnique
    label, kept = Column("label"), Column("reject_reason").is_null()
    broken, decoded = (Column("decode_ok") == flag for flag in (False, True))
    return [
        expect("rows", "required_fields", "Identity, label and origin are known of every row, file "
               "facts of all that decode.", in_set, column="missing", value_set=[""]),
        expect("rows", "labels", "Every label is 0 (real) or 1 (fake).",
               in_set, column="label", value_set=[*LABEL_NAMES]),
        expect("rows", "image_id_format", "Every image_id is a sha256 in 64 hexadecimal digits.",
               gxe.ExpectColumnValuesToMatchRegex, column="image_id", regex=r"^[0-9a-f]{64}\Z"),
        expect("rows", "image_id_unique", "No image_id occurs twice among the usable pictures.",
               unique, column="image_id", row_condition=kept),
        expect("rows", "path_unique", "No path occurs twice.", unique, column="path"),
        expect("rows", "real_generator", 'Every real picture has the generator "none".',
               in_set, column="generator", value_set=["none"], row_condition=label == REAL),
        expect("rows", "fake_generator", "Every fake picture names its generator.",
               not_in_set, column="generator", value_set=["none", ""], row_condition=label == FAKE),
        expect("rows", "reason_given", "Every picture that does not decode has a reason.",
               gxe.ExpectColumnValuesToNotBeNull, column="reject_reason", row_condition=broken),
        *(expect("rows", side, f"The {side} of a decoded picture is {MIN_SIDE} to {MAX_SIDE} pixels.",
                 between, column=side, min_value=MIN_SIDE, max_value=MAX_SIDE,
                 row_condition=decoded) for side in ("width", "height")),
        expect("rows", "formats", f"Every usable picture is one of {', '.join(FORMATS)}.",
               in_set, column="format", value_set=[*FORMATS], row_condition=kept),
        expect("rows", "label_conflict", "No picture is both under real and under fake.",
               not_in_set, column="reject_reason", value_set=["label_conflict"]),
        expect("rows", "phash_across_classes", "A real and a fake picture look the same only if they "
               "are a declared pair.", in_set, "warning", column="twin_look", value_set=[""]),
    ]  # fmt: skip


def _share_checks(params: Validate) -> list[Check]:
    largest, smallest = gxe.ExpectColumnMaxToBeBetween, gxe.ExpectColumnMinToBeBetween
    return [
        expect("rows", "rejected_share",
               f"At most {percent(params.max_rejected_share)} of all files are rejected.",
               gxe.ExpectColumnProportionOfNonNullValuesToBeBetween,
               column="reject_reason", max_value=params.max_rejected_share),
        expect("classes", "rejected_share_gap", "The rejected shares of real and fake differ by at "
               f"most {percent(params.max_rejected_share_gap)}.",
               largest, column="gap", max_value=params.max_rejected_share_gap),
        expect("classes", "min_per_class",
               f"Each class has at least {params.min_per_class} usable pictures.",
               smallest, column="usable", min_value=params.min_per_class),
        expect("classes", "max_class_share", "The larger class has at most "
               f"{percent(params.max_class_share)} of the usable pictures.",
               largest, column="share", max_value=params.max_class_share),
        expect("sources", "max_source_share", "If a class has several sources, each has at most "
               f"{percent(params.max_source_share)} of it.", gxe.ExpectColumnValuesToBeBetween,
               column="share", max_value=params.max_source_share,
               row_condition=Column("sources") > 1),
        expect("classes", "several_sources", "Each class has at least two sources: from one alone, a "
               "detector learns the source.", smallest, "warning", column="sources", min_value=2),
        # Near-duplicates form chains: a is like b, b is like c, but a is not like c.
        expect("groups", "max_group_share", "No group has more than "
               f"{percent(params.max_group_share)} of the usable pictures. If a group of look-alikes is "
               "larger, lower ingest.near_duplicate_distance.",
               largest, "warning", column="share", max_value=params.max_group_share),
    ]  # fmt: skip


def _types(frame: pd.DataFrame) -> pd.DataFrame:
    """Declared and found type of every column that occurs once. The check `columns` finds the others."""
    once = [field for field in SCHEMA if [*frame.columns].count(field.name) == 1]
    found = [f.type if _fits(frame[f.name], f.type) else frame[f.name].dtype for f in once]
    rows = [(f.name, str(f.type), str(kind)) for f, kind in zip(once, found, strict=True)]
    return pd.DataFrame(rows, columns=["path", "declared", "found"])


def _fits(column: pd.Series, kind: pa.DataType) -> bool:
    """Whether every value that is not null converts to this type without loss."""
    wanted = {"string": ["string"], "bool": ["boolean"]}.get(str(kind), ["integer", "floating"])
    there = column.dropna()
    if len(there) and pd.api.types.infer_dtype(there) not in wanted:
        return False
    with suppress(pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError, OverflowError):
        pa.Array.from_pandas(there, type=kind)
        return True
    return False


def _tables(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The manifest in path order with a few more columns, and tables of its counts and shares."""
    table = pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False)
    rows = table.to_pandas().sort_values(["path", "image_id"]).reset_index(drop=True)
    rows["missing"] = ""
    for name in (*_REQUIRED, *_REQUIRED_DECODED):
        needed = rows["decode_ok"].eq(True) | (name in _REQUIRED)
        rows.loc[rows[name].isna() & needed, "missing"] += f"{name} "
    looks = usable(rows).groupby("phash")
    # `group` also joins pictures because they look alike. Here only the groups of the source count.
    pair = looks["declared_group"].transform("nunique", dropna=False).eq(1) & rows["declared_group"].notna()
    rows["twin_look"] = rows["phash"].where(looks["label"].transform("nunique").gt(1) & ~pair, "")
    sources = usable(rows).groupby(["label", "source"]).size().rename("usable").reset_index()
    within = sources.groupby("label")
    sources["share"] = sources["usable"] / within["usable"].transform("sum")
    sources["sources"] = within["usable"].transform("size")
    return {"rows": rows, "classes": _classes(rows), "sources": sources, "groups": _groups(rows)}


def _classes(rows: pd.DataFrame) -> pd.DataFrame:
    """Counts and shares of real and fake; 0 for a class without rows."""
    kept = usable(rows).groupby("label")
    counts = {"files": rows.groupby("label").size(), "usable": kept.size()}
    table = pd.DataFrame(counts | {"sources": kept["source"].nunique()})
    table = table.reindex([*LABEL_NAMES]).fillna(0)
    table["rejected"] = (table["files"] - table["usable"]) / table["files"].clip(lower=1)
    table["gap"] = round(table["rejected"].max() - table["rejected"].min(), 9)  # so that 0.3 - 0.2 <= 0.1
    table["share"] = table["usable"] / max(table["usable"].sum(), 1)
    return table


def _groups(rows: pd.DataFrame) -> pd.DataFrame:
    """Per group its pictures, distinct looks and share of all usable pictures; the largest comes first."""
    kept = usable(rows)
    table = kept.groupby("group").agg(pictures=("path", "size"), looks=("phash", "nunique"))
    table["share"] = table["pictures"] / max(len(kept), 1)
    return table.reset_index().sort_values(["pictures", "group"], ascending=[False, True])


def _offenders(check: Check, found: dict[str, Any], tables: Tables) -> list[str]:
    """Paths of all rows that break an expectation."""
    if check.meta["name"].startswith("rejected_share"):
        rejected = tables["rows"]["reject_reason"].notna()
        if check.meta["table"] == "classes":
            rejected &= tables["rows"]["label"] == tables["classes"]["rejected"].idxmax()
        return [*tables["rows"].loc[rejected, "path"].fillna("(no path)")]
    if check.meta["table"] == "groups":
        rows, largest = usable(tables["rows"]), tables["groups"]["group"].head(1)
        return [*rows.loc[rows["group"].isin(largest), "path"]]
    return row_paths(check, found, tables)


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
        form = percent if column in ("gap", "share") else "{:,.0f}".format
        shown = table["rejected" if column == "gap" else column]
        return ", ".join(f"{LABEL_NAMES[label]} {form(shown[label])}" for label in LABEL_NAMES)
    if check.meta["table"] == "sources":
        top = table.query("sources > 1").nlargest(1, "share").itertuples()
        words = [f"{t.source} is {percent(t.share)} of {LABEL_NAMES.get(t.label)}" for t in top]
        return words[0] if words else "no class has several sources"
    if check.meta["table"] == "groups":
        words = [
            f"{g.group} holds {g.pictures:,} pictures of {g.looks:,} looks ({percent(g.share)})"
            for g in table.head(1).itertuples()
        ]
        return words[0] if words else "no usable picture"
    if check.meta["name"] == "label_conflict":
        return _conflicts(tables["rows"]) or row_words(check, found, tables)
    return row_words(check, found, tables)


def _conflicts(rows: pd.DataFrame) -> str:
    """The first few pictures that are in both classes, each with the same picture in the other class."""
    found = rows[rows["reject_reason"].eq("label_conflict")].sort_values(["label", "path"])
    pairs = [f"{row.path} is {row.reject_detail!s}" for row in found.itertuples() if row.label == REAL]
    more = f"; and {len(pairs) - _PAIRS} more" if len(pairs) > _PAIRS else ""
    return "; ".join(pairs[:_PAIRS]) + more
