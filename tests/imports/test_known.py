"""Looking up whom a file's rows are about asks for those alone, whatever PostgreSQL believes of its tables."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from app.imports.known import find_holders
from tests.imports.importing import importing

CONTACTS, ASKED = 1500, 100
PROBES = text(
    "SELECT sum(idx_scan) FROM pg_stat_xact_user_tables WHERE relname IN "
    "('contact_emails', 'contacts', 'contact_companies', 'companies')"
)


async def test_case_076_new_tables_are_not_gone_through_once_per_contact(
    migrated_postgres_url: str, tmp_path: Path
) -> None:
    """Until it has counted them PostgreSQL takes them for empty; a join then looked at each contact."""
    addresses = [f"p{n}@acme.example" for n in range(CONTACTS)]
    async with importing(migrated_postgres_url, tmp_path) as site:
        lines = [f"{address},Acme {n}" for n, address in enumerate(addresses)]
        await site.run("\n".join(["email,company", *lines]))
        async with site.db.read() as connection:
            # Of earlier transactions it may hold a second's worth that it has not handed on yet.
            before = await connection.scalar(PROBES)
            found = await find_holders(connection, site.id, addresses[:ASKED])
            probes = await connection.scalar(PROBES) - before
    assert [len(found[address]) for address in addresses[:ASKED]] == [1] * ASKED
    assert all(found[address][0].memberships for address in addresses[:ASKED])
    assert probes <= 4 * ASKED
