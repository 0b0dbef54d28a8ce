"""Conversations without a contact in groups, by reason and by the domain of the visitor's address."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.tables import conversations
from app.db.keyset import Cursor, KeyPage, fetch_page
from app.edits.wishes import group_of, unmatched_of
from app.matching.settled import is_ignored, is_left_alone, is_open, is_tied
from app.pages.queries_conversations import SORTS, rows_of
from app.pages.rows import AnyRow, AnySelect

_c = conversations.c
PLACES = SORTS["updated"].order


async def by_reason(connection: AsyncConnection, website_id: str) -> Sequence[AnyRow]:
    """Without those about which nobody is asked any more."""
    query = by_reason_query(website_id).where(is_open(website_id))
    return (await connection.execute(query)).all()


def by_reason_query(website_id: str) -> AnySelect:
    """Of all, settled or not."""
    return (
        select(
            _c.unmatched_reason.label("reason"),
            func.count().label("n"),
            func.max(_c.crisp_updated_at, type_=_c.crisp_updated_at.type).label("latest"),
        )
        .where(*unmatched_of(website_id))
        .group_by(_c.unmatched_reason)
        .order_by(func.count().desc(), _c.unmatched_reason)
    )


async def count_settled(connection: AsyncConnection, website_id: str) -> AnyRow:
    """`tied`, `ignored`, `left`: how many conversations, each in the first that applies."""

    def of(condition: ColumnElement[bool], *before: ColumnElement[bool]) -> ColumnElement[int]:
        hidden = [(one, 0) for one in before]
        return func.coalesce(func.sum(case(*hidden, (condition, 1), else_=0)), 0)

    tied, ignored, left = is_tied(website_id), is_ignored(website_id), is_left_alone()
    query = select(
        of(tied).label("tied"),
        of(ignored, tied).label("ignored"),
        of(left, tied, ignored).label("left"),
    ).where(*unmatched_of(website_id))
    return (await connection.execute(query)).one()


async def count_group(
    connection: AsyncConnection, website_id: str, reason: str, domain: str | None
) -> int:
    where = [*unmatched_of(website_id), *group_of(website_id, reason, domain)]
    query = select(func.count()).select_from(conversations).where(*where)
    return (await connection.execute(query)).scalar_one()


async def read_group(
    connection: AsyncConnection,
    website_id: str,
    group: tuple[str, str | None],
    cursor: Cursor | None,
    size: int,
) -> KeyPage:
    """Of one reason and domain, newest first; with the visitor's address."""
    where = [*unmatched_of(website_id), *group_of(website_id, *group)]
    return await fetch_page(connection, rows_of(website_id).where(*where), PLACES, cursor, size)


async def read_few(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> Sequence[AnyRow]:
    """Those conversations, in the order of the ids."""
    rows = (await connection.execute(rows_of(website_id).where(_c.id.in_(ids)))).all()
    return sorted(rows, key=lambda row: ids.index(row.id))
