"""Contacts as rows of a list, and one contact."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, case, exists, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies, contact_companies
from app.contacts.tables import contact_emails, contacts
from app.conversations.tables import conversations
from app.db.json_texts import has_text
from app.db.keyset import ByteOrder, KeyPage, Order, fetch_page
from app.pages.facets import Facets, count_facets
from app.pages.listing import Asked, Sort
from app.pages.queries_conversations import OPEN
from app.pages.rows import AnyRow, AnySelect
from app.published.searching import matching_words

# Written as in the index that has this order (alembic/versions/*_quick_pages.py).
NAME = literal_column("substr(contacts.search, 1, 200)", Text())

SORTS: Mapping[str, Sort] = {
    # The folded text begins with the name, or with the address of somebody without a name:
    # what the list shows, in an order that both databases share.
    "name": Sort("Name", Order(ByteOrder(NAME), contacts.c.id, str, nullable=False)),
    "active": Sort("Last active", Order(contacts.c.last_active_at, contacts.c.id, datetime)),
    "signed": Sort("Signed up", Order(contacts.c.signed_up_at, contacts.c.id, datetime)),
}
DEFAULT_SORT = "-active"
FACETS = ("source", "company", "deleted")
FILTERS: Mapping[str, frozenset[str] | None] = {
    "source": frozenset({"crisp", "csv", "api", "manual"}),
    "company": frozenset({"yes", "no"}),
    "deleted": frozenset({"yes"}),
    "of": None,
    "segment": None,
}


@dataclass(frozen=True, slots=True)
class ContactList:
    page: KeyPage
    facets: Facets
    companies: Mapping[str, list[AnyRow]]
    counts: Mapping[str, AnyRow]


async def read_page(connection: AsyncConnection, website_id: str, asked: Asked) -> KeyPage:
    c = contacts.c
    query = select(
        c.id, c.name, c.email, c.phone, c.source, c.segments,
        c.last_active_at, c.signed_up_at, c.deleted_at,
    )  # fmt: skip
    query = _narrowed(query, website_id, asked)
    for name, values in chosen_values(asked.chosen).items():
        query = query.where(_facet_column(website_id, name).in_(values))
    return await fetch_page(connection, query, asked.order, asked.cursor, asked.size)


async def list_contacts(connection: AsyncConnection, website_id: str, asked: Asked) -> ContactList:
    """Four statements, whatever the size."""
    page = await read_page(connection, website_id, asked)
    ids = [row.id for row in page.rows]
    return ContactList(
        page,
        await _count(connection, website_id, asked),
        await companies_of(connection, website_id, ids),
        await counts_of(connection, website_id, ids),
    )


def chosen_values(chosen: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Deleted contacts are shown only where they are asked for."""
    values = {name: frozenset({chosen[name]}) for name in ("source", "company") if name in chosen}
    return values | {"deleted": frozenset({chosen.get("deleted", "no")})}


def _narrowed(query: AnySelect, website_id: str, asked: Asked) -> AnySelect:
    query = query.where(contacts.c.website_id == website_id)
    if "of" in asked.chosen:
        query = query.where(_member(contact_companies.c.company_id == asked.chosen["of"]))
    if "segment" in asked.chosen:
        query = query.where(has_text(contacts.c.segments, asked.chosen["segment"]))
    return matching_words(query, contacts, asked.q)


def _member(*where: ColumnElement[bool]) -> ColumnElement[bool]:
    link = contact_companies.c
    return exists().where(
        link.website_id == contacts.c.website_id, link.contact_id == contacts.c.id, *where
    )


def _facet_column(website_id: str, name: str) -> ColumnElement[str]:
    if name == "source":
        return contacts.c.source
    if name == "company":
        # Asked once for all contacts, not once for each; hidden companies are few.
        link = contact_companies.c
        hidden = select(companies.c.id).where(
            companies.c.website_id == website_id, companies.c.deleted_at.is_not(None)
        )
        present = select(link.contact_id).where(
            link.website_id == website_id, link.until.is_(None), link.company_id.not_in(hidden)
        )
        return case((contacts.c.id.in_(present), "yes"), else_="no")
    return case((contacts.c.deleted_at.is_(None), "no"), else_="yes")


async def _count(connection: AsyncConnection, website_id: str, asked: Asked) -> Facets:
    columns = [_facet_column(website_id, name).label(name) for name in FACETS]
    rows = _narrowed(select(*columns), website_id, asked).subquery()
    query = select(*(rows.c[name] for name in FACETS), func.count().label("n"))
    found = await connection.execute(query.group_by(*(rows.c[name] for name in FACETS)))
    groups = [(tuple(str(value) for value in row[:-1]), int(row.n)) for row in found]
    return count_facets(FACETS, groups, chosen_values(asked.chosen))


async def companies_of(
    connection: AsyncConnection, website_id: str, contact_ids: Sequence[str]
) -> dict[str, list[AnyRow]]:
    """The companies each of these contacts belongs to now, without deleted ones."""
    found: dict[str, list[AnyRow]] = defaultdict(list)
    if not contact_ids:
        return found
    contact_id = contact_companies.c.contact_id
    query = _belonging(website_id, contact_id, companies.c.id, companies.c.name)
    query = query.where(contact_id.in_(contact_ids)).order_by(companies.c.name, companies.c.id)
    for row in await connection.execute(query):
        found[row.contact_id].append(row)
    return found


def _belonging(website_id: str, *columns: ColumnElement[Any]) -> AnySelect:
    """Those columns of who belongs now to which company that is there to see."""
    link = contact_companies.c
    return (
        select(*columns)
        .join_from(
            contact_companies,
            companies,
            and_(companies.c.website_id == link.website_id, companies.c.id == link.company_id),
        )
        .where(
            link.website_id == website_id, link.until.is_(None), companies.c.deleted_at.is_(None)
        )
    )


async def counts_of(
    connection: AsyncConnection, website_id: str, contact_ids: Sequence[str]
) -> dict[str, AnyRow]:
    if not contact_ids:
        return {}
    c = conversations.c
    query = (
        select(
            c.contact_id,
            func.count().label("conversations"),
            func.sum(case((c.status.in_(OPEN), 1), else_=0)).label("open"),
        )
        .where(c.website_id == website_id, c.contact_id.in_(contact_ids), c.deleted_at.is_(None))
        .group_by(c.contact_id)
    )
    return {row.contact_id: row for row in await connection.execute(query)}


async def get_contact(
    connection: AsyncConnection, website_id: str, contact_id: str
) -> AnyRow | None:
    unshown = {"search", "crisp_raw", "crisp_fields"}
    shown = [column for column in contacts.c if column.name not in unshown]
    query = select(*shown).where(contacts.c.website_id == website_id, contacts.c.id == contact_id)
    return (await connection.execute(query)).first()


def addresses_query(website_id: str, contact_id: str) -> AnySelect:
    e = contact_emails.c
    return (
        select(e.email_norm, e.is_primary, e.source)
        .where(e.website_id == website_id, e.contact_id == contact_id)
        .order_by(e.is_primary.desc(), e.email_norm)
        .limit(100)
    )
