"""Companies as rows of a list, one company, and its members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, distinct, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies, company_aliases, contact_companies
from app.contacts.tables import contacts
from app.conversations.tables import conversation_companies, conversations
from app.db.keyset import ByteOrder, KeyPage, Order, fetch_page
from app.pages.facets import Facets, count_facets
from app.pages.listing import Asked, Sort
from app.pages.queries_conversations import OPEN
from app.pages.rows import AnyRow, AnySelect
from app.published.searching import matching_words

SORTS: Mapping[str, Sort] = {
    "name": Sort("Name", Order(ByteOrder(companies.c.search), companies.c.id, str, nullable=False)),
    "added": Sort("Added", Order(companies.c.created_at, companies.c.id, datetime, nullable=False)),
}
DEFAULT_SORT = "name"
FACETS = ("domain", "open")
FILTERS: Mapping[str, frozenset[str] | None] = {
    "domain": frozenset({"yes", "no"}),
    "open": frozenset({"yes"}),
}
MEMBERS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class CompanyList:
    page: KeyPage
    facets: Facets
    members: Mapping[str, int]
    counts: Mapping[str, AnyRow]


async def read_page(connection: AsyncConnection, website_id: str, asked: Asked) -> KeyPage:
    c = companies.c
    query = _narrowed(select(c.id, c.name, c.domain, c.created_at), website_id, asked)
    for name, values in chosen_values(asked.chosen).items():
        query = query.where(_facet_column(website_id, name).in_(values))
    return await fetch_page(connection, query, asked.order, asked.cursor, asked.size)


async def list_companies(connection: AsyncConnection, website_id: str, asked: Asked) -> CompanyList:
    """Four statements, whatever the size."""
    page = await read_page(connection, website_id, asked)
    ids = [row.id for row in page.rows]
    return CompanyList(
        page,
        await _count(connection, website_id, asked),
        await member_counts(connection, website_id, ids),
        await counts_of(connection, website_id, ids),
    )


def chosen_values(chosen: Mapping[str, str]) -> dict[str, frozenset[str]]:
    return {name: frozenset({chosen[name]}) for name in FACETS if name in chosen}


def _narrowed(query: AnySelect, website_id: str, asked: Asked) -> AnySelect:
    query = query.where(companies.c.website_id == website_id, companies.c.deleted_at.is_(None))
    return matching_words(query, companies, asked.q)


def _facet_column(website_id: str, name: str) -> ColumnElement[str]:
    if name == "domain":
        return case((companies.c.domain.is_(None), "no"), else_="yes")
    return case((companies.c.id.in_(_with_open(website_id)), "yes"), else_="no")


def _with_open(website_id: str) -> AnySelect:
    # Asked once for all companies, and from the few open conversations on: SQLite would begin
    # with all links of the website.
    link, c = conversation_companies.c, conversations.c
    open_ones = select(c.id).where(
        c.website_id == website_id, c.status.in_(OPEN), c.deleted_at.is_(None)
    )
    return select(link.company_id).where(
        link.website_id == website_id, link.conversation_id.in_(open_ones)
    )


async def _count(connection: AsyncConnection, website_id: str, asked: Asked) -> Facets:
    columns = [_facet_column(website_id, name).label(name) for name in FACETS]
    rows = _narrowed(select(*columns), website_id, asked).subquery()
    query = select(*(rows.c[name] for name in FACETS), func.count().label("n"))
    found = await connection.execute(query.group_by(*(rows.c[name] for name in FACETS)))
    groups = [(tuple(str(value) for value in row[:-1]), int(row.n)) for row in found]
    return count_facets(FACETS, groups, chosen_values(asked.chosen))


async def member_counts(
    connection: AsyncConnection, website_id: str, company_ids: Sequence[str]
) -> dict[str, int]:
    """Present members, each once, deleted contacts not among them."""
    if not company_ids:
        return {}
    rows = await connection.execute(member_counts_query(website_id, company_ids))
    return {row.company_id: row.members for row in rows}


def member_counts_query(website_id: str, company_ids: Sequence[str]) -> AnySelect:
    link = contact_companies.c
    return (
        select(link.company_id, func.count(distinct(link.contact_id)).label("members"))
        .join_from(
            contact_companies,
            contacts,
            and_(contacts.c.website_id == link.website_id, contacts.c.id == link.contact_id),
        )
        .where(
            link.website_id == website_id,
            link.company_id.in_(company_ids),
            link.until.is_(None),
            contacts.c.deleted_at.is_(None),
        )
        .group_by(link.company_id)
    )


async def counts_of(
    connection: AsyncConnection, website_id: str, company_ids: Sequence[str]
) -> dict[str, AnyRow]:
    if not company_ids:
        return {}
    link, c = conversation_companies.c, conversations.c
    last = func.coalesce(c.last_message_at, c.crisp_updated_at)
    query = (
        select(
            link.company_id,
            func.count().label("conversations"),
            func.sum(case((c.status.in_(OPEN), 1), else_=0)).label("open"),
            func.max(last, type_=c.last_message_at.type).label("last_contact"),
        )
        .join_from(
            conversation_companies,
            conversations,
            and_(c.website_id == link.website_id, c.id == link.conversation_id),
        )
        .where(link.website_id == website_id, link.company_id.in_(company_ids))
        .where(c.deleted_at.is_(None))
        .group_by(link.company_id)
    )
    return {row.company_id: row for row in await connection.execute(query)}


async def get_company(
    connection: AsyncConnection, website_id: str, company_id: str
) -> AnyRow | None:
    query = select(companies).where(
        companies.c.website_id == website_id, companies.c.id == company_id
    )
    return (await connection.execute(query)).first()


def aliases_query(website_id: str, company_id: str) -> AnySelect:
    a = company_aliases.c
    return (
        select(a.kind, a.value)
        .where(a.website_id == website_id, a.company_id == company_id)
        .order_by(a.kind, a.value)
        .limit(50)
    )


def members_query(website_id: str, company_id: str) -> AnySelect:
    """Present members first; one more than is shown tells that there are more."""
    link = contact_companies.c
    return (
        select(
            contacts.c.id, contacts.c.name, contacts.c.email, contacts.c.deleted_at,
            contacts.c.attributes, contacts.c.last_active_at, link.since, link.until,
        )
        .join_from(
            contact_companies,
            contacts,
            and_(contacts.c.website_id == link.website_id, contacts.c.id == link.contact_id),
        )
        .where(link.website_id == website_id, link.company_id == company_id)
        .order_by(link.until.is_not(None), ByteOrder(contacts.c.search), contacts.c.id)
        .limit(MEMBERS_SHOWN + 1)
    )  # fmt: skip
