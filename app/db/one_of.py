"""A column among many values that are one parameter, however many they are.

Spelled out, a list is another statement for each of its lengths: SQLAlchemy renders it anew, psycopg reads
it anew, and PostgreSQL plans it anew: a ninth of this process's work when it applies hooks there. A page's
handful may be spelled out; what a batch brings may not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, cast

from sqlalchemy import BigInteger, ColumnElement, Integer, Text, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from app.db.base import dump_json


class _Texts(TypeDecorator[Collection[str]]):
    """An array of texts on PostgreSQL; on SQLite, which has none, JSON."""

    impl = Text
    cache_ok = True
    items: type[TypeEngine[Any]] = Text

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        on_sqlite = dialect.name == "sqlite"
        return dialect.type_descriptor(Text() if on_sqlite else ARRAY(self.items))

    def process_bind_param(self, value: Collection[Any] | None, dialect: Dialect) -> Any:
        values = list(value or ())
        return dump_json(values) if dialect.name == "sqlite" else values


class _Numbers(_Texts):
    cache_ok = True
    items = BigInteger


class _IsOneOf(FunctionElement[int]):
    # As a Boolean, SQLite would be asked whether it is 1, and use no index.
    type = Integer()
    name = "is_one_of"
    inherit_cache = True


def is_one_of(column: ColumnElement[Any], values: Iterable[Any] | str) -> ColumnElement[bool]:
    """Whether the column, of texts or integers, is one of `values`; of none, when there are none.

    A text is the name of the parameter that brings them.
    """
    kind = _Numbers() if isinstance(column.type, Integer) else _Texts()
    given = (
        bindparam(values, type_=kind)
        if isinstance(values, str)
        else bindparam(None, sorted(values), type_=kind, unique=True)
    )
    return cast("ColumnElement[bool]", _IsOneOf(column, given))


@compiles(_IsOneOf, "sqlite")
def _of_json(element: _IsOneOf, compiler: SQLCompiler, **options: Any) -> str:
    column, given = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({given}))"  # noqa: S608  # compiled parts


@compiles(_IsOneOf)
def _of_array(element: _IsOneOf, compiler: SQLCompiler, **options: Any) -> str:
    column, given = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} = ANY({given})"
