"""Bad rows of a first import that came in, repaired, with a second one (SPEC I8).

Where the second had bad rows of its own that came in with a third, they are good rows of the first as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.imports.tables import import_rows, imports
from app.imports.work import Work

_c = import_rows.c
_BAD = (_c.outcome == "error") | (_c.state == "refused")


async def mark_repaired(connection: AsyncConnection, work: Work) -> None:
    """Bad rows of an earlier import that came in with this one count there as repaired (SPEC I8)."""
    website_id, repair, first = work.website_id, work.row_id, work.row.repairs
    is_in = _c.outcome.in_(("unchanged", "skip")) | _c.state.in_(("applied", "repaired"))
    while first is not None:
        good = _origins(website_id, repair).where(is_in)
        await _set_state(connection, website_id, first, "repaired", _BAD, _c.line.in_(good))
        await count_repaired(connection, website_id, first)
        repair, first = first, await _repaired_by(connection, website_id, first)


async def unmark_repaired(
    connection: AsyncConnection,
    website_id: str,
    first: str | None,
    import_id: str,
    lines: Sequence[int] | None,
) -> None:
    """Rows of the first import are bad again when what repaired them is taken back.

    Not those that this import only found as they should be, nor those that another one wrote as well.
    """
    gone = _origins(website_id, import_id).where(_c.state.in_(("undone", "kept")))
    if lines is not None:
        gone = gone.where(_c.line.in_(lines))
    while first is not None:
        others = select(imports.c.id).where(
            imports.c.website_id == website_id,
            imports.c.repairs == first,
            imports.c.id != import_id,
        )
        stand = select(_c.origin).where(
            _c.website_id == website_id,
            _c.import_id.in_(others),
            _c.origin.is_not(None),
            _c.state.in_(("applied", "repaired")),
        )
        repaired = (_c.state == "repaired") & _c.line.in_(gone) & _c.line.not_in(stand)
        was_error = _c.outcome == "error"
        await _set_state(connection, website_id, first, "planned", repaired, was_error)
        await _set_state(connection, website_id, first, "refused", repaired, ~was_error)
        await count_repaired(connection, website_id, first)
        gone = _origins(website_id, first).where(_BAD, _c.state != "repaired", _c.line.in_(gone))
        import_id, first = first, await _repaired_by(connection, website_id, first)


def _origins(website_id: str, import_id: str) -> Select[Any]:
    """The lines of the first import that this one's rows repair."""
    return select(_c.origin).where(
        _c.website_id == website_id, _c.import_id == import_id, _c.origin.is_not(None)
    )


async def _set_state(
    connection: AsyncConnection,
    website_id: str,
    import_id: str,
    state: str,
    *where: ColumnElement[bool],
) -> None:
    mine = (_c.website_id == website_id, _c.import_id == import_id)
    await connection.execute(import_rows.update().where(*mine, *where).values(state=state))


async def _repaired_by(connection: AsyncConnection, website_id: str, import_id: str) -> str | None:
    """The import whose bad rows this one repairs."""
    found: str | None = await connection.scalar(
        select(imports.c.repairs).where(
            imports.c.website_id == website_id, imports.c.id == import_id
        )
    )
    return found


async def count_repaired(connection: AsyncConnection, website_id: str, import_id: str) -> None:
    where = (imports.c.website_id == website_id, imports.c.id == import_id)
    counts = await connection.scalar(select(imports.c.counts).where(*where))
    repaired = await connection.scalar(
        select(func.count()).where(
            import_rows.c.website_id == website_id,
            import_rows.c.import_id == import_id,
            import_rows.c.state == "repaired",
        )
    )
    if counts is not None:
        told = {**counts, "repaired": repaired}
        await connection.execute(imports.update().where(*where).values(counts=told))
