"""Rows that one parameter brings as JSON, to be read like a table's."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import FromClause, Table, Text, bindparam, cast, column, func, select
from sqlalchemy.dialects import postgresql


def given_rows(dialect: str, table: Table, names: Sequence[str], parameter: str) -> FromClause:
    """`names` of the rows in the JSON array `parameter`, as if they stood in `table`; NULL where a row has none.

    On SQLite only what has a type in JSON: texts, numbers and flags.
    """
    text = bindparam(parameter, type_=Text())
    if dialect == "sqlite":
        each = func.json_each(text).table_valued("value", name=f"each_of_{parameter}")
        read = [
            func.json_extract(each.c.value, f"$.{name}", type_=table.c[name].type).label(name)
            for name in names
        ]
        return select(*read).subquery(parameter)
    types = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy
    typed = [column(name, table.c[name].type.dialect_impl(types)) for name in names]
    # Taken apart once: of `json` PostgreSQL reads each value again, those that become jsonb twice.
    rows = func.jsonb_to_recordset(cast(text, postgresql.JSONB)).table_valued(*typed)
    return rows.render_derived(parameter, with_types=True)
