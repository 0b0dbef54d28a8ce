"""A file compared with what is stored, row by row and set by set: the plan that a commit then applies (SPEC I7)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.problems import Problem
from app.db.base import dump_json, new_id
from app.db.statistics import ensure_statistics
from app.db.upsert import Row as TableRow
from app.db.upsert import upsert
from app.imports.ahead import one_ahead
from app.imports.diff import (
    Changes,
    NamedCompany,
    Rules,
    basis_kind,
    changes_of,
    kept_by_hand,
    outcome_of,
    sources_before,
)
from app.imports.known import Known
from app.imports.reader import RawRow, Reader
from app.imports.rows import Interpreter, Row
from app.imports.seen import Seen, addresses_in, company_key, look_up
from app.imports.setup import interpreter_of, layout_of_import
from app.imports.tables import import_rows
from app.imports.uploads import forget, path_of
from app.imports.work import Work
from app.sources import is_by_hand

CHUNK = 2000
PLAN_HOURS = 24
"""After that a plan is made anew: what it compared with is yesterday's."""
_KEY = ("website_id", "import_id", "line")
_HASHED = ("line", "outcome", "contact_id", "changes", "basis")


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


async def _planned(
    work: Work, read: Callable[[], list[Row]]
) -> AsyncGenerator[list[TableRow], None]:
    rules = Rules(work.row.mode, work.row.options.get("segment"))
    before: list[TableRow] = []
    while chunk := await asyncio.to_thread(read):
        async with work.db.read() as connection:
            seen = await look_up(connection, work, chunk)
        # They may be on their way into the database still.
        seen.add(before)
        before = await asyncio.to_thread(_plan_chunk, work, rules, chunk, seen)
        yield before


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


def _plan_chunk(work: Work, rules: Rules, chunk: Sequence[Row], seen: Seen) -> list[TableRow]:
    return [_plan_row(work, rules, row, seen) for row in chunk]


def _plan_row(work: Work, rules: Rules, row: Row, seen: Seen) -> TableRow:
    holders = seen.holders.get(row.email_norm, [])
    if _names_erased(row, seen):
        return _error_row(work, row, [_ERASED]) | {"email_norm": None, "cells": None}
    problem = None if row.problems else _conflict(row, holders, seen)
    if problem is not None:
        problem = replace(problem, column=_column_of_email(work))
    if row.problems or problem is not None:
        return _error_row(work, row, [*row.problems, *([problem] if problem else [])])
    known = holders[0] if holders else None
    changes = changes_of(row, known, rules, _named_company(row, seen))
    outcome = outcome_of(rules, known, changes)
    seen.lines.setdefault(row.email_norm, row.line)
    if known is not None:
        seen.contact_lines.setdefault(known.row.id, row.line)
    skipped = [_SKIPPED[rules.mode]] if outcome == "skip" else []
    kept = kept_by_hand(row, known, rules)
    planned = _table_row(work, row, outcome, [*skipped, *row.notes, *kept])
    if row.company is not None and row.description and outcome != "skip":
        planned["company_key"] = company_key(row, seen)
        seen.company_keys.add(planned["company_key"])
    if outcome in {"create", "update"}:
        planned["changes"] = _with_ids(changes, known)
    if known is not None:
        planned["contact_id"] = known.row.id
        planned["basis"] = known.digest(basis_kind(row))
    elif outcome == "create":
        planned["contact_id"] = new_id()
    return planned


def _with_ids(changes: Changes, known: Known | None) -> Changes:
    """And what an undo will need. A commit then has nothing more to write into rows that went well."""
    if known is not None and "fields" in changes:
        changes["sources"] = sources_before(changes, known)
    if (company := changes.get("company")) and company["joins"]:
        company["opened"] = new_id()
    return changes


# Without the address: what is not kept anywhere is not kept here either.
_ERASED = Problem("erased", "Whoever has this address was erased, and stays out.")


def _names_erased(row: Row, seen: Seen) -> bool:
    if not seen.erased:
        return False
    named = {row.email_norm, *(addresses_in(row) if row.problems else ())}
    return not seen.erased.isdisjoint(named)


def _column_of_email(work: Work) -> str | None:
    return next((told["column"] for told in work.row.columns if told["to"] == "email"), None)


def _conflict(row: Row, holders: Sequence[Known], seen: Seen) -> Problem | None:
    if (line := seen.lines.get(row.email_norm)) is not None:
        reason = f"The same address stands in line {line}, which counts."
        return Problem(
            "duplicate_address", reason, "email", row.email, "Remove this row, or that one."
        )
    if len(holders) > 1:
        return Problem(
            "ambiguous_address",
            f"{len(holders)} contacts have this address.",
            "email",
            row.email,
            "Merge them, or use an address that only one of them has.",
        )
    if holders and (line := seen.contact_lines.get(holders[0].row.id)) is not None:
        reason = f"Line {line} is about the same contact, which has both addresses."
        return Problem(
            "duplicate_contact", reason, "email", row.email, "Remove this row, or that one."
        )
    return None


def _named_company(row: Row, seen: Seen) -> NamedCompany | None:
    if row.company is None:
        return None
    found = seen.companies.get(row.company.key)
    first = company_key(row, seen) not in seen.company_keys
    if found is None:
        return NamedCompany(None, None, first)
    by_hand = is_by_hand(found.field_sources, "attributes.description")
    return NamedCompany(found.id, found.attributes.get("description"), first, by_hand)


_SKIPPED = {
    mode: Problem(code, reason)
    for mode, code, reason in (
        ("create-only", "exists", "A contact with this address exists already."),
        ("update-only", "unknown_contact", "No contact has this address."),
    )
}


def _error_row(work: Work, row: Row, problems: Sequence[Problem]) -> TableRow:
    return _table_row(work, row, "error", problems) | {"cells": row.cells}


def _table_row(work: Work, row: Row, outcome: str, problems: Sequence[Problem]) -> TableRow:
    return {
        "website_id": work.website_id,
        "import_id": work.row_id,
        "line": row.line,
        "outcome": outcome,
        "state": "planned",
        "email_norm": row.email_norm or None,
        "contact_id": None,
        "company_key": None,
        "changes": None,
        "problems": [problem.as_json() for problem in problems] or None,
        "cells": None,
        "basis": None,
        "origin": row.origin,
    }


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
