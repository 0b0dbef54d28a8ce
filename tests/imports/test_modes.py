"""What each mode leaves of a contact whose address exists already, as SPEC I6 tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.companies.tables import companies, contact_companies
from app.contacts.tables import contacts
from tests.imports.importing import Importing, importing

HEAD = "email,name,phone,job title,city,company,segments,data.plan,data.new\n"
FIRST = f"{HEAD}a@x.example,Ada,+34651234567,Buyer,Bern,Acme,vip,pro,\n"
GIVEN = f"{HEAD}a@x.example,Bo,+4930123456,Head,Köln,Beta,beta,free,x\nb@x.example,B,,,,,,,\n"
EMPTY = f"{HEAD}a@x.example,,,,,,,,\nb@x.example,,,,,,,,\n"
BARE = f"{HEAD}a@x.example,,,,,,,,\n"
ADA = ("Ada", "+34651234567", "Buyer", "Bern", "pro", None)
BO = ("Bo", "+4930123456", "Head", "Köln", "free", "x")


async def state(site: Importing) -> tuple[Any, ...]:
    """Name, phone, employment, city, custom values; segments; the companies of now."""
    row = await site.person("a@x.example")
    at = row.attributes.get
    query = (
        select(companies.c.name)
        .join(contact_companies, contact_companies.c.company_id == companies.c.id)
        .where(contact_companies.c.contact_id == row.id, contact_companies.c.until.is_(None))
    )
    told = (row.name, row.phone, at("job_title"), at("city"), at("plan"), at("new"))
    return told, row.segments, [one.name for one in await site.rows(query)]


@pytest.mark.parametrize(
    ("first", "file", "mode", "after", "people"),
    [
        # Values, also of custom attributes, are overwritten; keys and segments are added.
        (FIRST, GIVEN, "merge", (BO, ["beta", "vip"], ["Beta"]), 2),
        # An empty custom cell clears it, another one does not; segments are never removed.
        (FIRST, EMPTY, "merge", ((*ADA[:4], None, None), ["vip"], ["Acme"]), 2),
        (FIRST, GIVEN, "overwrite", (BO, ["beta"], ["Beta"]), 2),
        (FIRST, EMPTY, "overwrite", ((None,) * 6, [], []), 2),
        (FIRST, GIVEN, "fill-empty", ((*ADA[:5], "x"), ["vip"], ["Acme"]), 2),
        (FIRST, EMPTY, "fill-empty", (ADA, ["vip"], ["Acme"]), 2),
        # A name that was made of the address is as good as none.
        (BARE, GIVEN, "fill-empty", (BO, ["beta"], ["Beta"]), 2),
        (FIRST, GIVEN, "create-only", (ADA, ["vip"], ["Acme"]), 2),
        (FIRST, GIVEN, "update-only", (BO, ["beta", "vip"], ["Beta"]), 1),
    ],
)
async def test_what_each_mode_leaves(  # SPEC I6
    database_url: str, tmp_path: Path, first: str, file: str, mode: str, after: Any, people: int
) -> None:
    async with importing(database_url, tmp_path) as site:
        await site.run(first)
        await site.run(file, mode)
        assert await state(site) == after
        assert len(await site.rows(select(contacts.c.id))) == people


@pytest.mark.parametrize("mode", ["merge", "overwrite", "fill-empty", "create-only", "update-only"])
async def test_all_rows_that_are_written_are_added_to_a_segment(  # SPEC I6
    database_url: str, tmp_path: Path, mode: str
) -> None:
    async with importing(database_url, tmp_path) as site:
        await site.run(FIRST)
        await site.run(GIVEN, mode, segment="spring")
        found = await site.rows(select(contacts.c.email, contacts.c.segments))
        added = {row.email for row in found if "spring" in row.segments}
        written = {"create-only": {"b@x.example"}, "update-only": {"a@x.example"}}
        assert added == written.get(mode, {"a@x.example", "b@x.example"})
