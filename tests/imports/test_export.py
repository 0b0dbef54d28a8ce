"""Contacts leave as a file and come back as the same contacts (SPEC I12, P5; FAILURES case 71)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import delete, select

from app.companies.tables import companies, contact_companies
from app.contacts.tables import contacts
from app.imports.export import contact_lines
from tests.imports.importing import Importing, importing
from tests.ingesting import ms, person

FILE = '''email,name,phone,company,website,company description,country,locales,segments,created,last active,data.plan,data.seats,data.vip,data.born,data.code,data.note
Ada@Acme.example,=Ada,+34651234567,Acme,acme.example,"Anvils, and more",DE,en-GB|fr-FR,"vip|""a, b""|=x",2020-08-14T14:09:10.123Z,1694070416,pro,5,yes,1815-12-10,0049,"two
lines, ""quoted"""
bo@x.example,Bo,,Beta,,,,,,,,free,,no,,1,'=1+1
'''


async def exported(site: Importing) -> str:
    return "".join([line async for line in contact_lines(site.db, site.id)])


async def seen(site: Importing) -> list[Any]:
    names = ("email", "name", "phone", "avatar", "attributes", "segments", "signed_up_at",
             "last_active_at")  # fmt: skip
    query = (
        select(*(contacts.c[name] for name in names), companies.c.name, companies.c.domain)
        .outerjoin(contact_companies, contact_companies.c.contact_id == contacts.c.id)
        .outerjoin(companies, companies.c.id == contact_companies.c.company_id)
    )
    return sorted((tuple(row) for row in await site.rows(query)), key=repr)


async def test_a_round_trip(database_url: str, tmp_path: Path) -> None:
    async with importing(database_url, tmp_path) as site:
        assert (await site.run(FILE)).counts["created"] == 2
        await site.take(
            person("p", email="crisp@x.example", segments=["s"], company={"name": "Acme"},
                   person={"nickname": "C", "phone": "+34 651 234 568"}, active={"last": ms(-3)}),
        )  # fmt: skip
        text = await exported(site)
        assert "'=Ada" in text
        again = await site.plan(text)
        # Crisp's own contact only gets one more owner of its segment.
        assert again.counts["rows"] == 3
        assert again.counts["unchanged"] == 2
        before = await seen(site)
        for table in (contact_companies, companies, contacts):
            await site.execute(delete(table))
        assert await exported(site) == ",".join(text.splitlines()[0].split(",")[:17]) + "\r\n"
        done = await site.run(text)
        assert (done.counts["created"], done.counts.get("error", 0)) == (3, 0)
        after = await seen(site)
        changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
        assert [(a[2], b[2]) for a, b in changed] == [("+34 651 234 568", "+34651234568")]
        assert (await site.plan(await exported(site))).counts["unchanged"] == 3
