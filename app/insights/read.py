"""Figures of the conversations opened in a period, as they are or as they were.

What their threads tell is kept (app/insights/keep.py). Only of those that changed a moment ago it is read
from their messages, and of all as of a past moment. Three statements, however many conversations; one
more finds their companies.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies
from app.contacts.tables import contacts
from app.conversations.tables import conversation_companies, conversations, operators
from app.db.base import StoredRow
from app.db.one_of import is_one_of
from app.errors import Refused
from app.insights.groups import (
    By,
    Counted,
    GroupFigures,
    Key,
    Member,
    Opened,
    Owners,
    members_by,
    newest_first,
    summed_by,
)
from app.insights.keep import FACTS, read_changed, read_facts
from app.insights.tables import thread_facts
from app.insights.thread import ThreadFacts, facts_of, figures_of
from app.insights.threads import read_said
from app.websites.business_hours import BusinessHours, read_hours
from app.websites.rules import require_website

MOST, MOST_READ = 100_000, 20_000
"""Conversations of one question, and of those the ones whose threads are read for it: beyond, a shorter
period is asked for.
"""
_TOO_MANY = "More than {:,} conversations were opened then: ask for a shorter period."


@dataclass(frozen=True, slots=True)
class Period:
    """Conversations opened in [since, until); with `as_of`, as they were at that moment."""

    since: datetime
    until: datetime
    as_of: datetime | None = None


async def hours_of(connection: AsyncConnection, website_id: str, hours_text: str) -> BusinessHours:
    """The website's; `hours_text` where it has none of its own. Raises NotFound, Refused."""
    website = await require_website(connection, website_id)
    return read_hours(website.business_hours or hours_text, website.time_zone)


async def read_groups(
    connection: AsyncConnection, website_id: str, by: By, period: Period, hours: BusinessHours
) -> list[GroupFigures]:
    """Those with most conversations first, weeks in their order. Raises Refused."""
    opened, owners = await _opened_and_owners(connection, website_id, by, period, hours)
    return summed_by(by, opened, owners, hours)


async def read_behind(
    connection: AsyncConnection, website_id: str, by: By, key: str, period: Period,
    hours: BusinessHours,
) -> list[Member]:  # fmt: skip
    """The conversations that one group's figures were made of, newest first. Raises as `read_groups`."""
    opened, owners = await _opened_and_owners(connection, website_id, by, period, hours)
    return newest_first(one for one in members_by(by, opened, owners, hours) if one.key[0] == key)


async def _opened_and_owners(
    connection: AsyncConnection, website_id: str, by: By, period: Period, hours: BusinessHours
) -> tuple[list[Opened], Owners]:
    opened = await read_opened(connection, website_id, period, hours, with_contacts=by == "contact")
    return opened, await read_owners(connection, website_id, period) if by == "company" else {}


async def read_opened(
    connection: AsyncConnection,
    website_id: str,
    period: Period,
    hours: BusinessHours,
    *narrowed: ColumnElement[bool],
    with_contacts: bool = True,
) -> list[Opened]:
    """`narrowed` are further conditions on `conversations`. Raises Refused when there are too many.

    Whose they are is not read unless it is wanted: it takes a look into another table for each.
    """
    where = (*_within(website_id, period), *narrowed)
    as_of = period.as_of
    # Before the facts: whatever is kept meanwhile makes them newer, never older.
    changed = await read_changed(connection, website_id, hours) if as_of is None else None
    rows = await _rows(connection, where, with_contacts=with_contacts)
    unkept = [
        own_id for own_id, kept, *_ in rows if not kept or changed is None or own_id in changed
    ]
    if len(unkept) > MOST_READ:
        raise Refused(_TOO_MANY.format(MOST_READ))
    if unkept and len(unkept) < len(rows):
        where = (conversations.c.website_id == website_id, is_one_of(conversations.c.id, unkept))
    said = await read_said(connection, *where, until=as_of) if unkept else {}
    read = {own_id: facts_of(said.get(own_id, ()), hours) for own_id in unkept}
    return [_opened(row, read, as_of) for row in rows]


async def read_nth_newest(
    connection: AsyncConnection,
    website_id: str,
    until: datetime,
    n: int,
    *narrowed: ColumnElement[bool],
) -> datetime | None:
    """When the conversation was opened that has n newer ones before `until`; None when there are not so many.

    Removed ones count: the index alone answers.
    """
    c = conversations.c
    opened_at: datetime | None = await connection.scalar(
        select(c.crisp_created_at)
        .where(c.website_id == website_id, c.crisp_created_at < until, *narrowed)
        .order_by(c.crisp_created_at.desc())
        .offset(n)
        .limit(1)
    )
    return opened_at


def _within(website_id: str, period: Period) -> tuple[ColumnElement[bool], ...]:
    c = conversations.c
    until = min(period.until, period.as_of) if period.as_of else period.until
    return (
        c.website_id == website_id,
        c.deleted_at.is_(None),
        c.crisp_created_at >= period.since,
        c.crisp_created_at < until,
        # Nothing is updated before it is opened, and there is an index by this.
        c.crisp_updated_at >= period.since,
    )


def _opened(row: StoredRow, read: Mapping[str, ThreadFacts], as_of: datetime | None) -> Opened:
    # By place, as in `read_facts`.
    (
        own_id, _, status, rating, opened_at, assigned_to, contact_id, name, email, responder,
        *facts,
    ) = row  # fmt: skip
    told = read.get(own_id) or read_facts(facts, responder)
    figures = figures_of(told, status if as_of is None else None)
    # A contact that is gone, or that has no name yet, is named by its address.
    contact = (contact_id, name or email or "") if contact_id is not None else None
    counted = Counted(figures, rating if as_of is None else None)
    return Opened(own_id, opened_at, contact, figures.responder or assigned_to, counted)


async def _rows(
    connection: AsyncConnection, where: Sequence[ColumnElement[bool]], *, with_contacts: bool
) -> Sequence[StoredRow]:
    c, f = conversations.c, thread_facts.c
    of_contacts = (contacts.c.id, contacts.c.name, contacts.c.email)
    theirs = and_(contacts.c.website_id == c.website_id, contacts.c.id == c.contact_id)
    talks = conversations.outerjoin(contacts, theirs) if with_contacts else conversations
    assigned = and_(
        operators.c.website_id == c.website_id, operators.c.user_id == c.assigned_user_id
    )
    kept = and_(f.website_id == c.website_id, f.conversation_id == c.id)
    responders = operators.alias("responders")
    answered = and_(responders.c.website_id == c.website_id, responders.c.user_id == f.responder_id)
    rows = await connection.execute(
        select(
            c.id,
            f.reopenings.is_not(None).label("kept"),
            c.status,
            c.rating,
            c.crisp_created_at,
            func.coalesce(operators.c.name, c.assigned_to).label("assigned_to"),
            *(
                (column if with_contacts else null()).label(f"contact_{column.name}")
                for column in of_contacts
            ),
            responders.c.name.label("responder_now"),
            *FACTS,
        )
        .select_from(
            talks.outerjoin(operators, assigned)
            .outerjoin(thread_facts, kept)
            .outerjoin(responders, answered)
        )
        .where(*where)
        .limit(MOST + 1)
    )
    found = rows.all()
    if len(found) > MOST:
        raise Refused(_TOO_MANY.format(MOST))
    return found


async def read_owners(connection: AsyncConnection, website_id: str, period: Period) -> Owners:
    """The companies of the period's conversations, in one statement."""
    link, c = conversation_companies.c, conversations.c
    mine = and_(link.website_id == c.website_id, link.conversation_id == c.id)
    theirs = and_(companies.c.website_id == link.website_id, companies.c.id == link.company_id)
    rows = await connection.execute(
        select(link.conversation_id, companies.c.id, companies.c.name)
        .select_from(conversations.join(conversation_companies, mine).join(companies, theirs))
        .where(*_within(website_id, period))
        .order_by(companies.c.name, companies.c.id)
    )
    found: dict[str, list[Key]] = defaultdict(list)
    for row in rows:
        found[row.conversation_id].append((row.id, row.name))
    return found
