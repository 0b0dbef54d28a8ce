"""Reading threads for figures: of the conversations opened in a period, as they are or as they were."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies
from app.contacts.tables import contacts
from app.conversations.tables import conversation_companies, conversations, messages
from app.db.base import StoredRow
from app.errors import Refused
from app.insights.business_hours import BusinessHours, read_hours
from app.insights.groups import Counted, GroupFigures, summed_up
from app.insights.thread import Said, figures_of
from app.websites.rules import require_website

By = Literal["contact", "company", "operator", "week"]

MOST = 20_000
"""Conversations of one question: beyond, a shorter period is asked for."""
CHUNK = 1_000
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


@dataclass(frozen=True, slots=True)
class Member:
    """A conversation in one of its groups."""

    id: str
    opened_at: datetime
    key: Key
    counted: Counted


async def read_groups(
    connection: AsyncConnection, website_id: str, by: By, period: Period, hours_text: str
) -> list[GroupFigures]:
    """Those with most conversations first, weeks in their order. Raises Refused, NotFound."""
    groups: dict[Key, list[Counted]] = defaultdict(list)
    for member in await _members(connection, website_id, by, period, hours_text):
        groups[member.key].append(member.counted)
    found = [summed_up(key, name, members) for (key, name), members in groups.items()]
    if by == "week":
        return sorted(found, key=lambda one: one.key)
    return sorted(found, key=lambda one: (-one.conversations, one.name, one.key))


async def read_behind(
    connection: AsyncConnection, website_id: str, by: By, key: str, period: Period, hours_text: str
) -> list[Member]:
    """The conversations that one group's figures were made of, newest first. Raises as `read_groups`."""
    members = await _members(connection, website_id, by, period, hours_text)
    mine = [one for one in members if one.key[0] == key]
    return sorted(mine, key=lambda one: (one.opened_at, one.id), reverse=True)


async def _members(
    connection: AsyncConnection, website_id: str, by: By, period: Period, hours_text: str
) -> list[Member]:
    website = await require_website(connection, website_id)
    hours = read_hours(hours_text, website.time_zone)
    rows = await _opened(connection, website_id, period)
    counted = await _counted(connection, website_id, rows, period.as_of, hours)
    opened = {row.id: row.crisp_created_at for row in rows}
    named = await _keys(connection, website_id, by, rows, counted, hours)
    return [Member(own_id, opened[own_id], key, counted[own_id]) for own_id, key in named]


async def _opened(
    connection: AsyncConnection, website_id: str, period: Period
) -> Sequence[StoredRow]:
    c = conversations.c
    until = min(period.until, period.as_of) if period.as_of else period.until
    rows = await connection.execute(
        select(c.id, c.status, c.rating, c.contact_id, c.assigned_to, c.crisp_created_at)
        .where(
            c.website_id == website_id,
            c.deleted_at.is_(None),
            c.crisp_created_at >= period.since,
            c.crisp_created_at < until,
            # Nothing is updated before it is opened, and there is an index by this.
            c.crisp_updated_at >= period.since,
        )
        .limit(MOST + 1)
    )
    found = rows.all()
    if len(found) > MOST:
        raise Refused(
            f"More than {MOST:,} conversations were opened then: ask for a shorter period."
        )
    return found


async def _counted(
    connection: AsyncConnection,
    website_id: str,
    rows: Sequence[StoredRow],
    as_of: datetime | None,
    hours: BusinessHours,
) -> dict[str, Counted]:
    counted: dict[str, Counted] = {}
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        said = await _said(connection, website_id, [row.id for row in part], as_of)
        for row in part:
            status = row.status if as_of is None else None
            figures = figures_of(said[row.id], status, hours)
            counted[row.id] = Counted(figures, row.rating if as_of is None else None)
    return counted


async def waiting_of(
    connection: AsyncConnection, website_id: str, rows: Sequence[StoredRow], hours: BusinessHours
) -> dict[str, datetime]:
    """Of conversations (id, status) those whose customer waits, and since when."""
    found: dict[str, datetime] = {}
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        said = await _said(connection, website_id, [row.id for row in part], None)
        for row in part:
            since = figures_of(said[row.id], row.status, hours).waiting_since
            if since is not None:
                found[row.id] = since
    return found


async def _said(
    connection: AsyncConnection, website_id: str, ids: Sequence[str], as_of: datetime | None
) -> dict[str, list[Said]]:
    m = messages.c
    before = [m.sent_at <= as_of] if as_of is not None else []
    rows = await connection.execute(
        select(
            m.conversation_id, m.sent_at, m.direction, m.automated, m.sender_name, m.type, m.content
        ).where(
            m.website_id == website_id,
            m.conversation_id.in_(ids),
            m.deleted_at.is_(None),
            m.complete,
            m.sent_at.is_not(None),
            or_(m.direction != "internal", m.type == "event"),
            *before,
        )
    )
    said: dict[str, list[Said]] = defaultdict(list)
    for row in rows:
        state = _state(row.content) if row.type == "event" else None
        one = Said(row.sent_at, row.direction, bool(row.automated), row.sender_name, state)
        said[row.conversation_id].append(one)
    return said


def _state(content: Any) -> str | None:
    name = content.get("namespace") if isinstance(content, dict) else None
    if not isinstance(name, str) or not name.startswith(_STATE):
        return None
    state = name.removeprefix(_STATE)
    return state if state in _STATES else None


async def _keys(
    connection: AsyncConnection,
    website_id: str,
    by: By,
    rows: Sequence[StoredRow],
    counted: dict[str, Counted],
    hours: BusinessHours,
) -> list[tuple[str, Key]]:
    """(conversation, (key, name)) for each group a conversation belongs to; without one it is in none."""
    if by == "week":
        return [(row.id, _week(row.crisp_created_at, hours)) for row in rows]
    if by == "operator":
        named = [(row.id, counted[row.id].figures.responder or row.assigned_to) for row in rows]
        return [(own_id, (name, name)) for own_id, name in named if name]
    if by == "contact":
        names = await _contact_names(connection, website_id, {row.contact_id for row in rows})
        return [(r.id, (r.contact_id, names[r.contact_id])) for r in rows if r.contact_id in names]
    return await _companies(connection, website_id, [row.id for row in rows])


def _week(moment: datetime, hours: BusinessHours) -> Key:
    day = moment.astimezone(hours.zone).date()
    monday = (day - timedelta(days=day.weekday())).isoformat()
    return monday, monday


async def _contact_names(
    connection: AsyncConnection, website_id: str, ids: set[str | None]
) -> dict[str, str]:
    c = contacts.c
    wanted = sorted(own_id for own_id in ids if own_id is not None)
    names: dict[str, str] = {}
    for start in range(0, len(wanted), CHUNK):
        rows = await connection.execute(
            select(c.id, c.name, c.email).where(
                c.website_id == website_id, c.id.in_(wanted[start : start + CHUNK])
            )
        )
        names |= {row.id: row.name or row.email or "" for row in rows}
    return names


async def _companies(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> list[tuple[str, Key]]:
    link = conversation_companies.c
    found: list[tuple[str, Key]] = []
    for start in range(0, len(ids), CHUNK):
        rows = await connection.execute(
            select(link.conversation_id, companies.c.id, companies.c.name)
            .join_from(
                conversation_companies,
                companies,
                and_(companies.c.website_id == link.website_id, companies.c.id == link.company_id),
            )
            .where(
                link.website_id == website_id,
                link.conversation_id.in_(ids[start : start + CHUNK]),
            )
        )
        found += [(row.conversation_id, (row.id, row.name)) for row in rows]
    return found
