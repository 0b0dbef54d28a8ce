"""What belongs to some contacts or companies counts for another one, conversations included (SPEC D6)."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.groups import move_own, regroup_companies
from app.companies.tables import contact_companies, domain_ties
from app.contacts.groups import regroup_contacts
from app.contacts.tables import contacts
from app.conversations.tables import conversation_companies, conversations
from app.edits.journal import Kind
from app.matching.link import conversations_of_domains, relink, touched_conversations


async def regroup(
    connection: AsyncConnection,
    website_id: str,
    kind: Kind,
    family: set[str],
    *,
    counted: str,
    counts: str,
) -> None:
    if kind == "company":
        await regroup_companies(connection, website_id, family, counted, counts)
        ids = [counted, counts]
    else:
        await move_own(
            connection, contact_companies, "contact_id", website_id, family, counted, counts
        )
        await regroup_contacts(connection, website_id, family, counted, counts)
        ids = [*family, counted, counts]
    await relink_owned(connection, website_id, kind, ids)


async def relink_owned(
    connection: AsyncConnection, website_id: str, kind: Kind, ids: Collection[str]
) -> None:
    """Link again what belongs to these contacts or companies, or could."""
    find = _conversations_of_contacts if kind == "contact" else _conversations_of_companies
    await relink(connection, website_id, await find(connection, website_id, set(ids)))


async def _conversations_of_contacts(
    connection: AsyncConnection, website_id: str, ids: set[str]
) -> set[str]:
    people = await connection.execute(
        select(contacts.c.crisp_people_id).where(
            contacts.c.website_id == website_id,
            contacts.c.id.in_(sorted(ids)),
            contacts.c.crisp_people_id.is_not(None),
        )
    )
    return await touched_conversations(
        connection, website_id, contact_ids=ids, people_ids=people.scalars().all()
    )


async def _conversations_of_companies(
    connection: AsyncConnection, website_id: str, ids: set[str]
) -> set[str]:
    """Those that belong to one of them, those of their members, and of the domains tied to them."""
    members = select(contact_companies.c.contact_id).where(
        contact_companies.c.website_id == website_id, contact_companies.c.company_id.in_(ids)
    )
    linked = select(conversation_companies.c.conversation_id).where(
        conversation_companies.c.website_id == website_id,
        conversation_companies.c.company_id.in_(ids),
    )
    rows = await connection.execute(
        select(conversations.c.id).where(
            conversations.c.website_id == website_id,
            or_(conversations.c.contact_id.in_(members), conversations.c.id.in_(linked)),
        )
    )
    tied = await connection.execute(
        select(domain_ties.c.domain).where(
            domain_ties.c.website_id == website_id, domain_ties.c.company_id.in_(ids)
        )
    )
    domains = tied.scalars().all()
    if not domains:
        return set(rows.scalars())
    return set(rows.scalars()) | await conversations_of_domains(connection, website_id, domains)
