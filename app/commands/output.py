"""One JSON document, or columns for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson


def as_document(value: Any) -> str:
    # Columns name themselves by a kind of str of SQLAlchemy's own.
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    return orjson.dumps(value, option=options, default=str).decode()


def as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The keys of the first row as heads; values as short text."""
    heads = list(rows[0])
    lines = [heads, *([_short(row[head]) for head in heads] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _short(value: Any) -> str:
    if value is None:
        return "-"
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat(" ", "minutes") if isoformat else value)
