"""Contacts leave as a file and come back as the same contacts (SPEC I12, P5; FAILURES case 71)."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from app.companies.tables import companies, company_aliases, contact_companies
from app.contacts import lists
from app.contacts.tables import contact_emails, contacts
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


WORDS = st.sampled_from(
    ["", "Ada", "=1+1", "'=x", "'tis", '"quoted"', "a, b", "x|y", "two\nlines", "0049", "Ünï"]
)
# One company under two names would leave under one.
COMPANIES = st.sampled_from(
    [("", ""), ("Acme", "acme.example"), ("=Beta", ""), ("Gamma, Inc", "www.gamma.example")]
)
ROWS = st.lists(
    st.tuples(
        WORDS,
        st.sampled_from(["", "+34651234567", "00493012345"]),
        COMPANIES,
        st.sampled_from(["", "DE", "Spain"]),
        st.lists(WORDS.filter(bool), max_size=3, unique=True),
        st.sampled_from(["", "2020-08-14", "1694070416"]),
        WORDS,
        st.sampled_from(["", "5", "07", "yes", "2026-01-31", "1.50"]),
    ),
    min_size=1,
    max_size=8,
)


# SPEC I12, P5
@settings(
    max_examples=5,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=ROWS)
async def test_whatever_is_stored_comes_back_the_same(
    site: Importing, rows: list[tuple[Any, ...]]
) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    names = "name phone company_name company_url country segments created data.note data.code"
    writer.writerow(["email", *names.split()])
    for number, (name, phone, company, *others) in enumerate(rows):
        row = (name, phone, *company, *others)
        cells = [lists.joined(cell, "|,") if isinstance(cell, list) else cell for cell in row]
        writer.writerow([f"P{number}@x.example", *cells])
    await empty(site)
    done = await site.run(text.getvalue())
    assert done.counts["create"] == len(rows), await site.lines(done.id)
    before, file = await seen(site), await exported(site)
    assert (await site.plan(file)).counts["unchanged"] == len(rows)
    await empty(site)
    again = await site.run(file)
    assert again.counts["created"] == len(rows), await site.lines(again.id)
    assert await seen(site) == before
    assert (await site.plan(file)).counts["unchanged"] == len(rows)


async def empty(site: Importing) -> None:
    for table in (contact_companies, company_aliases, companies, contact_emails, contacts):
        await site.execute(delete(table))


@pytest_asyncio.fixture
async def site(database_url: str, tmp_path: Path) -> AsyncIterator[Importing]:
    async with importing(database_url, tmp_path) as opened:
        yield opened
