"""What an import did to companies, kept so that an undo can take it back."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.edited import Trace, take_back_company
from app.db.upsert import Row, upsert
from app.imports.tables import import_companies

_KEY = ("website_id", "import_id", "company_id")


async def keep_traces(
    connection: AsyncConnection, website_id: str, import_id: str, traces: Sequence[Trace]
) -> None:
    """A company that was touched before keeps what it was before the first time."""
    if not traces:
        return
    earlier = {
        trace.company_id: trace for trace in await traces_of(connection, website_id, import_id)
    }
    rows: list[Row] = []
    for trace in traces:
        first = earlier.get(trace.company_id, trace)
        aliases = first.aliases + [a for a in trace.aliases if a not in first.aliases]
        rows.append(
            {
                "website_id": website_id,
                "import_id": import_id,
                "company_id": trace.company_id,
                "made": first.made,
                "before": first.before,
                "after": trace.after,
                "aliases": aliases,
            }
        )
    update = ("after", "aliases")
    await upsert(connection, import_companies, rows, key=_KEY, update=update)


async def traces_of(
    connection: AsyncConnection, website_id: str, import_id: str, ids: Sequence[str] | None = None
) -> list[Trace]:
    query = select(import_companies).where(
        import_companies.c.website_id == website_id, import_companies.c.import_id == import_id
    )
    rows = await connection.execute(query.order_by(import_companies.c.company_id))
    return [
        Trace(row.company_id, row.made, row.before, row.after, row.aliases)
        for row in rows
        if ids is None or row.company_id in ids
    ]


async def take_back_companies(
    connection: AsyncConnection, website_id: str, import_id: str
) -> list[str]:
    """Undo what can be; a sentence for each company that stays."""
    kept: list[str] = []
    for trace in await traces_of(connection, website_id, import_id):
        reason = await take_back_company(connection, website_id, trace)
        if reason is not None:
            kept.append(reason)
            continue
        await connection.execute(
            delete(import_companies).where(
                import_companies.c.website_id == website_id,
                import_companies.c.import_id == import_id,
                import_companies.c.company_id == trace.company_id,
            )
        )
    return kept
