"""Writes docs/schema.md from the tables; with --check only says whether it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path

from sqlalchemy import Column, Table
from sqlalchemy.dialects import postgresql, sqlite

from app.db.base import metadata
from app.tables import websites

TARGET = Path(__file__).resolve().parents[1] / "docs" / "schema.md"
HEAD = """# The tables

Made from the models by `scripts/schema_doc.py`; `make check` says when it is out of date. Times are UTC;
columns ending in `_ms` are epoch milliseconds of Crisp's clock. JSON is `jsonb` on PostgreSQL, text on SQLite;
booleans are 0 and 1 on SQLite. Deleted rows keep their place with `deleted_at` set.
"""


def main() -> int:
    text = "\n".join([HEAD, *(_describe(table) for table in _ordered())])
    if "--check" not in sys.argv:
        TARGET.write_text(text)
        return 0
    if TARGET.read_text() == text:
        return 0
    sys.stderr.write(
        "docs/schema.md is out of date: PYTHONPATH=. .venv/bin/python scripts/schema_doc.py\n"
    )
    return 1


def _ordered() -> list[Table]:
    return sorted(metadata.tables.values(), key=lambda table: (table is not websites, table.name))


def _describe(table: Table) -> str:
    key = ", ".join(f"`{column.name}`" for column in table.primary_key)
    lines = [f"## {table.name}", "", f"Primary key: {key}.", ""]
    lines += ["| column | PostgreSQL | SQLite | null |", "|---|---|---|---|"]
    lines += [_row(column) for column in table.columns]
    return "\n".join([*lines, ""])


def _row(column: Column[object]) -> str:
    postgres = column.type.compile(postgresql.dialect()).lower()  # type: ignore[no-untyped-call]  # untyped there
    lite = column.type.compile(sqlite.dialect()).lower()
    return f"| `{column.name}` | {postgres} | {lite} | {'yes' if column.nullable else ''} |"


if __name__ == "__main__":
    sys.exit(main())
