"""Which website is shown when none was asked for, and the numbers that every page shows."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select

from app import pages
from app.companies.tables import domain_ties
from app.db.session import Database
from app.pages.queries_frame import all_websites, standing_of
from app.websites.tables import websites
from tests.ingesting import connected
from tests.pages import rows
from tests.pages.rows import SITE, put


async def test_a_website_that_waits_comes_after_those_that_are_read(database_url: str) -> None:
    async with connected(database_url) as site:
        (known,) = await site.rows(select(websites))
        earlier = known.connected_at - timedelta(days=1)
        row = known._asdict() | {"id": "0", "status": "waiting", "connected_at": earlier}
        await site.execute(insert(websites).values(row))
        async with site.db.read() as connection:
            found = await all_websites(connection)
        assert [website.id for website in found] == [site.id, "0"]


def stranger(n: int, domain: str) -> tuple[Any, dict[str, Any]]:
    email = f"s{n}@{domain}"
    return rows.conversation(
        f"s{n}", unmatched_reason="unknown_email", email=email, email_norm=email
    )


@pytest.mark.asyncio
async def test_unmatched_ones_are_counted_up_to_a_thousand_and_in_full_on_their_page(
    db: Database, client: httpx.AsyncClient
) -> None:
    strangers = [stranger(n, "strange.example") for n in range(999)]
    settled = [
        stranger(2000 + n, f"{kind}.example") for n, kind in enumerate(("tied", "ignored", "gone"))
    ]
    await put(db, [rows.website(), *strangers, *settled, rows.company("acme"),
                   rows.company("gone", deleted_at=rows.NOW)])  # fmt: skip
    async with db.write() as connection:
        for domain, company in (("tied", "acme"), ("ignored", None), ("gone", "gone")):
            _, row = rows.row_of(
                domain_ties, website_id=SITE, domain=f"{domain}.example", company_id=company,
                own_company_id=company, tied_by="a test",
            )  # fmt: skip
            await connection.execute(insert(domain_ties), row)
    async with db.read() as connection:
        # A domain of a deleted company is nobody's: that one is asked about again.
        assert (await standing_of(connection, SITE)).unmatched == 1000
    await put(db, [stranger(3000, "strange.example")])
    assert '<span class="count">1,000+</span>' in (await client.get("/contacts")).text
    assert "1,001 conversations without a contact" in (await client.get("/unmatched")).text


def test_every_field_names_its_type() -> None:
    """The style goes by it: without one a field looks like the browser's own, in the dark too."""
    templates = Path(pages.__file__).parent / "templates"
    fields = [
        (path.name, field)
        for path in sorted(templates.glob("*.html"))
        for field in re.findall(r"<input [^>]*", path.read_text(encoding="utf-8"))
    ]
    assert len(fields) > 50
    assert [one for one in fields if "type=" not in one[1]] == []
