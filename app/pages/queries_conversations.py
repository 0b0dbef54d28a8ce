"""Conversations as rows of a list, with whose they are and how many each filter would show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies
from app.conversations.tables import conversation_companies, conversations, messages
from app.db.json_texts import has_text
from app.db.keyset import Cursor, KeyPage, Order, fetch_page
from app.db.words import HelpingWords, has_words, words_of
from app.normal import fold_for_search
from app.pages.facets import NOBODY, Facets, count_facets
from app.pages.listing import Asked, Sort, ends_with, read_day
from app.pages.rows import AnyRow, AnySelect
from app.pages.times import Moments
from app.published.conversation_rows import rows_of
from app.published.searching import matching_words, says

OPEN = frozenset({"unresolved", "pending"})
SORTS: Mapping[str, Sort] = {
    "updated": Sort(
        "Updated", Order(conversations.c.crisp_updated_at, conversations.c.id, datetime)
    ),
    "opened": Sort("Opened", Order(conversations.c.crisp_created_at, conversations.c.id, datetime)),
    "messages": Sort(
        "Messages", Order(conversations.c.message_count, conversations.c.id, int, nullable=False)
    ),
}
DEFAULT_SORT = "-updated"
_UPDATED, _ID = conversations.c.crisp_updated_at, conversations.c.id
# The same order without its index: for the few conversations of one contact or company, SQLite
# would otherwise walk through all of the website's in this order to find them.
FEW = Order(func.coalesce(_UPDATED, _UPDATED), func.coalesce(_ID, _ID), datetime)
FACETS = ("status", "operator", "origin", "matched")
FILTERS: Mapping[str, frozenset[str] | None] = {
    "status": frozenset({"open", "unresolved", "pending", "resolved"}),
    "operator": None,
    "origin": None,
    "matched": frozenset({"yes", "no"}),
    "text": None,
    "segment": None,
    "reason": None,
    "domain": None,
    "contact": None,
    "company": None,
    "waiting": frozenset({"1"}),
    "rated": frozenset({"1"}),
    "from": None,
    "to": None,
}


@dataclass(frozen=True, slots=True)
class ConversationList:
    page: KeyPage
    facets: Facets
    companies: Mapping[str, list[AnyRow]]


async def read_page(
    connection: AsyncConnection, website_id: str, asked: Asked, moments: Moments
) -> KeyPage:
    query = _narrowed(rows_of(website_id), website_id, asked, moments)
    for name, values in chosen_values(asked.chosen).items():
        query = query.where(_facet_column(name).in_(values))
    return await fetch_page(connection, query, asked.order, asked.cursor, asked.size)


async def list_conversations(
    connection: AsyncConnection, website_id: str, asked: Asked, moments: Moments
) -> ConversationList:
    """Three statements, whatever the size."""
    page = await read_page(connection, website_id, asked, moments)
    facets = await _count(connection, website_id, asked, moments)
    owners = await companies_of(connection, website_id, [row.id for row in page.rows])
    return ConversationList(page, facets, owners)


def chosen_values(chosen: Mapping[str, str]) -> dict[str, frozenset[str]]:
    values = {name: frozenset({chosen[name]}) for name in FACETS if name in chosen}
    if chosen.get("status") == "open":
        values["status"] = OPEN
    return values


def _facet_column(name: str) -> ColumnElement[str]:
    c = conversations.c
    if name == "matched":
        return case((c.contact_id.is_(None), "no"), else_="yes")
    if name == "status":
        return c.status
    column = c.assigned_to if name == "operator" else c.origin
    return func.coalesce(column, NOBODY)


async def _count(
    connection: AsyncConnection, website_id: str, asked: Asked, moments: Moments
) -> Facets:
    """Grouped in the order of an index, which holds all of it: no row is read, nothing is sorted.

    Of a few rows that were found otherwise, SQLite would still walk through that whole index, so there
    the columns are hidden from it.
    """
    c = conversations.c
    keys: tuple[ColumnElement[Any], ...] = (c.status, c.assigned_to, c.origin)
    if asked.q or set(asked.chosen) - {*FACETS, "waiting"}:
        keys = tuple(func.coalesce(key, NOBODY).label(key.name) for key in keys)
    # None of those that have a reason: that need not be read, and the index of reasons does not hold it.
    matched = literal(0) if "reason" in asked.chosen else func.count(c.contact_id)
    query = select(*keys, func.count().label("n"), matched.label("matched")).where(
        c.website_id == website_id, c.deleted_at.is_(None)
    )
    query = _narrowed(query, website_id, asked, moments).group_by(*keys)
    groups: list[tuple[tuple[str, ...], int]] = []
    for row in await connection.execute(query):
        known = (row.status, row.assigned_to or NOBODY, row.origin or NOBODY)
        groups += [((*known, "yes"), row.matched), ((*known, "no"), row.n - row.matched)]
    return count_facets(
        FACETS, [group for group in groups if group[1]], chosen_values(asked.chosen)
    )


def _narrowed(query: AnySelect, website_id: str, asked: Asked, moments: Moments) -> AnySelect:
    """Everything that narrows the list besides the filters that are counted."""
    c, chosen = conversations.c, asked.chosen
    query = matching_words(query, conversations, asked.q)
    if "text" in chosen and (words := words_of(chosen["text"])):
        query = query.where(c.id.in_(says(website_id, words, notes=True)))
    if "segment" in chosen:
        query = query.where(has_text(c.metadata, chosen["segment"], "segments"))
        if words := words_of(fold_for_search(chosen["segment"])):
            query = query.where(has_words("conversations", words, HelpingWords))
    for name, column in (("reason", c.unmatched_reason), ("contact", c.contact_id)):
        if name in chosen:
            query = query.where(column == chosen[name])
    if "domain" in chosen:
        query = query.where(_has_domain(chosen["domain"]))
    if "company" in chosen:
        query = query.where(belongs_to(website_id, chosen["company"]))
    if "waiting" in chosen:
        query = query.where(*waiting())
    query = query.where(c.rating.is_not(None)) if "rated" in chosen else query
    return _opened_between(query, chosen, moments)


def _has_domain(domain: str) -> ColumnElement[bool]:
    norm = conversations.c.email_norm
    return norm.is_(None) if domain == NOBODY else ends_with(norm, f"@{domain}")


def _opened_between(query: AnySelect, chosen: Mapping[str, str], moments: Moments) -> AnySelect:
    first, last = read_day(chosen.get("from")), read_day(chosen.get("to"))
    column = conversations.c.crisp_created_at
    if first:
        query = query.where(column >= moments.start_of(first))
    if last:
        query = query.where(column < moments.start_of(last + timedelta(days=1)))
    return query


def belongs_to(website_id: str, company_id: str) -> ColumnElement[bool]:
    # A list of ids, not a question per conversation: a company has few of all conversations.
    link = conversation_companies.c
    own = select(link.conversation_id).where(
        link.website_id == website_id, link.company_id == company_id
    )
    return conversations.c.id.in_(own)


def last_human(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """That column of the last message that a person wrote to a person (SPEC V8, "waiting")."""
    m = messages.c
    return (
        select(column)
        .where(
            m.website_id == conversations.c.website_id,
            m.conversation_id == conversations.c.id,
            m.direction != "internal",
            m.automated == literal(False, m.automated.type),
            m.deleted_at.is_(None),
        )
        .order_by(m.sent_at.desc().nulls_last(), m.fingerprint.desc())
        .limit(1)
        .correlate(conversations)
        .scalar_subquery()
    )


def waiting() -> tuple[ColumnElement[bool], ...]:
    return (
        conversations.c.status.in_(OPEN),
        conversations.c.deleted_at.is_(None),
        last_human(messages.c.direction) == literal("inbound"),
    )


async def companies_of(
    connection: AsyncConnection, website_id: str, conversation_ids: Iterable[str]
) -> dict[str, list[AnyRow]]:
    """The companies that each of these conversations belongs to."""
    ids = list(conversation_ids)
    found: dict[str, list[AnyRow]] = defaultdict(list)
    if not ids:
        return found
    for row in await connection.execute(companies_query(website_id, ids)):
        found[row.conversation_id].append(row)
    return found


def companies_query(website_id: str, conversation_ids: Sequence[str]) -> AnySelect:
    link = conversation_companies.c
    return (
        select(link.conversation_id, companies.c.id, companies.c.name)
        .join_from(
            conversation_companies,
            companies,
            and_(companies.c.website_id == link.website_id, companies.c.id == link.company_id),
        )
        .where(link.website_id == website_id, link.conversation_id.in_(conversation_ids))
        .order_by(companies.c.name, companies.c.id)
    )


async def newest(
    connection: AsyncConnection,
    website_id: str,
    where: Sequence[ColumnElement[bool]],
    limit: int,
    cursor: Cursor | None = None,
) -> KeyPage:
    """The newest of some, without counting them: the lists inside other pages."""
    order = FEW if where else SORTS["updated"].order
    query = rows_of(website_id).where(*where)
    return await fetch_page(connection, query, order, cursor, limit)


async def newest_few(
    connection: AsyncConnection, website_id: str, where: Sequence[ColumnElement[bool]], limit: int
) -> Sequence[AnyRow]:
    """The same without places to page from, in one statement."""
    query = rows_of(website_id).where(*where)
    query = query.order_by(FEW.column.desc().nulls_last(), FEW.id.desc()).limit(limit)
    return (await connection.execute(query)).all()
