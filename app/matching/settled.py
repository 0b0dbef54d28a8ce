"""Conversations without a contact about which nobody needs to be asked any more.

Their domain is a company's, or ignored, or a person left them as they are.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, not_, or_, select

from app.companies.tables import companies, domain_ties
from app.conversations.tables import conversations
from app.db.base import AnySelect
from app.matching.statements import domain_of
from app.matching.tables import left_alone

_t = domain_ties.c


def is_left_alone() -> ColumnElement[bool]:
    """Only as long as why it has no contact is the same."""
    c, left = conversations.c, left_alone.c
    return exists().where(
        left.website_id == c.website_id,
        left.conversation_id == c.id,
        left.reason == c.unmatched_reason,
    )


def is_open(website_id: str) -> ColumnElement[bool]:
    """None of these. Both kinds of domains are asked at once: the domain of an address is slow to find."""
    settled = _is_of_domains(website_id, or_(_NOBODYS, _SHOWN))
    return not_(or_(settled, is_left_alone()))


def settled_domains(website_id: str) -> AnySelect:
    """`domain`, and the company that it is tied to, which is there to see; NULL where it is ignored."""
    return _domains(website_id, or_(_NOBODYS, _SHOWN)).add_columns(_t.company_id)


_SHOWN = companies.c.id.is_not(None) & companies.c.deleted_at.is_(None)
_NOBODYS = _t.company_id.is_(None)


def _domains(website_id: str, which: ColumnElement[bool]) -> AnySelect:
    same = and_(companies.c.website_id == _t.website_id, companies.c.id == _t.company_id)
    return (
        select(_t.domain)
        .join_from(domain_ties, companies, same, isouter=True)
        .where(_t.website_id == website_id, which)
    )


def _is_of_domains(website_id: str, which: ColumnElement[bool]) -> ColumnElement[bool]:
    address = conversations.c.email_norm
    return and_(address.is_not(None), domain_of(address).in_(_domains(website_id, which)))
