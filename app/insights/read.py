"""Reading threads for figures: of the conversations opened in a period, as they are or as they were.

Two statements, however many conversations: one for them, one for what was said in them. A third
finds their companies.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies
from app.contacts.tables import contacts
from app.conversations.tables import conversation_companies, conversations, messages, operators
from app.db.base import StoredRow
from app.errors import Refused
from app.insights.groups import Counted, GroupFigures, summed_up
from app.insights.thread import Said, figures_of
from app.websites.business_hours import BusinessHours, read_hours
from app.websites.rules import require_website

By = Literal["contact", "company", "operator", "week"]

MOST = 20_000
"""Conversations of one question: beyond, a shorter period is asked for."""
_STATE = "state:"
_STATES = frozenset({"pending", "unresolved", "resolved"})


@dataclass(frozen=True, slots=True)
class Period:
    """Conversations opened in [since, until); with `as_of`, as they were at that moment."""

    since: datetime
    until: datetime
    as_of: datetime | None = None


Key = tuple[str, str]
"""A group's key and its name."""
Owners = Mapping[str, Sequence[Key]]
"""The companies of each conversation, by its id."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A conversation of the period; `operator` is who first answered, else whom it is assigned to."""

    id: str
    opened_at: datetime
    contact: Key | None
    operator: str | None
    counted: Counted


@dataclass(frozen=True, slots=True)
class Member:
    """A conversation in one of its groups."""

    id: str
    opened_at: datetime
    key: Key
    counted: Counted


async def hours_of(connection: AsyncConnection, website_id: str, hours_text: str) -> BusinessHours:
    """The website's; `hours_text` where it has none of its own. Raises NotFound, Refused."""
    website = await require_website(connection, website_id)
    return read_hours(website.business_hours or hours_text, website.time_zone)


async def read_groups(
    connection: AsyncConnection, website_id: str, by: By, period: Period, hours: BusinessHours
) -> list[GroupFigures]:
    """Those with most conversations first, weeks in their order. Raises Refused."""
    return summed_by(by, await _members(connection, website_id, by, period, hours))


async def read_behind(
    connection: AsyncConnection, website_id: str, by: By, key: str, period: Period,
    hours: BusinessHours,
) -> list[Member]:  # fmt: skip
    """The conversations that one group's figures were made of, newest first. Raises as `read_groups`."""
    members = await _members(connection, website_id, by, period, hours)
    return newest_first(one for one in members if one.key[0] == key)


def summed_by(by: By, members: Iterable[Member]) -> list[GroupFigures]:
    """Those with most conversations first, weeks in their order."""
    groups: dict[Key, list[Counted]] = defaultdict(list)
    for member in members:
        groups[member.key].append(member.counted)
    found = [summed_up(key, name, counted) for (key, name), counted in groups.items()]
    if by == "week":
        return sorted(found, key=lambda one: one.key)
    return sorted(found, key=lambda one: (-one.conversations, one.name, one.key))


def newest_first(members: Iterable[Member]) -> list[Member]:
    return sorted(members, key=lambda one: (one.opened_at, one.id), reverse=True)


async def _members(
    connection: AsyncConnection, website_id: str, by: By, period: Period, hours: BusinessHours
) -> list[Member]:
    opened = await read_opened(connection, website_id, period, hours)
    owners = await read_owners(connection, website_id, period) if by == "company" else {}
    return members_by(by, opened, owners, hours)


def members_by(
    by: By, opened: Iterable[Opened], owners: Owners, hours: BusinessHours
) -> list[Member]:
    """Each conversation once for each of its groups; one without a group is in none."""
    return [
        Member(one.id, one.opened_at, key, one.counted)
        for one in opened
        for key in _keys(by, one, owners, hours)
    ]


def _keys(by: By, one: Opened, owners: Owners, hours: BusinessHours) -> Sequence[Key]:
    if by == "week":
        return (week_of(one.opened_at, hours),)
    if by == "operator":
        return ((one.operator, one.operator),) if one.operator else ()
    if by == "contact":
        return (one.contact,) if one.contact else ()
    return owners.get(one.id, ())


def week_of(moment: datetime, hours: BusinessHours) -> Key:
    day = moment.astimezone(hours.zone).date()
    monday = (day - timedelta(days=day.weekday())).isoformat()
    return monday, monday


async def read_opened(
    connection: AsyncConnection,
    website_id: str,
    period: Period,
    hours: BusinessHours,
    *narrowed: ColumnElement[bool],
) -> list[Opened]:
    """`narrowed` are further conditions on `conversations`. Raises Refused when there are too many."""
    where = (*_within(website_id, period), *narrowed)
    rows = await _rows(connection, where)
    said = await _said(connection, where, period.as_of) if rows else {}
    return [_opened(row, said.get(row.id, ()), period.as_of, hours) for row in rows]


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


def _opened(
    row: StoredRow, said: Sequence[Said], as_of: datetime | None, hours: BusinessHours
) -> Opened:
    figures = figures_of(said, row.status if as_of is None else None, hours)
    # A contact that is gone, or that has no name yet, is named by its address.
    contact = (row.contact_id, row.name or row.email or "") if row.known_contact else None
    return Opened(
        id=row.id,
        opened_at=row.crisp_created_at,
        contact=contact,
        operator=figures.responder or row.assigned_to,
        counted=Counted(figures, row.rating if as_of is None else None),
    )


async def _rows(
    connection: AsyncConnection, where: Sequence[ColumnElement[bool]]
) -> Sequence[StoredRow]:
    c = conversations.c
    theirs = and_(contacts.c.website_id == c.website_id, contacts.c.id == c.contact_id)
    assigned = and_(
        operators.c.website_id == c.website_id, operators.c.user_id == c.assigned_user_id
    )
    rows = await connection.execute(
        select(
            c.id,
            c.status,
            c.rating,
            c.contact_id,
            c.crisp_created_at,
            func.coalesce(operators.c.name, c.assigned_to).label("assigned_to"),
            contacts.c.id.label("known_contact"),
            contacts.c.name,
            contacts.c.email,
        )
        .select_from(conversations.outerjoin(contacts, theirs).outerjoin(operators, assigned))
        .where(*where)
        .limit(MOST + 1)
    )
    found = rows.all()
    if len(found) > MOST:
        raise Refused(
            f"More than {MOST:,} conversations were opened then: ask for a shorter period."
        )
    return found


async def _said(
    connection: AsyncConnection, where: Sequence[ColumnElement[bool]], as_of: datetime | None
) -> dict[str, list[Said]]:
    """Of each conversation what its figures are made of; operators by the name they have now."""
    m, c = messages.c, conversations.c
    theirs = and_(m.website_id == c.website_id, m.conversation_id == c.id)
    sender = and_(
        operators.c.website_id == m.website_id,
        operators.c.user_id == m.sender_id,
        m.direction == "outbound",
    )
    before = [m.sent_at <= as_of] if as_of is not None else []
    rows = await connection.execute(
        select(
            m.conversation_id,
            m.sent_at,
            m.direction,
            m.automated,
            func.coalesce(operators.c.name, m.sender_name).label("sender"),
            case((m.type == "event", m.content)).label("told"),
        )
        .select_from(conversations.join(messages, theirs).outerjoin(operators, sender))
        .where(
            *where,
            m.deleted_at.is_(None),
            m.complete,
            m.sent_at.is_not(None),
            or_(m.direction != "internal", m.type == "event"),
            *before,
        )
    )
    said: dict[str, list[Said]] = defaultdict(list)
    for row in rows:
        one = Said(row.sent_at, row.direction, bool(row.automated), row.sender, _state(row.told))
        said[row.conversation_id].append(one)
    return said


def _state(content: Any) -> str | None:
    name = content.get("namespace") if isinstance(content, dict) else None
    if not isinstance(name, str) or not name.startswith(_STATE):
        return None
    state = name.removeprefix(_STATE)
    return state if state in _STATES else None


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
