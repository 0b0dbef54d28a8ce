"""Conversations without a contact in groups, by reason and by the domain of the visitor's address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.tables import conversations
from app.db.keyset import Cursor, KeyPage, fetch_page
from app.edits.wishes import group_of, unmatched_of
from app.matching.settled import is_left_alone, settled_domains
from app.matching.statements import domain_of
from app.pages.queries_conversations import SORTS
from app.pages.rows import AnyRow, AnySelect
from app.published.conversation_rows import rows_of

_c = conversations.c
PLACES = SORTS["updated"].order


DOMAINS_SHOWN = 12


@dataclass(slots=True)
class Group:
    """One reason; `domains` the largest of its domains, `rest` how many conversations the others have."""

    reason: str
    count: int = 0
    latest: datetime | None = None
    domains: list[AnyRow] = field(default_factory=list)

    @property
    def rest(self) -> int:
        shown: int = sum(domain.n for domain in self.domains)
        return self.count - shown


@dataclass(slots=True)
class Settled:
    """How many conversations nobody is asked about any more, each by the first that applies."""

    tied: int = 0
    ignored: int = 0
    left: int = 0


async def read_groups(connection: AsyncConnection, website_id: str) -> tuple[list[Group], Settled]:
    """Of those about which somebody is asked, the largest groups first. Two statements.

    The domain of an address is slow to find: once for each conversation, and whose it is for each domain.
    """
    tied, ignored = await _domains(connection, website_id)
    found = (
        select(
            _c.unmatched_reason.label("reason"),
            domain_of(_c.email_norm).label("domain"),
            case((is_left_alone(), 1), else_=0).label("is_left"),
            _c.crisp_updated_at,
        )
        .where(*unmatched_of(website_id))
        .subquery()
    )
    rows = await connection.execute(
        select(
            found.c.reason,
            found.c.domain,
            found.c.is_left,
            func.count().label("n"),
            func.max(found.c.crisp_updated_at, type_=_c.crisp_updated_at.type).label("latest"),
        )
        .group_by(found.c.reason, found.c.domain, found.c.is_left)
        .order_by(func.count().desc(), found.c.reason, found.c.domain)
    )
    groups: dict[str, Group] = {}
    settled = Settled()
    for row in rows:
        if row.domain in tied:
            settled.tied += row.n
        elif row.domain in ignored:
            settled.ignored += row.n
        elif row.is_left:
            settled.left += row.n
        else:
            _add(groups.setdefault(row.reason, Group(row.reason)), row)
    return sorted(groups.values(), key=lambda group: (-group.count, group.reason)), settled


def _add(group: Group, row: AnyRow) -> None:
    group.count += row.n
    group.latest = max((m for m in (group.latest, row.latest) if m is not None), default=None)
    if row.domain and len(group.domains) < DOMAINS_SHOWN:
        group.domains.append(row)


async def _domains(
    connection: AsyncConnection, website_id: str
) -> tuple[frozenset[str], frozenset[str]]:
    """Those of companies that are there to see, and those that are nobody's."""
    rows = await connection.execute(settled_domains(website_id))
    whose = {row.domain: row.company_id for row in rows}
    nobodys = frozenset(domain for domain, company_id in whose.items() if company_id is None)
    return frozenset(whose) - nobodys, nobodys


def by_reason_query(website_id: str) -> AnySelect:
    """Of all, settled or not."""
    return (
        select(
            _c.unmatched_reason.label("reason"),
            func.count().label("n"),
            func.max(_c.crisp_updated_at, type_=_c.crisp_updated_at.type).label("latest"),
        )
        .where(*unmatched_of(website_id))
        .group_by(_c.unmatched_reason)
        .order_by(func.count().desc(), _c.unmatched_reason)
    )


async def count_group(
    connection: AsyncConnection, website_id: str, reason: str, domain: str | None
) -> int:
    where = [*unmatched_of(website_id), *group_of(website_id, reason, domain)]
    query = select(func.count()).select_from(conversations).where(*where)
    return (await connection.execute(query)).scalar_one()


async def read_group(
    connection: AsyncConnection,
    website_id: str,
    group: tuple[str, str | None],
    cursor: Cursor | None,
    size: int,
) -> KeyPage:
    """Of one reason and domain, newest first; with the visitor's address."""
    where = [*unmatched_of(website_id), *group_of(website_id, *group)]
    return await fetch_page(connection, rows_of(website_id).where(*where), PLACES, cursor, size)


async def read_few(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> Sequence[AnyRow]:
    """Those conversations, in the order of the ids."""
    rows = (await connection.execute(rows_of(website_id).where(_c.id.in_(ids)))).all()
    return sorted(rows, key=lambda row: ids.index(row.id))
