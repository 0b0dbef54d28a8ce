"""Full-text search on both databases: rows whose text has words that begin as the asked ones do.

The words are kept by the database itself (alembic/versions/*_words.py), so that no writer has to know and
none can forget: on PostgreSQL a GIN index over an expression; on SQLite FTS5 tables. There triggers only note
which rows changed, and the end of the transaction brings the index up to date: an FTS5 table that a trigger
writes to saves its work at every row, which costs five times as much (measured: 18 µs a message, then 4).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from sqlalchemy import Integer, Text, literal, literal_column
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

SEARCHED = {"messages": "body", "conversations": "search", "contacts": "search"}
"""Table to the column whose words are kept."""
FIRST_CHARACTERS = 100_000
"""A tsvector has at most a megabyte (FAILURES case 59)."""

_MARKS = "@.-_+/:\\&=#"
"""PostgreSQL takes `ann@acme.example` or a URL for one word; apart, each part can be found."""
_BETWEEN = re.compile(r"[\s\x00-/:-@\[-`{-\xa0\u2000-\u206f\u3000-\u303f\uff00-\uff0f]+")
MOST_WORDS = 8
MOST_HITS = 5_000
"""Messages that are looked at for a text, on SQLite the newest: words so common lead nowhere anyway."""
_WHOLE_BELOW = 3
"""In messages, shorter words must be there as they are: half of all have a word that begins with "a"."""


async def keep_words(connection: AsyncConnection) -> None:
    """Bring SQLite's index up to what the transaction wrote; at its end, by app/db/session.py."""
    due = await connection.exec_driver_sql(_WHICH_DUE)
    for table, is_due in zip(SEARCHED, due.one(), strict=True):
        for statement in _KEEP if is_due else ():
            await connection.exec_driver_sql(statement.format(words=f"{table}_words", table=table))


async def forget_words(connection: AsyncConnection) -> None:
    """Rewrite SQLite's index without what was deleted: until then its old parts still hold the words.

    After an erasure; takes seconds on a big database. PostgreSQL's vacuum does it by itself.
    """
    if connection.dialect.name != "sqlite":
        return
    await keep_words(connection)
    for table in SEARCHED:
        words = f"{table}_words"
        await connection.exec_driver_sql(_OPTIMIZE.format(words=words))


_IS_DUE = "EXISTS (SELECT 1 FROM {words}_due)"
_WHICH_DUE = f"SELECT {', '.join(_IS_DUE.format(words=f'{table}_words') for table in SEARCHED)}"
_OPTIMIZE = "INSERT INTO {words} ({words}) VALUES ('optimize')"
_KEEP = (
    """INSERT INTO {words} ({words}, rowid, body)
    SELECT 'delete', id, kept FROM {words}_due WHERE kept IS NOT NULL""",
    """INSERT INTO {words} (rowid, body)
    SELECT rowid, body FROM {table}_texts WHERE rowid IN (SELECT id FROM {words}_due) AND body <> ''""",
    "DELETE FROM {words}_due",
)


def is_kept_by_database(name: str | None) -> bool:
    """Whether an index or table belongs to the search: the models do not know them, migrations make them."""
    return name is not None and re.search(r"_words(_|$)", name) is not None


def postgres_vector(table: str) -> str:
    """The indexed expression. Replacing mark by mark takes a fifth of the time that `translate` takes."""
    text = f"left({table}.{SEARCHED[table]}, {FIRST_CHARACTERS})"
    for mark in _MARKS:
        text = f"replace({text}, '{mark}', ' ')"
    return f"to_tsvector('simple', {text})"


def words_of(q: str) -> list[str]:
    """The words of what was typed, at most eight, without what separates words."""
    return [word for word in _BETWEEN.split(unicodedata.normalize("NFC", q)) if word][:MOST_WORDS]


class HasWords(FunctionElement[int]):
    """`has_words(table, …)`: compiled to what each database has for it."""

    # As a Boolean, SQLite would be asked whether it is 1, and use no index.
    type = Integer()
    name = "has_words"
    inherit_cache = True


class HelpingWords(HasWords):
    """On SQLite as HasWords; PostgreSQL has an index for what it stands beside, and is not asked twice."""

    inherit_cache = True


def has_words(table: str, words: list[str], made: type[HasWords] = HasWords) -> HasWords:
    """Every one of `words` begins a word of that table's searched column; `words` must not be empty."""
    whole_below = _WHOLE_BELOW if table == "messages" else 1
    begins = [len(word) >= whole_below for word in words]
    sqlite = " ".join(f'"{w}"{"*" if more else ""}' for w, more in zip(words, begins, strict=True))
    postgres = " & ".join(
        f"'{w}'{':*' if more else ''}" for w, more in zip(words, begins, strict=True)
    )
    # Not a parameter: statements about different tables must not share one compiled text.
    # PostgreSQL plans by the words: a plan for any of them, made after some searches, took twice as long.
    told = literal(postgres, Text(), literal_execute=True)
    return made(literal_column(table), literal(sqlite, Text()), told)


class WithoutIndex(FunctionElement[Any]):
    """The column as it is, but SQLite does not look it up in an index of its own."""

    name = "without_index"
    inherit_cache = True


def without_index(column: Any) -> Any:
    """For the website beside `has_words`: nearly all rows are one website's, few have the words."""
    made = WithoutIndex(column)
    made.type = column.type
    return made


@compiles(WithoutIndex, "sqlite")
def _by_no_index(element: WithoutIndex, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


@compiles(WithoutIndex)
def _as_it_is(element: WithoutIndex, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


def _parts(element: HasWords) -> tuple[str, Any, Any]:
    table, for_sqlite, for_postgres = element.clauses
    return str(table), for_sqlite, for_postgres


@compiles(HasWords, "sqlite")
def _in_fts5(element: HasWords, compiler: SQLCompiler, **options: Any) -> str:
    table, query, _ = _parts(element)
    words = f"{table}_words"
    match = compiler.process(query, **options)
    newest = f" ORDER BY rowid DESC LIMIT {MOST_HITS}" if table == "messages" else ""
    return f"{table}.rowid IN (SELECT rowid FROM {words} WHERE {words} MATCH {match}{newest})"  # noqa: S608  # names of ours


@compiles(HasWords, "postgresql")
def _in_gin(element: HasWords, compiler: SQLCompiler, **options: Any) -> str:
    table, _, query = _parts(element)
    match = compiler.process(query, **options)
    return f"{postgres_vector(table)} @@ to_tsquery('simple', {match})"


@compiles(HelpingWords, "postgresql")
def _nothing_more(_element: HelpingWords, _compiler: SQLCompiler, **_options: Any) -> str:
    return "true"
