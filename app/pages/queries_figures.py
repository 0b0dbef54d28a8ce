"""Conversations counted: in all, and by the days or weeks in which they were opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.tables import conversations
from app.pages.queries_conversations import OPEN
from app.pages.times import Moments


@dataclass(frozen=True, slots=True)
class Figures:
    """Of some conversations; `opened` and `written` by the spans that were asked for."""

    conversations: int
    open: int
    messages: int
    rating: float | None
    last_contact: datetime | None
    first_opened: datetime | None
    opened: list[int]
    written: list[int]


def _in_spans(
    moments: Moments, spans: Sequence[tuple[date, date]], label: str, what: Any
) -> list[ColumnElement[Any]]:
    opened = conversations.c.crisp_created_at
    begin = moments.start_of(spans[0][0])
    edges = pairwise([begin, *_ends(moments, spans)])
    return [
        func.sum(case((and_(opened >= start, opened < end), what), else_=0)).label(f"{label}_{n}")
        for n, (start, end) in enumerate(edges)
    ]


def _ends(moments: Moments, spans: Sequence[tuple[date, date]]) -> list[datetime]:
    after = moments.start_of(spans[-1][1] + timedelta(days=1))
    return [*(moments.start_of(first) for first, _ in spans[1:]), after]


async def opened_in(
    connection: AsyncConnection,
    website_id: str,
    moments: Moments,
    spans: Sequence[tuple[date, date]],
) -> list[int]:
    """How many were opened in each of the days or weeks, which follow each other."""
    c, begin = conversations.c, moments.start_of(spans[0][0])
    # A sum for each span would look at each conversation once for each of them.
    span: ColumnElement[int] = case(
        *((c.crisp_created_at < end, n) for n, end in enumerate(_ends(moments, spans)))
    )
    found = (
        select(span.label("span"))
        .where(
            c.website_id == website_id,
            c.deleted_at.is_(None),
            c.crisp_created_at >= begin,
            # Nothing is updated before it is opened, and there is an index by this.
            c.crisp_updated_at >= begin,
        )
        .subquery("found")
    )
    query = select(found.c.span, func.count()).group_by(found.c.span)
    counts: dict[int, int] = {row[0]: row[1] for row in await connection.execute(query)}
    return [counts.get(n, 0) for n in range(len(spans))]


async def figures(
    connection: AsyncConnection,
    website_id: str,
    where: Sequence[ColumnElement[bool]],
    moments: Moments,
    spans: Sequence[tuple[date, date]],
) -> Figures:
    """One statement, one row."""
    c = conversations.c
    columns = (
        func.count().label("conversations"),
        func.sum(case((c.status.in_(OPEN), 1), else_=0)).label("open"),
        func.sum(c.message_count).label("messages"),
        func.avg(c.rating).label("rating"),
        func.max(
            func.coalesce(c.last_message_at, c.crisp_updated_at), type_=c.last_message_at.type
        ).label("last_contact"),
        func.min(c.crisp_created_at, type_=c.crisp_created_at.type).label("first_opened"),
    )
    query = select(
        *columns,
        *_in_spans(moments, spans, "opened", 1),
        *_in_spans(moments, spans, "written", c.message_count),
    ).where(c.website_id == website_id, c.deleted_at.is_(None), *where)
    row = (await connection.execute(query)).one()
    by_span = [int(total or 0) for total in row[len(columns) :]]
    return Figures(
        int(row.conversations),
        int(row.open or 0),
        int(row.messages or 0),
        float(row.rating) if row.rating is not None else None,
        row.last_contact,
        row.first_opened,
        by_span[: len(spans)],
        by_span[len(spans) :],
    )
