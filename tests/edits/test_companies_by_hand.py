"""Companies made and changed by hand (SPEC D6, D7, V2)."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from app.companies.tables import companies, company_aliases
from app.edits.companies import Taken
from app.edits.hiding import hide
from app.edits.three_way import Invalid
from app.errors import Refused
from tests.edits.by_hand import audited, edited_company, made_company, the_company, with_team
from tests.edits.merging import MIRA
from tests.imports.importing import importing
from tests.ingesting import Site, connected, person, talk


async def goes_by(site: Site, company_id: str) -> set[tuple[str, str]]:
    rows = await site.rows(
        select(company_aliases).where(company_aliases.c.company_id == company_id)
    )
    return {(row.kind, row.value) for row in rows}


# SPEC D6, V2
async def test_a_company_is_made_and_profiles_find_it(database_url: str) -> None:
    async with connected(database_url) as site:
        await with_team(site)
        own = await made_company(
            site, name="Acme GmbH", domain="https://www.Acme.example/", names="ACME\nAcme Group",
            domains="acme.test", owner="op-2", attributes__description="Tools", attributes__Tier="A",
        )  # fmt: skip
        row = await the_company(site, own)
        assert (row.name, row.domain, row.owner_name) == ("Acme GmbH", "acme.example", "Omar")
        assert row.attributes == {"description": "Tools", "tier": "A"}
        assert await goes_by(site, own) == {
            ("name", "acme gmbh"), ("name", "acme"), ("name", "acme group"),
            ("domain", "acme.example"), ("domain", "acme.test"),
        }  # fmt: skip
        (entry,) = await audited(site, "company.created")
        assert entry.subject_id == own
        await site.take(
            person("a", 1, company={"name": "Acme Corp", "domain": "acme.test"}),
            person("b", 2, company={"name": "ACME"}), talk("s", people_id="a"), talk("t", people_id="b"),
        )  # fmt: skip
        assert await site.companies_of_talk("s") == await site.companies_of_talk("t")
        assert await site.company_names() == ["Acme GmbH"], "first told is no change of Crisp's"
        await site.take(person("a", 9, company={"name": "Acme SE", "domain": "acme.test"}))
        assert await site.company_names() == ["Acme SE"], "Crisp itself changed it"


# SPEC D7
async def test_a_name_by_hand_outlives_pulls_and_files_until_crisp_is_followed(
    database_url: str, tmp_path: Path
) -> None:
    async with importing(database_url, tmp_path) as site:
        company = {"name": "Acme", "domain": "acme.example"}
        await site.take(person("ann", email="ann@acme.example", company=company))
        own = (await site.rows(select(companies)))[0].id
        assert await edited_company(site, own, name="Acme by hand", attributes__description="Mine") == [
            "attributes.description", "name",
        ]  # fmt: skip
        await site.take(person("ann", 5, company=company), person("bob", 6, company=company))
        file = "email,company name,company url,company description\n{},{},https://acme.example,Theirs\n"
        await site.run(file.format("eve@acme.example", "Acme File"))
        row = await the_company(site, own)
        assert (row.name, row.attributes) == ("Acme by hand", {"description": "Mine"})
        assert ("name", "acme") in await goes_by(site, own)
        assert await edited_company(site, own, follow=["name"]) == ["name"]
        row = await the_company(site, own)
        assert (row.name, "name" in row.field_sources) == ("Acme", False)


async def test_what_is_another_companys_is_refused(database_url: str) -> None:
    async with connected(database_url) as site:
        acme = await made_company(site, name="Acme", domain="acme.example")
        bees = await made_company(site, name="Bees")
        for texts in (
            {"name": "Other", "domain": "acme.example"}, {"name": "bees"},
            {"name": "Bees", "domain": "bees.example"}, {"name": "X", "names": "ACME"},
            {"name": "X", "domains": "www.acme.example"},
        ):  # fmt: skip
            with pytest.raises(Taken) as caught:
                await made_company(site, **texts)
            assert caught.value.holder in {acme, bees}
        with pytest.raises(Taken):
            await edited_company(site, bees, domain="acme.example")
        assert await made_company(site, name="Acme", domain="acme.test"), "a domain of its own"
        for wrong in ({}, {"name": "X", "domain": "x"}, {"name": "X", "attributes__a b": "1"}):
            with pytest.raises(Invalid):
                await made_company(site, **wrong)
        with pytest.raises(Invalid):
            await edited_company(site, bees, name="")
        with pytest.raises(Invalid):
            await edited_company(site, bees, owner="nobody")
        async with site.db.write() as connection:
            await hide(connection, site.id, "company", [bees], MIRA)
        with pytest.raises(Refused, match="restore"):
            await edited_company(site, bees, name="Wasps")
        with pytest.raises(Taken, match="deleted"):
            await made_company(site, name="Bees")
        count = select(func.count()).select_from(companies)
        assert (await site.rows(count))[0][0] == 3


async def test_aliases_are_added_and_taken_away(database_url: str) -> None:
    async with connected(database_url) as site:
        own = await made_company(site, name="Acme", domain="acme.example", names="Acme Inc")
        await edited_company(site, own, names="Acme Ltd", domains="acme.test")
        assert await goes_by(site, own) == {
            ("name", "acme"), ("name", "acme ltd"), ("domain", "acme.example"), ("domain", "acme.test"),
        }  # fmt: skip
        await edited_company(site, own, name="Zenith", domain="zenith.example")
        assert {("name", "acme"), ("domain", "acme.example")} <= await goes_by(site, own)
        await edited_company(site, own, names="", domains="")
        assert await goes_by(site, own) == {("name", "zenith"), ("domain", "zenith.example")}
        assert await edited_company(site, own, name="Zenith") == []
        changed = await audited(site, "company.edited")
        assert changed[1].before["name"] == "Acme"
        assert changed[1].after["name"] == "Zenith"


async def test_of_two_with_one_name_each_can_be_renamed(database_url: str) -> None:
    async with connected(database_url) as site:
        one = await made_company(site, name="Acme", domain="one.example")
        two = await made_company(site, name="Acme", domain="two.example")
        await edited_company(site, one, name="Zenith")
        await edited_company(site, two, name="Nadir")
        assert await goes_by(site, one) == {
            ("name", "zenith"), ("name", "acme"), ("domain", "one.example"),
        }  # fmt: skip
        assert await goes_by(site, two) == {("name", "nadir"), ("domain", "two.example")}


# SPEC D6
async def test_a_company_made_by_hand_is_not_absorbed_by_a_profile(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("a", company={"name": "Acme GmbH", "domain": "acme.example"}))
        own = await made_company(site, name="Acme")
        await site.take(person("b", 5, company={"name": "Acme", "domain": "acme.example"}))
        assert (await the_company(site, own)).deleted_at is None
