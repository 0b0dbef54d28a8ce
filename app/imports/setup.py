"""What a person chose for a file, out of the row that keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from app.contacts.phones import region_of_prefix
from app.db.base import StoredRow
from app.errors import Refused
from app.imports.columns import ColumnMap, column_map
from app.imports.layout import Layout, layout_of
from app.imports.rows import Interpreter, Options

_MOST_COLUMNS = 500


def layout_of_import(row: StoredRow) -> Layout:
    told = row.layout
    return layout_of(told["encoding"], told["separator"], header=told["header"])


def columns_of_import(row: StoredRow) -> list[ColumnMap]:
    return [column_map(told["column"], told, row.kind) for told in row.columns]


def interpreter_of(row: StoredRow, zone_name: str) -> Interpreter:
    region = region_of_prefix(row.options.get("default_prefix") or "")
    options = Options(zone_of(zone_name), region, bool(row.options.get("split_on_space")))
    origin_column = row.options.get("origin_column")
    return Interpreter(columns_of_import(row), options, origin_column, row.kind)


def zone_of(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return UTC


def checked_options(told: Mapping[str, Any]) -> dict[str, Any]:
    """`default_prefix`, `split_on_space`, `segment`; what is empty is left out. Raises Refused."""
    prefix = str(told.get("default_prefix") or "").strip()
    if prefix and region_of_prefix(prefix) is None:
        raise Refused(f"No country has the prefix {prefix[:20]}; write it as +34.")
    segment = str(told.get("segment") or "").strip()
    if len(segment) > 100:
        raise Refused("The name of a segment has at most 100 characters.")
    options: dict[str, Any] = {"default_prefix": prefix, "segment": segment}
    options["split_on_space"] = bool(told.get("split_on_space"))
    return {name: value for name, value in options.items() if value}


def by_name(
    names: Sequence[str], told: Mapping[str, Any], kind: str = "contacts"
) -> list[ColumnMap]:
    """A mapping that names columns, for a file with these; columns it leaves out are ignored.

    Raises Refused when it names one that the file does not have.
    """
    if unknown := [name for name in told if name not in names]:
        listed = ", ".join(f"“{name[:60]}”" for name in unknown[:5])
        raise Refused(f"The file has no column {listed}; it has {', '.join(names)[:500]}.")
    return [column_map(name, told.get(name), kind) for name in names]


def check_width(names: Sequence[str]) -> None:
    if len(names) > _MOST_COLUMNS:
        raise Refused(f"The file has {len(names):,} columns; at most {_MOST_COLUMNS} are read.")
