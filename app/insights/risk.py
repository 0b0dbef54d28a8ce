"""Accounts at risk, each with its reasons: silent, waiting, badly rated (SPEC V8)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies
from app.conversations.tables import conversation_companies, conversations
from app.errors import Refused
from app.insights.business_hours import DEFAULT, read_hours
from app.insights.read import MOST, waiting_of

Reason = Literal["waiting", "badly_rated", "silent"]

BAD_RATING = 2.0
RATED_WITHIN = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class AccountAtRisk:
    """A company; of the three reasons those that hold are set."""

    company_id: str
    name: str
    silent_days: int | None
    waiting_since: datetime | None
    rating: float | None

    @property
    def reasons(self) -> list[Reason]:
        held: dict[Reason, Any] = {
            "waiting": self.waiting_since,
            "badly_rated": self.rating,
            "silent": self.silent_days,
        }
        return [name for name, value in held.items() if value is not None]


async def accounts_at_risk(
    connection: AsyncConnection,
    website_id: str,
    now: datetime,
    *,
    silent_days: int,
    waiting_hours: int,
) -> list[AccountAtRisk]:
    """Those with most reasons first, then who waits longest. Silent: nobody wrote for so many days.

    Raises Refused when more conversations are open than one look can take in.
    """
    waiting = await _waiting(connection, website_id, now - timedelta(hours=waiting_hours))
    found = []
    for row in await _companies(connection, website_id, now - RATED_WITHIN):
        silent = (now - row.last_at).days if row.last_at is not None else 0
        rating = float(row.rating) if row.rating is not None else None
        account = AccountAtRisk(
            row.id,
            row.name,
            silent if silent >= silent_days else None,
            waiting.get(row.id),
            round(rating, 2) if rating is not None and rating <= BAD_RATING else None,
        )
        if account.reasons:
            found.append(account)
    return sorted(found, key=lambda one: _urgency(one, now))


def _urgency(one: AccountAtRisk, now: datetime) -> tuple[Any, ...]:
    return -len(one.reasons), one.waiting_since or now, one.name, one.company_id


async def _companies(
    connection: AsyncConnection, website_id: str, rated_since: datetime
) -> Sequence[Any]:
    c, link = conversations.c, conversation_companies.c
    last = func.max(
        func.coalesce(c.last_message_at, c.crisp_updated_at), type_=c.crisp_updated_at.type
    )
    counted = (
        select(
            link.company_id,
            last.label("last_at"),
            func.avg(case((c.crisp_updated_at >= rated_since, c.rating))).label("rating"),
        )
        .join_from(
            conversations,
            conversation_companies,
            and_(link.website_id == c.website_id, link.conversation_id == c.id),
        )
        .where(c.website_id == website_id, c.deleted_at.is_(None))
        .group_by(link.company_id)
        .subquery("counted")
    )
    query = (
        select(companies.c.id, companies.c.name, counted.c.last_at, counted.c.rating)
        .join_from(companies, counted, companies.c.id == counted.c.company_id)
        .where(companies.c.website_id == website_id)
    )
    return (await connection.execute(query)).all()


async def _waiting(
    connection: AsyncConnection, website_id: str, before: datetime
) -> dict[str, datetime]:
    """Company to since when its customers have waited longest; only those before that moment."""
    c, link = conversations.c, conversation_companies.c
    rows = (
        await connection.execute(
            select(c.id, c.status)
            .where(
                c.website_id == website_id,
                c.deleted_at.is_(None),
                c.status != "resolved",
                c.message_count > 0,
            )
            .limit(MOST + 1)
        )
    ).all()
    if len(rows) > MOST:
        raise Refused(f"More than {MOST:,} conversations are open.")
    since = await waiting_of(connection, website_id, rows, read_hours(DEFAULT, "UTC"))
    late = {own_id: at for own_id, at in since.items() if at <= before}
    owners = await connection.execute(
        select(link.conversation_id, link.company_id).where(link.website_id == website_id)
    )
    found: dict[str, list[datetime]] = defaultdict(list)
    for row in owners:
        if row.conversation_id in late:
            found[row.company_id].append(late[row.conversation_id])
    return {company_id: min(moments) for company_id, moments in found.items()}
