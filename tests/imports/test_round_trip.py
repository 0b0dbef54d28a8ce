"""Every field that a file can tell leaves in an export and comes back the same (SPEC I2, I12)."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from sqlalchemy import select

from app.companies.tables import companies, contact_companies
from app.contacts.tables import contacts
from app.edits.memberships import Joining
from app.imports.columns import FIELDS
from app.imports.export import FIELDS as LEAVING
from tests.edits.by_hand import made, made_company
from tests.imports.importing import Importing, differences, importing
from tests.imports.test_export import empty, exported
from tests.ingesting import ms, person

ADA = {
    "email": "Ada@acme.example", "name": "Ada, “the first”", "phone": "+34651234567",
    "avatar": "https://acme.example/ada.png", "job_title": "=Head", "role": "Decides",
    "company_name": "Acme", "company_url": "https://acme.example",
    "company_description": "Anvils,\nand more", "country": "DE", "region": "Bayern",
    "city": "-Nürnberg", "time_zone": "Europe/Berlin", "locales": "de-DE|en-GB",
    "segments": '"a, b"|vip', "created": "2020-08-14T14:09:10.123Z",
    "last_active": "2026-01-31T10:00:00.000Z", "data.plan": "0049", "data.vip": "yes",
    "data.levels": "low|high", "data.rate": "1.5",
}  # fmt: skip
# A company without a domain, and one without a name.
BO = {"email": "bo@x.example", "company_name": "Beta", "company_description": "By name alone"}
CY = {"email": "cy@x.example", "company_url": "gamma.example", "city": "Bern", "role": "'tis"}
COLUMNS: Any = {
    **{name: name for name in ADA},
    "data.vip": {"to": "data.vip", "type": "yes_no"},
    "data.rate": {"to": "data.rate", "type": "decimal"},
    "data.levels": {"to": "data.levels", "type": "multi_choice", "choices": "low|high"},
}
MODES = ("merge", "overwrite", "fill-empty", "update-only")


async def filled(site: Importing) -> None:
    """By a file, by hand, by Crisp."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(ADA), restval="")
    writer.writeheader()
    writer.writerows([ADA, BO, CY])
    done = await site.run(text.getvalue(), columns=COLUMNS)
    assert done.counts["created"] == 3, await site.lines(done.id)
    await made_company(
        site, name="Delta", domain="delta.example", attributes__description="By hand"
    )
    await made(
        site, [Joining("Delta")], name="Dee", emails="dee@x.example", phone="+4930123456",
        avatar="https://x.example/dee.png", country="FR", region="Île-de-France", city="Paris",
        job_title="Buyer", role="Pays", time_zone="Europe/Paris", locales="fr-FR",
        signed_up_at="2021-01-02 10:00", **{"attributes.plan": "gold"},
    )  # fmt: skip
    await site.take(
        person("p", email="eve@x.example", company={"name": "Acme"}, active={"last": ms(-3)},
               person={"nickname": "Eve", "phone": "+34651234568",
                       "employment": {"title": "Owner", "name": "Acme"},
                       "geolocation": {"country": "ES", "city": "Madrid"}}),
    )  # fmt: skip


async def told(site: Importing) -> list[Any]:
    """What a file can tell of each contact and of its company."""
    c = contacts.c
    query = (
        select(c.email, c.name, c.phone, c.avatar, c.attributes, c.segments, c.signed_up_at,
               c.last_active_at, companies.c.name, companies.c.domain, companies.c.attributes)
        .outerjoin(contact_companies, contact_companies.c.contact_id == c.id)
        .outerjoin(companies, companies.c.id == contact_companies.c.company_id)
    )  # fmt: skip
    return sorted((tuple(row) for row in await site.rows(query)), key=repr)


def test_all_fields_leave_but_the_parts_of_a_name() -> None:
    assert set(FIELDS) - set(LEAVING) == {"first_name", "last_name"}
    assert set(LEAVING) == {name for name in ADA if not name.startswith("data.")}


async def test_every_field_comes_back_the_same(database_url: str, tmp_path: Path) -> None:
    async with importing(database_url, tmp_path) as site:
        await filled(site)
        before, text = await told(site), await exported(site)
        rows = {row["email"]: row for row in csv.DictReader(io.StringIO(text))}
        assert len(rows) == 5
        defused = {"job_title", "phone", "city"}
        assert rows["Ada@acme.example"] == {
            name: f"'{value}" if name in defused else value for name, value in ADA.items()
        }
        everything = await site.everything()
        for mode in MODES:
            again = await site.run(text, mode)
            assert again.counts["unchanged"] == 5, (mode, await site.lines(again.id))
        assert await site.everything() == everything
        await empty(site)
        done = await site.run(text)
        assert (done.counts["created"], done.counts.get("error", 0)) == (5, 0)
        assert await told(site) == before
        assert (await site.plan(await exported(site))).counts["unchanged"] == 5


async def test_a_file_tells_the_domain_of_a_company_somebody_belongs_to_already(
    database_url: str, tmp_path: Path
) -> None:
    async with importing(database_url, tmp_path) as site:
        await site.take(
            person("p", email="p@x.example", person={"nickname": "P"}, company={"name": "Acme"}),
            person("q", email="q@x.example", person={"nickname": "Q"}, company={"name": "Acme"}),
        )
        before = await site.everything()
        file = (
            "email,company,website\np@x.example,Acme,acme.example\nq@x.example,Acme,acme.example\n"
        )
        done = await site.run(file)
        assert (done.counts["updated"], done.counts["unchanged"]) == (1, 1)
        assert (await site.rows(select(companies.c.domain)))[0].domain == "acme.example"
        assert (await site.plan(file)).counts["unchanged"] == 2
        undone = await site.undo(done.id)
        assert undone.counts["undone"] == 1
        assert differences(before, await site.everything()) == []
