"""What moved lately, by company: one look at the conversations for those who ask who writes most, and who does not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CTE, and_, case, func, select, union_all

from app.companies.tables import companies
from app.conversations.tables import conversation_companies, conversations
from app.db.base import AnySelect

_CLOCKS = timedelta(days=1)
_c, _link = conversations.c, conversation_companies.c
spoken_at = func.coalesce(_c.last_message_at, _c.crisp_updated_at)
"""When somebody last wrote in a conversation."""


def moved_lately(website_id: str, since: datetime) -> CTE:
    """By `company_id`, which is NULL for those without one: how many conversations `moved` since then, how
    many of them are `open`, and whether somebody `spoke` since then, 1 or 0.
    """
    recent = union_all(
        # A message moves this as well, give or take the clocks, and there is an index by it.
        _told(website_id).where(_c.crisp_updated_at >= since - _CLOCKS),
        _told(website_id).where(_c.crisp_updated_at.is_(None)),
    ).subquery("recent")
    owned = and_(_link.website_id == website_id, _link.conversation_id == recent.c.id)
    moved = recent.c.crisp_updated_at >= since
    return (
        select(
            _link.company_id,
            func.count(case((moved, 1))).label("moved"),
            func.count(case((and_(moved, recent.c.status != "resolved"), 1))).label("open"),
            func.max(case((recent.c.spoken_at > since, 1), else_=0)).label("spoke"),
        )
        # An outer join, so that SQLite begins with the recent ones and not with all links.
        .select_from(recent.outerjoin(conversation_companies, owned))
        .group_by(_link.company_id)
        .cte("moved")
    )


def _told(website_id: str) -> AnySelect:
    told = select(_c.id, _c.status, _c.crisp_updated_at, spoken_at.label("spoken_at"))
    return told.where(_c.website_id == website_id, _c.deleted_at.is_(None))


def busiest_of(moved: CTE, website_id: str, most: int) -> AnySelect:
    """`id`, `name`, `moved`, `open` of the companies with the most conversations that moved."""
    # One more, should they be those without a company.
    first: Any = (
        select(moved)
        .where(moved.c.moved > 0)
        .order_by(moved.c.moved.desc(), moved.c.company_id)
        .limit(most + 1)
        .subquery("first")
    )
    return (
        select(companies.c.id, companies.c.name, first.c.moved, first.c.open)
        .join_from(companies, first, companies.c.id == first.c.company_id)
        .where(companies.c.website_id == website_id)
        .order_by(first.c.moved.desc(), companies.c.id)
        .limit(most)
    )
