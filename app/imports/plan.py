"""A file compared with what is stored, row by row and set by set: the plan that a commit then applies (SPEC I7)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.base import dump_json
from app.db.statistics import ensure_statistics
from app.db.upsert import Row as TableRow
from app.db.upsert import upsert
from app.imports import company_plan, contact_plan
from app.imports.ahead import one_ahead
from app.imports.diff import Rules
from app.imports.reader import RawRow, Reader
from app.imports.rows import Interpreter, Row
from app.imports.setup import interpreter_of, layout_of_import
from app.imports.tables import import_rows
from app.imports.uploads import forget, path_of
from app.imports.work import Work

CHUNK = 2000
PLAN_HOURS = 24
"""After that a plan is made anew: what it compared with is yesterday's."""
_KEY = ("website_id", "import_id", "line")
_HASHED = ("line", "outcome", "contact_id", "company_id", "changes", "basis")


async def make_plan(work: Work) -> None:
    """Read the file from where the work stopped to its end. Raises Refused when it is kept no longer."""
    reader = Reader(path_of(work.folder, work.row.file), layout_of_import(work.row))
    interpreter = interpreter_of(work.row, await _zone_of(work))
    only = await _lines_again(work)
    rows = _wanted(reader, work.checkpoint.get("line", 0), only)
    async with one_ahead(_planned(work, partial(_next_chunk, rows, interpreter))) as chunks:
        async for planned in chunks:
            _count(work, planned, reader)
            await work.db.transact(partial(_save, work=work, rows=planned))
    await work.db.transact(lambda connection: _end(connection, work))
    if work.checkpoint.get("erased"):
        forget(work.folder, work.row.file)


LookUp = Callable[
    [AsyncConnection, Work, Rules, Sequence[Row], Sequence[TableRow]],
    Awaitable[Callable[[Row], TableRow]],
]
"""What plans a row of a chunk; the planned rows of the chunk before may be on their way still."""
_LOOK_UPS: Mapping[str, LookUp] = {
    "contacts": contact_plan.look_up_chunk,
    "companies": company_plan.look_up_chunk,
}


async def _planned(
    work: Work, read: Callable[[], list[Row]]
) -> AsyncGenerator[list[TableRow], None]:
    rules = Rules(work.row.mode, work.row.options.get("segment"))
    look_up = _LOOK_UPS[work.row.kind]
    before: list[TableRow] = []
    while chunk := await asyncio.to_thread(read):
        async with work.db.read() as connection:
            plan_row = await look_up(connection, work, rules, chunk, before)
        before = await asyncio.to_thread(_plan_chunk, chunk, plan_row)
        yield before


def _plan_chunk(chunk: Sequence[Row], plan_row: Callable[[Row], TableRow]) -> list[TableRow]:
    return [plan_row(row) for row in chunk]


async def _zone_of(work: Work) -> str:
    from app.websites.rules import require_website

    async with work.db.read() as connection:
        return str((await require_website(connection, work.website_id)).time_zone)


async def _lines_again(work: Work) -> frozenset[int] | None:
    """Only the rows that were refused, when a commit is planned again; None for the whole file."""
    if not work.checkpoint.get("again"):
        return None
    async with work.db.read() as connection:
        rows = await connection.execute(
            select(import_rows.c.line).where(
                import_rows.c.website_id == work.website_id,
                import_rows.c.import_id == work.row_id,
                import_rows.c.state == "refused",
            )
        )
        return frozenset(row.line for row in rows)


def _wanted(reader: Reader, after: int, only: frozenset[int] | None) -> Iterator[RawRow]:
    for row in reader:
        if row.line > after and (only is None or row.line in only):
            yield row


def _next_chunk(rows: Iterator[RawRow], interpreter: Interpreter) -> list[Row]:
    return [interpreter(raw) for raw in islice(rows, CHUNK)]


def _count(work: Work, planned: Sequence[TableRow], reader: Reader) -> None:
    again = bool(work.checkpoint.get("again"))
    counts = work.counts
    for row in planned:
        counts[row["outcome"]] = counts.get(row["outcome"], 0) + 1
        if row["problems"] and row["outcome"] in {"create", "update", "unchanged"}:
            counts["warnings"] = counts.get("warnings", 0) + 1
    if not again:
        counts["rows"] = counts.get("rows", 0) + len(planned)
    if any(problem["code"] == "erased" for row in planned for problem in row["problems"] or ()):
        # The plan is all that is needed; the file must not keep whom nothing else keeps (SPEC P6).
        work.checkpoint["erased"] = True
    digest = hashlib.sha256(str(work.checkpoint.get("hash", "")).encode())
    digest.update(dump_json([[row[name] for name in _HASHED] for row in planned]).encode())
    work.checkpoint |= {
        "line": planned[-1]["line"],
        "hash": digest.hexdigest(),
        "read": reader.read_bytes,
        "size": reader.size,
    }


async def _save(connection: AsyncConnection, work: Work, rows: Sequence[TableRow]) -> None:
    await work.save(connection)
    await ensure_statistics(connection, import_rows.name)
    update: tuple[str, ...] = ()
    if work.checkpoint.get("again"):
        update = tuple(name for name in rows[0] if name not in _KEY)
    await upsert(connection, import_rows, rows, key=_KEY, update=update)


async def _end(connection: AsyncConnection, work: Work) -> None:
    moment = clock.now()
    values: dict[str, Any] = {
        "state": "planned",
        "plan_hash": hashlib.sha256(
            f"{work.row_id}{work.checkpoint.get('hash', '')}{moment}".encode()
        ).hexdigest()[:32],
        "planned_at": moment,
        "expires_at": moment + timedelta(hours=PLAN_HOURS),
        "lease_owner": None,
    }
    if work.checkpoint.get("erased"):
        values["file"] = None
    work.counts.setdefault("rows", 0)
    await work.save(connection, **values)
