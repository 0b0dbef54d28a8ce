"""The figures of a website, which conversations wait for an answer, and who writes most."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies
from app.contacts.tables import contacts
from app.conversations.tables import conversations
from app.db.together import ask_together
from app.insights.waiting import waiting_threads
from app.pages.queries_conversations import OPEN
from app.pages.rows import AnyRow, AnySelect
from app.pages.states import UNFINISHED
from app.published.conversation_rows import rows_of
from app.sync.tables import sync_runs
from app.webhooks.hook_figures import last_of, last_query


@dataclass(frozen=True, slots=True)
class Totals:
    """`last_hook`: when one last arrived, whether it is dealt with or waits or is parked."""

    contacts: int
    companies: int
    conversations: int
    open: int
    messages: int
    last_hook: datetime | None


async def totals(connection: AsyncConnection, website_id: str) -> Totals:
    """One statement."""
    c = conversations.c

    def counted(table: Any, *where: Any) -> Any:
        query = select(func.count()).select_from(table)
        return query.where(table.c.website_id == website_id, *where).scalar_subquery()

    query = select(
        counted(contacts, contacts.c.deleted_at.is_(None)).label("contacts"),
        counted(companies, companies.c.deleted_at.is_(None)).label("companies"),
        func.count().label("conversations"),
        func.coalesce(func.sum(case((c.status.in_(OPEN), 1), else_=0)), 0).label("open"),
        func.coalesce(func.sum(c.message_count), 0).label("messages"),
    ).where(c.website_id == website_id, c.deleted_at.is_(None))
    (numbers,), (newest,) = await ask_together(connection, query, last_query(website_id))
    return Totals(**numbers._asdict(), last_hook=last_of(newest))


async def waiting_and_newest(
    connection: AsyncConnection, website_id: str, limit: int, changed: Collection[str] | None
) -> tuple[Sequence[AnyRow], Sequence[AnyRow]]:
    """Those that wait longest, each with `waiting_since` and in `waiting_count` how many wait in all,
    and the newest ones; one statement. `changed`: see `read_changed`.
    """
    waiting, newest = await ask_together(
        connection, _longest_waiting(website_id, limit, changed), _newest(website_id, limit)
    )
    return waiting, newest


def _longest_waiting(website_id: str, limit: int, changed: Collection[str] | None) -> AnySelect:
    threads = waiting_threads(website_id, changed).subquery("threads")
    many = select(func.count()).select_from(threads).scalar_subquery()
    longest = (
        select(threads.c.id, threads.c.since)
        .order_by(threads.c.since, threads.c.id)
        .limit(limit)
        .subquery("longest")
    )
    return (
        rows_of(website_id, longest.c.since.label("waiting_since"), many.label("waiting_count"))
        .join(longest, longest.c.id == conversations.c.id)
        .order_by(longest.c.since, longest.c.id)
    )


def _newest(website_id: str, limit: int) -> AnySelect:
    c = conversations.c
    query = rows_of(website_id).where(c.crisp_updated_at.is_not(None))
    order = (c.crisp_updated_at.desc(), c.id.desc())
    return query.order_by(*order).limit(limit)


async def last_runs(connection: AsyncConnection, website_id: str) -> dict[str, AnyRow]:
    """`sync` and `audit`: the newest finished one of each, as far as there is one."""
    r = sync_runs.c
    is_audit = case((r.kind == "audit", "audit"), else_="sync").label("part")
    order = func.row_number().over(partition_by=is_audit, order_by=(r.finished_at.desc(), r.id))
    finished = (
        select(sync_runs, is_audit, order.label("nth"))
        .where(r.website_id == website_id, r.finished_at.is_not(None), r.state.not_in(UNFINISHED))
        .subquery("finished")
    )
    rows = await connection.execute(select(finished).where(finished.c.nth == 1))
    return {row.part: row for row in rows}
