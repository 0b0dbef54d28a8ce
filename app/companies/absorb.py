"""A company known by name alone turns out to be one whose domain is known (SPEC D6)."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.groups import landing_of
from app.companies.tables import companies, company_aliases, contact_companies, domain_ties
from app.db.changes import note_changes
from app.db.upsert import insert_for


async def absorb(connection: AsyncConnection, website_id: str, into: Mapping[str, str]) -> None:
    """Its names, members and conversations go to the company that `into` names, and it is gone.

    Otherwise the order in which profiles arrive would decide whether there is one company or two.
    """
    landing = await landing_of(connection, website_id, set(into.values()))
    for absorbed, own_id in sorted(into.items()):
        company_id = landing.get(own_id, own_id)
        theirs = {
            "company_id": company_id,
            "own_company_id": own_id if own_id in landing else None,
        }
        for table in (company_aliases, domain_ties):
            await connection.execute(
                update(table)
                .where(table.c.website_id == website_id, table.c.company_id == absorbed)
                .values(theirs)
            )
        moved = await connection.execute(
            update(contact_companies)
            .where(
                contact_companies.c.website_id == website_id,
                contact_companies.c.company_id == absorbed,
            )
            .values(theirs)
            .returning(contact_companies.c.id)
        )
        note_changes(connection, "membership", website_id, moved.scalars())
        await _move_conversations(connection, website_id, absorbed, company_id)
        await connection.execute(
            delete(companies).where(
                companies.c.website_id == website_id, companies.c.id == absorbed
            )
        )
        note_changes(connection, "company", website_id, [absorbed, company_id])


async def _move_conversations(
    connection: AsyncConnection, website_id: str, absorbed: str, company_id: str
) -> None:
    # By name, since the conversations' folder stands beside this one.
    links = companies.metadata.tables["conversation_companies"]
    theirs = select(links.c.website_id, links.c.conversation_id, literal(company_id)).where(
        links.c.website_id == website_id, links.c.company_id == absorbed
    )
    # The links of the absorbed one go with it.
    moved = await connection.execute(
        insert_for(connection, links)
        .from_select(["website_id", "conversation_id", "company_id"], theirs)
        .on_conflict_do_nothing()
        .returning(links.c.conversation_id)
    )
    note_changes(connection, "link", website_id, moved.scalars())
