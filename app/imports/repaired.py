"""Bad rows of a first import that came in, repaired, with a second one (SPEC I8)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.imports.tables import import_rows, imports
from app.imports.work import Work


async def mark_repaired(connection: AsyncConnection, work: Work) -> None:
    """Bad rows of an earlier import that came in with this one count there as repaired (SPEC I8)."""
    first = work.row.repairs
    if first is None:
        return
    good = select(import_rows.c.origin).where(
        import_rows.c.website_id == work.website_id,
        import_rows.c.import_id == work.row_id,
        import_rows.c.origin.is_not(None),
        import_rows.c.outcome.in_(("unchanged", "skip"))
        | import_rows.c.state.in_(("applied", "repaired")),
    )
    await connection.execute(
        import_rows.update()
        .where(
            import_rows.c.website_id == work.website_id,
            import_rows.c.import_id == first,
            import_rows.c.line.in_(good),
            (import_rows.c.outcome == "error") | (import_rows.c.state == "refused"),
        )
        .values(state="repaired")
    )
    await count_repaired(connection, work.website_id, first)


async def unmark_repaired(
    connection: AsyncConnection,
    website_id: str,
    first: str | None,
    import_id: str,
    lines: Sequence[int] | None,
) -> None:
    """Rows of the first import are bad again when what repaired them is taken back."""
    if first is None:
        return
    origins = select(import_rows.c.origin).where(
        import_rows.c.website_id == website_id,
        import_rows.c.import_id == import_id,
        import_rows.c.origin.is_not(None),
        *([import_rows.c.line.in_(lines)] if lines is not None else []),
    )
    await connection.execute(
        import_rows.update()
        .where(
            import_rows.c.website_id == website_id,
            import_rows.c.import_id == first,
            import_rows.c.line.in_(origins),
            import_rows.c.state == "repaired",
        )
        .values(state="refused")
    )
    await connection.execute(
        import_rows.update()
        .where(
            import_rows.c.website_id == website_id,
            import_rows.c.import_id == first,
            import_rows.c.outcome == "error",
            import_rows.c.state == "refused",
        )
        .values(state="planned")
    )
    await count_repaired(connection, website_id, first)


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
