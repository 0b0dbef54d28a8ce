"""When each event last arrived, whatever became of it: what an admin ticked in Crisp's form works (SPEC H2)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.base import AnySelect
from app.db.together import ask_together
from app.webhooks.letters import LOOKED_AT, Filter, chosen, nearest
from app.webhooks.tables import hook_days


async def last_arrivals(connection: AsyncConnection, website_id: str | None) -> dict[str, datetime]:
    """By event; of one website, or None: of whichever, and of what is nobody's.

    What waits or is parked, as everything before the first import, is not counted by day yet: of it the
    newest LOOKED_AT are looked at.
    """
    queries = [_counted(website_id), *_uncounted(website_id)]
    found: dict[str, datetime] = {}
    for row in [row for rows in await ask_together(connection, *queries) for row in rows]:
        found[row.event] = max(row.last, found.get(row.event, row.last))
    return found


def _counted(website_id: str | None) -> AnySelect:
    d = hook_days.c
    last = func.max(d.last_received_at, type_=d.last_received_at.type)
    query = select(d.event, last.label("last")).group_by(d.event)
    return query if website_id is None else query.where(d.website_id == website_id)


def _uncounted(website_id: str | None) -> Iterator[AnySelect]:
    if website_id is None:
        wanted = [Filter(("new", "parked"))]
    else:
        wanted = [Filter((state,), website_id=website_id) for state in ("new", "parked")]
    for one in wanted:
        near = nearest(one, None, LOOKED_AT).subquery()
        last = func.max(near.c.received_at, type_=near.c.received_at.type)
        query = select(near.c.event, last.label("last")).where(*chosen(one, near.c))
        yield query.group_by(near.c.event)
