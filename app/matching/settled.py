"""Conversations without a contact about which nobody needs to be asked: their domain is a company's, or ignored."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, not_, select

from app.companies.tables import companies, domain_ties
from app.conversations.tables import conversations
from app.matching.statements import domain_of

_t = domain_ties.c


def is_tied(website_id: str) -> ColumnElement[bool]:
    """Its domain is one of a company that is there to see (SPEC M9)."""
    same = and_(companies.c.website_id == _t.website_id, companies.c.id == _t.company_id)
    shown = (
        select(_t.domain)
        .join_from(domain_ties, companies, same)
        .where(_t.website_id == website_id, companies.c.deleted_at.is_(None))
    )
    return _is_of(shown)


def is_ignored(website_id: str) -> ColumnElement[bool]:
    nobodys = select(_t.domain).where(_t.website_id == website_id, _t.company_id.is_(None))
    return _is_of(nobodys)


def is_open(website_id: str) -> ColumnElement[bool]:
    """Neither."""
    return and_(not_(is_tied(website_id)), not_(is_ignored(website_id)))


def _is_of(domains: object) -> ColumnElement[bool]:
    address = conversations.c.email_norm
    return and_(address.is_not(None), domain_of(address).in_(domains))  # type: ignore[arg-type]  # a SELECT
