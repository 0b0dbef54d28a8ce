"""Which conversations and people an audit looks at, and how many a day (SPEC S8)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import to_ms
from app.contacts.tables import contacts
from app.conversations.tables import conversations
from app.websites.rules import WebsiteRules

AGES = 4
"""Of each quarter of the conversations, by their last update, as many: old ones are asked for too."""
PAGES_OF_PEOPLE = 3
LEAST, MOST = 10, 2_000


def daily_sample(quota: int, share_percent: float, websites: int) -> dict[str, int]:
    """What the schedule asks for: `sample` conversations within `requests_at_most`."""
    requests = max(LEAST, round(quota * share_percent / 100 / max(1, websites)))
    return {
        "sample": min(MOST, max(LEAST, requests - AGES - PAGES_OF_PEOPLE)),
        "requests_at_most": requests,
    }


async def choose(connection: AsyncConnection, rules: WebsiteRules, size: int) -> dict[str, Any]:
    """For the checkpoint: ids, and before which moments a page of each list is read."""
    chosen: list[str] = []
    moments: list[int] = []
    if rules.import_conversations:
        chosen, moments = await _choose_conversations(connection, rules.id, size)
    people = await _choose_people(connection, rules.id) if rules.import_people else []
    return {"chosen": chosen, "listed_before_ms": moments, "people_before_ms": people}


async def _choose_conversations(
    connection: AsyncConnection, website_id: str, size: int
) -> tuple[list[str], list[int]]:
    """Of every age those that were compared longest ago; and the newest moment of each age's part."""
    c = conversations.c
    aged = (
        select(
            c.id,
            c.crisp_updated_at,
            func.coalesce(c.verified_ms, 0).label("verified_ms"),
            func.ntile(AGES).over(order_by=(c.crisp_updated_at, c.id)).label("age"),
        )
        .where(c.website_id == website_id, c.deleted_at.is_(None), c.crisp_updated_at.is_not(None))
        .subquery("aged")
    )
    longest = (aged.c.verified_ms, aged.c.crisp_updated_at.desc(), aged.c.id)
    nth = func.row_number().over(partition_by=aged.c.age, order_by=longest).label("nth")
    ranked = select(aged, nth).subquery("ranked")
    each = -(-size // AGES)
    rows = (
        await connection.execute(
            select(ranked).where(ranked.c.nth <= each).order_by(ranked.c.nth, ranked.c.age.desc())
        )
    ).all()
    newest = {row.age: to_ms(row.crisp_updated_at) for row in rows if row.nth == 1}
    return [str(row.id) for row in rows][:size], sorted(newest.values(), reverse=True)


async def _choose_people(connection: AsyncConnection, website_id: str) -> list[int]:
    """A page of people begins at each of these moments of creation: around whoever was seen longest ago."""
    c = contacts.c
    aged = (
        select(
            c.id,
            c.signed_up_at,
            c.seen_ms,
            func.ntile(PAGES_OF_PEOPLE).over(order_by=(c.signed_up_at, c.id)).label("age"),
        )
        .where(
            c.website_id == website_id,
            c.crisp_people_id.is_not(None),
            c.deleted_at.is_(None),
            c.signed_up_at.is_not(None),
        )
        .subquery("aged")
    )
    nth = func.row_number().over(partition_by=aged.c.age, order_by=(aged.c.seen_ms, aged.c.id))
    ranked = select(aged, nth.label("nth")).subquery("ranked")
    rows = await connection.execute(select(ranked.c.signed_up_at).where(ranked.c.nth == 1))
    return sorted({to_ms(row.signed_up_at) for row in rows}, reverse=True)
