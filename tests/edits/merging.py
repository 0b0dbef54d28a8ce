"""For tests of merges: what a person does on a `Site` of tests/ingesting.py, and a picture of its rows."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import select

from app.accounts.actors import Actor, Role
from app.companies.tables import companies, company_aliases, contact_companies
from app.contacts.tables import contact_emails, contacts
from app.conversations.tables import conversation_companies, conversations
from app.edits.journal import Kind
from app.edits.merges import Unmerged, merge_companies, merge_contacts, unmerge
from tests.ingesting import Site

MIRA = Actor("user", "u1", "mira@support.example", Role.MEMBER)
PICTURED = (
    contacts, contact_emails, companies, company_aliases, contact_companies, conversations,
    conversation_companies,
)  # fmt: skip
# When something was last written or matched is not what it says.
_MOVING = {"updated_at", "matched_at", "seen_ms", "observed_ms"}


async def merged(
    site: Site, kind: Kind, loser: str, winner: str, chosen: Collection[str] | None = None
) -> str:
    act = merge_contacts if kind == "contact" else merge_companies
    async with site.db.write() as connection:
        return await act(connection, site.id, loser, winner, chosen, MIRA)


async def taken_back(site: Site, merge_id: str) -> Unmerged:
    async with site.db.write() as connection:
        return await unmerge(connection, site.id, merge_id, MIRA)


async def company(site: Site, name: str) -> Any:
    """The row of the company that was made with this name."""
    found = await site.rows(select(companies).where(companies.c.crisp_name == name))
    return found[0]


async def picture(site: Site, *without: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the tables that a merge touches, in one order."""
    taken = {}
    for table in PICTURED:
        columns = [column for column in table.c if column.name not in {*_MOVING, *without}]
        rows = await site.rows(select(*columns))
        taken[table.name] = sorted((tuple(row) for row in rows), key=repr)
    return taken
