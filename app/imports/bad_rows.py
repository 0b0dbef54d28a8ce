"""The rows that stayed out, as a CSV file to repair and upload again (SPEC I8)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import or_, select

from app.contacts.problems import Problem
from app.db.base import StoredRow
from app.db.session import Database
from app.imports.export import csv_line
from app.imports.tables import import_rows
from app.spreadsheet import undefused

IMPORT, LINE = "crispsync_import", "crispsync_line"
ADDED = (
    IMPORT,
    LINE,
    "crispsync_column",
    "crispsync_code",
    "crispsync_reason",
    "crispsync_suggestion",
)
_CHUNK = 500


def origin_of(names: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[int, str] | None:
    """Which column holds the first file's lines, and that import's id; None for any other file."""
    if IMPORT not in names or LINE not in names or not rows:
        return None
    at = names.index(IMPORT)
    ids = {row[at].strip() for row in rows if at < len(row)}
    return (names.index(LINE), ids.pop()) if len(ids) == 1 else None


async def bad_rows(
    db: Database, row: StoredRow, names: Sequence[str], cells_of: Any
) -> AsyncIterator[str]:
    """Lines of CSV: the file's columns, and what is wrong. `cells_of(lines)` reads cells of refused rows."""
    kept = [name for name in names if name not in ADDED]
    places = [number for number, name in enumerate(names) if name not in ADDED]
    yield csv_line([*kept, *ADDED])
    after = 0
    while chunk := await _next(db, row, after):
        after = chunk[-1].line
        # Of whoever was erased nothing is read again.
        missing = [one.line for one in chunk if one.cells is None and not _is_erased(one)]
        read = await cells_of(missing) if missing else {}
        for one in chunk:
            cells = one.cells if one.cells is not None else read.get(one.line, [])
            # The file may have been one of bad rows itself; a value is defused once, not once more.
            cells = [undefused(cell) for cell in cells]
            padded = [cells[n] if n < len(cells) else "" for n in places]
            # What has no column stands behind, to be put where it belongs.
            yield csv_line([*padded, *_told(row.id, one), *cells[len(names) :]])


async def _next(db: Database, row: StoredRow, after: int) -> Sequence[StoredRow]:
    async with db.read() as connection:
        rows = await connection.execute(
            select(import_rows)
            .where(
                import_rows.c.website_id == row.website_id,
                import_rows.c.import_id == row.id,
                or_(import_rows.c.outcome == "error", import_rows.c.state == "refused"),
                import_rows.c.state != "repaired",
                import_rows.c.line > after,
            )
            .order_by(import_rows.c.line)
            .limit(_CHUNK)
        )
        return rows.all()


def _is_erased(row: StoredRow) -> bool:
    return any(problem["code"] == "erased" for problem in row.problems or ())


def _told(import_id: str, row: StoredRow) -> list[str]:
    problems: list[dict[str, Any]] = row.problems or [Problem("", "").as_json()]
    columns = [problem["column"] or "" for problem in problems]
    return [
        import_id,
        str(row.line),
        *(_joined(values) for values in (columns, *_texts(problems))),
    ]


def _texts(problems: Sequence[dict[str, Any]]) -> list[list[str]]:
    return [[problem[name] for problem in problems] for name in ("code", "reason", "suggestion")]


def _joined(values: Sequence[str]) -> str:
    return " | ".join(value for value in values if value)
