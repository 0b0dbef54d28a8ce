"""Whether a JSON list of texts has one of them, on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Integer, Text, literal, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.db.base import dump_json


class HasText(FunctionElement[int]):
    # As a Boolean, SQLite would be asked whether it is 1, and use no index.
    type = Integer()
    name = "has_text"
    inherit_cache = True


def has_text(column: Column[Any], value: str, under: str = "") -> HasText:
    """`column` is the list, or an object with the list `under` that key. `value` is compared exactly."""
    return HasText(
        column,
        literal_column(under or "''"),
        literal(dump_json(value), Text()),
        literal(value, Text()),
        literal(dump_json([value]), Text()),
    )


@compiles(HasText, "sqlite")
def _by_json_each(element: HasText, compiler: SQLCompiler, **options: Any) -> str:
    column, under, quoted, value, _ = element.clauses
    where = compiler.process(column, **options)
    path = "$" if str(under) == "''" else f"$.{under}"
    # The plain look into the text first: taking JSON apart costs twenty times as much.
    look = f"instr({where}, {compiler.process(quoted, **options)}) > 0"
    each = f"json_each({where}, '{path}') AS one"
    return f"({look} AND {compiler.process(value, **options)} IN (SELECT one.value FROM {each}))"  # noqa: S608  # names of ours


@compiles(HasText, "postgresql")
def _by_containment(element: HasText, compiler: SQLCompiler, **options: Any) -> str:
    column, under, _, _, wanted = element.clauses
    where = compiler.process(column, **options)
    path = where if str(under) == "''" else f"({where} -> '{under}')"
    return f"{path} @> CAST({compiler.process(wanted, **options)} AS jsonb)"
