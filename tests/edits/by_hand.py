"""For tests of edits by hand: what a person types on a `Site` of tests/ingesting.py."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from app.accounts.tables import audit_log
from app.companies.tables import companies
from app.contacts.tables import contact_emails, contacts
from app.conversations.store import write_operators
from app.edits.companies import edit_company, make_company
from app.edits.contacts import edit_contact, make_contact
from app.edits.memberships import Joining
from app.edits.three_way import Change
from app.records import OperatorRecord
from tests.edits.merging import MIRA
from tests.ingesting import Site


async def made(site: Site, joins: Sequence[Joining] = (), actor: Any = MIRA, **texts: str) -> str:
    async with site.db.write() as connection:
        return await make_contact(connection, site.id, texts, actor, joins)


async def edited(
    site: Site,
    contact_id: str,
    joins: Sequence[Joining] = (),
    follow: Sequence[str] = (),
    seen: dict[str, str] | None = None,
    **texts: str,
) -> list[str]:
    """`seen`: what the form showed, where the test is about that."""
    told = {
        name.replace("__", "."): Change(text, (seen or {}).get(name))
        for name, text in texts.items()
    }
    async with site.db.write() as connection:
        return await edit_contact(connection, site.id, contact_id, told, MIRA, joins, follow)


async def made_company(site: Site, **texts: str) -> str:
    told = {name.replace("__", "."): text for name, text in texts.items()}
    async with site.db.write() as connection:
        return await make_company(connection, site.id, told, MIRA)


async def edited_company(
    site: Site, company_id: str, follow: Sequence[str] = (), **texts: str
) -> list[str]:
    told = {name.replace("__", "."): Change(text) for name, text in texts.items()}
    async with site.db.write() as connection:
        return await edit_company(connection, site.id, company_id, told, MIRA, follow)


async def contact(site: Site, contact_id: str) -> Any:
    return (await site.rows(select(contacts).where(contacts.c.id == contact_id)))[0]


async def the_company(site: Site, company_id: str) -> Any:
    return (await site.rows(select(companies).where(companies.c.id == company_id)))[0]


async def addresses(site: Site, contact_id: str) -> dict[str, tuple[bool, str]]:
    """Address to whether it is the main one, and who told it."""
    rows = await site.rows(select(contact_emails).where(contact_emails.c.contact_id == contact_id))
    return {row.email_norm: (row.is_primary, row.source) for row in rows}


async def audited(site: Site, action: str) -> list[Any]:
    query = select(audit_log).where(audit_log.c.action == action)
    return await site.rows(query.order_by(audit_log.c.at, audit_log.c.id))


async def with_team(site: Site) -> None:
    team = [OperatorRecord("op-1", "Nora", None, None), OperatorRecord("op-2", "Omar", None, None)]
    async with site.db.write() as connection:
        await write_operators(connection, site.id, team)
