"""Column types that mean the same on SQLite (STRICT tables) and PostgreSQL, and `website_table`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.engine import Row as SelectedRow
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeDecorator, TypeEngine

from app import clock

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

StoredRow = SelectedRow[*tuple[Any, ...]]
"""A row as the database gave it."""
AnySelect: TypeAlias = Select[*tuple[Any, ...]]
"""A SELECT of any columns."""

BigInt = BigInteger().with_variant(Integer(), "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """timestamptz on PostgreSQL; on SQLite text of fixed width that sorts and that its date functions read."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone must not reach the database")
        return moment_text(value) if dialect.name == "sqlite" else value

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[Any], datetime | None]:
        # A list of thousands of rows has several times in each: one call for each, not three.
        return _of_text if dialect.name == "sqlite" else _in_utc


def _of_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(f"{value}+00:00")


def _in_utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """jsonb on PostgreSQL, text on SQLite. None is SQL NULL on both."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(JSONB(none_as_null=True))

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if dialect.name != "sqlite" or value is None:
            return value
        return dump_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return orjson.loads(value) if isinstance(value, str) and dialect.name == "sqlite" else value


class Flag(TypeDecorator[bool]):
    """boolean on PostgreSQL; STRICT tables of SQLite have only integers for it."""

    impl = Boolean
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else Boolean())

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> Any:
        return int(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> bool | None:
        return None if value is None else bool(value)


def moment_text(value: datetime) -> str:
    """UTC, milliseconds, without a zone. Raises ValueError for a time that has none itself."""
    if value.tzinfo is None:
        raise ValueError("a time without a zone must not reach the database")
    utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    return utc.isoformat(" ", "milliseconds")[:23]


def sqlite_value(kind: TypeEngine[Any]) -> Callable[[Any], Any] | None:
    """How a value of this type that is not None is handed to SQLite; None when it goes as it is."""
    if isinstance(kind, UtcDateTime):
        return moment_text
    if isinstance(kind, Json):
        return dump_json
    return int if isinstance(kind, Flag) else None


def dump_json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


ChangeKind: TypeAlias = Literal[
    "company", "contact", "membership", "conversation", "link", "message"
]


@dataclass(frozen=True, slots=True)
class Told:
    """How the change feed tells that a row of a table was written (app/db/changes.py).

    `kind` and `key`: what changed, and the columns that name it. `unseen`: columns whose change is
    nobody's news.
    """

    kind: ChangeKind
    key: tuple[str, ...]
    unseen: frozenset[str] = frozenset()


def website_table(name: str, *items: SchemaItem, told: Told | None = None) -> Table:
    """A table of the mission: its first column is `website_id`, and so is the first of each of its keys.

    The schema can then be distributed by website without a change (docs/why.md).
    """
    return Table(
        name,
        metadata,
        Column("website_id", Text, nullable=False),
        *items,
        info={} if told is None else {"told": told},
        sqlite_strict=True,
    )


def plain_table(name: str, *items: SchemaItem) -> Table:
    """A table that belongs to the whole deployment, not to one website."""
    return Table(name, metadata, *items, sqlite_strict=True)


def new_id() -> str:
    """A UUID of version 7 (RFC 9562, 5.7): first the milliseconds, then chance.

    Rows that are made together so lie together in every index; with ids by chance alone each
    changes another page of it.
    """
    digits = f"{clock.now_ms():012x}7{os.urandom(10).hex()}"
    variant = "89ab"[int(digits[16], 16) & 3]
    parts = digits[:8], digits[8:12], digits[12:16], variant + digits[17:20], digits[20:32]
    return "-".join(parts)
