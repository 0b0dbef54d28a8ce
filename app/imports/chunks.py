"""What a commit applies at once: planned rows, read ahead of the transaction that applies them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import StoredRow
from app.imports.tables import import_rows
from app.imports.work import Work

CHUNK = 2000
"""Each statement costs the same for many rows as for few; a chunk holds the website for a second at most."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The planned rows among the next lines, the last of which is `last`."""

    last: int
    rows: Sequence[StoredRow]


async def read_chunks(work: Work) -> AsyncGenerator[Chunk, None]:
    """Nobody else changes them: whoever takes the work over has a newer lease, which `Work.save` notices."""
    done = work.checkpoint.get("done", 0)
    while True:
        async with work.db.read() as connection:
            last = await _last_of_chunk(connection, work, CHUNK, done)
            if last is None:
                return
            rows = await _next_rows(connection, work, done, last)
        yield Chunk(last, rows)
        done = last


async def _last_of_chunk(
    connection: AsyncConnection, work: Work, size: int, done: int
) -> int | None:
    """Where the next `size` lines behind `done` end; None behind the last.

    All lines, not only those to be applied: to find these, all that were applied would be read again.
    """
    lines = (
        select(import_rows.c.line)
        .where(
            import_rows.c.website_id == work.website_id,
            import_rows.c.import_id == work.row_id,
            import_rows.c.line > done,
        )
        .order_by(import_rows.c.line)
        .limit(size)
        .subquery()
    )
    last: int | None = await connection.scalar(select(func.max(lines.c.line)))
    return last


async def _next_rows(
    connection: AsyncConnection, work: Work, done: int, last: int
) -> Sequence[StoredRow]:
    c = import_rows.c
    rows = await connection.execute(
        select(c.website_id, c.import_id, c.line, c.outcome, c.state, c.email_norm, c.contact_id,
               c.company_id, c.changes, c.problems, c.basis)
        .where(*is_planned(work), c.line > done, c.line <= last)
        .order_by(c.line)
    )  # fmt: skip
    return rows.all()


def is_planned(work: Work) -> tuple[ColumnElement[bool], ...]:
    return (
        import_rows.c.website_id == work.website_id,
        import_rows.c.import_id == work.row_id,
        import_rows.c.outcome.in_(("create", "update")),
        import_rows.c.state == "planned",
    )
