"""Who wrote a field: what Crisp writes is Crisp's again, what it does not change stays (SPEC D7)."""

from __future__ import annotations

from sqlalchemy import update

from app import clock
from app.contacts.tables import contacts
from app.sources import is_inferred, source
from tests.ingesting import connected, person


async def test_crisp_takes_over_only_what_it_changes(database_url: str) -> None:  # SPEC D7
    async with connected(database_url) as site:
        await site.take(person("ann", email="ann@acme.example", person={"nickname": "Ann"}))
        told = source("csv", clock.now(), "import-1")
        inferred = source("inferred", clock.now(), "import-1")
        await site.execute(
            update(contacts).values(
                phone="+34651234567", field_sources={"phone": told, "name": inferred}
            )
        )
        assert is_inferred((await site.contact("ann")).field_sources, "name")
        changed = {"nickname": "Anna"}
        await site.take(person("ann", 5, email="ann@acme.example", person=changed))
        row = await site.contact("ann")
        assert (row.name, row.phone) == ("Anna", "+34651234567")
        assert row.field_sources == {"phone": told}
