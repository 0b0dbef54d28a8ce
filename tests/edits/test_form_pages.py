"""The forms by which a person makes and changes contacts and companies (SPEC M8, D7, P4)."""

import re
from html import unescape
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, select

from app.accounts.actors import Role
from app.companies.tables import companies, company_aliases
from app.contacts.attributes import Attribute, define_attributes
from app.contacts.tables import contacts, custom_attributes
from app.edits.companies import Company, load_company, texts_of
from app.edits.memberships import Joining
from app.edits.three_way import Invalid
from tests.edits.by_hand import (
    audited,
    contact,
    edited,
    edited_company,
    made,
    made_company,
    the_company,
    with_team,
)
from tests.edits.test_edit_pages import browser
from tests.fixtures.people import log_in_as
from tests.ingesting import Site, connected, person, talk


def form_of(page: httpx.Response) -> dict[str, str]:
    """What a browser would send of the form for editing, untouched."""
    form = page.text[page.text.index('class="edit-form"') :]
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        box = 'type="checkbox"' in tag or 'type="radio"' in tag
        if name and not (box and " checked" not in tag):
            found[unescape(name[1])] = unescape(value[1]) if value else ""
    for name, text in re.findall(
        r'<textarea name="([^"]+)"[^>]*>\n?(.*?)</textarea>', form, re.DOTALL
    ):
        found[unescape(name)] = unescape(text).replace("\n", "\r\n")
    for name, options in re.findall(r'<select name="([^"]+)">(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        found[unescape(name)] = unescape(chosen[1]) if chosen else ""
    return found


async def only(site: Site) -> str:
    return str((await site.rows(select(contacts.c.id)))[0].id)


# SPEC M5, M8
async def test_a_contact_is_made_from_an_unmatched_conversation_and_changed(
    database_url: str,
) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await with_team(site)
        await site.take(talk("s", meta={"email": "ada@acme.example"}))
        (await log_in_as(site.db, Role.MEMBER, [site.id])).give(web)
        empty = await web.get("/contacts")
        assert empty.text.count('href="/contacts/new"') == 2
        page = await web.get(
            "/contacts/new", params={"email": "ada@acme.example", "name": "<b>Ada"}
        )
        assert "<b>Ada" not in page.text
        typed = form_of(page) | {
            "f.name": "Ada", "joins": "Acme\r\nbees.example", "f.owner": "op-1", "new_key_0": "Plan",
            "new_value_0": "gold", "f.segments": "vip\r\nbeta",
        }  # fmt: skip
        assert typed["f.emails"] == "ada@acme.example"
        done = await web.post("/contacts/new", data=typed)
        assert done.status_code == 200
        for told in (
            "The contact was created.",
            "Nora",
            "Acme",
            "bees.example",
            "gold",
            "entered by hand",
        ):
            assert told in done.text
        own = await only(site)
        assert await site.owner("s") == own
        page = await web.get(f"/contacts/{own}/edit")
        untouched = await web.post(f"/contacts/{own}/edit", data=form_of(page))
        assert "Saved." in untouched.text
        before = await contact(site, own)
        typed = form_of(page) | {
            "f.city": "Paris",
            "f.emails": "ada@home.example\r\nada@acme.example",
        }
        done = await web.post(f"/contacts/{own}/edit", data=typed)
        row = await contact(site, own)
        assert (row.attributes["city"], row.email) == ("Paris", "ada@home.example")
        assert row.name == before.name
        assert row.segments == ["beta", "vip"]


async def test_what_is_wrong_is_told_at_its_field_and_what_was_typed_stays(
    database_url: str,
) -> None:
    async with connected(database_url) as site, browser(site) as web:
        (await log_in_as(site.db, Role.MEMBER, [site.id])).give(web)
        page = await web.get("/contacts/new")
        typed = form_of(page) | {"f.name": 'A"<i>', "f.emails": "not one", "f.country": "Atlantis"}
        wrong = await web.post("/contacts/new", data=typed)
        assert wrong.status_code == 422
        assert "Nothing was saved" in wrong.text
        assert 'value="A&#34;&lt;i&gt;"' in wrong.text
        assert wrong.text.count('class="field-wrong"') == 2
        assert wrong.text.count(" autofocus") == 1
        assert await site.rows(select(contacts)) == []
        await made(site, name="Eve", emails="eve@acme.example")
        taken = await web.post(
            "/contacts/new", data=typed | {"f.emails": "eve@acme.example", "f.country": ""}
        )
        assert taken.status_code == 409
        assert f'href="/contacts/{await only(site)}">Open it' in taken.text
        company = await made_company(site, name="Acme", domain="acme.example")
        data = form_of(await web.get("/companies/new")) | {
            "f.name": "X",
            "f.domain": "acme.example",
        }
        taken = await web.post("/companies/new", data=data)
        assert f'href="/companies/{company}">Open it' in taken.text


# SPEC D7
async def test_of_two_who_edit_at_once_the_second_sees_both_values(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        own = await made(site, name="Ann", city="Rome")
        (await log_in_as(site.db, Role.MEMBER, [site.id])).give(web)
        form = form_of(await web.get(f"/contacts/{own}/edit"))
        await edited(site, own, name="Anna & co")
        clash = await web.post(
            f"/contacts/{own}/edit", data=form | {"f.name": "Annie", "f.city": "Paris"}
        )
        assert clash.status_code == 409
        assert "Somebody else changed Name" in clash.text
        assert "Anna &amp; co" in clash.text
        assert 'value="Annie"' in clash.text
        row = await contact(site, own)
        assert (row.name, row.attributes["city"]) == ("Anna & co", "Rome")
        await web.post(f"/contacts/{own}/edit", data=form_of(clash))
        row = await contact(site, own)
        assert (row.name, row.attributes["city"]) == ("Annie", "Paris")


# SPEC D7
async def test_who_looks_after_it_clashes_by_name_and_theirs_can_be_taken(
    database_url: str,
) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await with_team(site)
        own = await made(site, [Joining("Acme"), Joining("Bees")], name="Ann", city="Rome")
        acme = await made_company(site, name="Zoo", owner="op-1")
        (await log_in_as(site.db, Role.MEMBER, [site.id])).give(web)
        form = form_of(await web.get(f"/contacts/{own}/edit"))
        bees = (await site.rows(select(companies.c.id).where(companies.c.name == "Bees")))[0].id
        await edited(site, own, owner="op-1", city="Oslo", main_company=bees)
        clash = await web.post(
            f"/contacts/{own}/edit",
            data=form
            | {
                "f.owner": "op-2",
                "f.city": "Paris",
                "f.phone": "+34651234567",
                "f.main_company": "",
            },
        )
        assert clash.status_code == 409
        told = re.findall(r'<p class="field-wrong clash">.*?</p>', clash.text, re.DOTALL)
        words = [" ".join(re.sub(r"<[^>]+>", " ", unescape(one)).split()) for one in told]
        assert [one.partition(" Above")[0] for one in words] == [
            "Was nobody , somebody else wrote Nora .", "Was Acme , somebody else wrote Bees .",
            "Was Rome , somebody else wrote Oslo .",
        ]  # fmt: skip
        data = form_of(clash) | {"theirs": ["owner", "main_company"]}
        assert data["f.owner"] == "op-2"
        await web.post(f"/contacts/{own}/edit", data=data)
        row = await contact(site, own)
        assert (row.owner_name, row.attributes["company_name"]) == ("Nora", "Bees")
        assert (row.attributes["city"], row.phone) == ("Paris", "+34651234567")
        form = form_of(await web.get(f"/companies/{acme}/edit"))
        await edited_company(site, acme, owner="op-2")
        clash = await web.post(f"/companies/{acme}/edit", data=form | {"f.owner": ""})
        assert clash.status_code == 409
        assert "<bdi>Nora</bdi>" in clash.text
        assert "<bdi>Omar</bdi>" in clash.text


# SPEC D7
async def test_crisp_is_followed_again_by_a_box(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await site.take(person("ann", email="ann@acme.example", person={"nickname": "Ann"},
                               company={"name": "Acme", "domain": "acme.example"}))  # fmt: skip
        (await log_in_as(site.db, Role.MEMBER, [site.id])).give(web)
        ann = (await site.contact("ann")).id
        await edited(site, ann, name="Dr Ann")
        page = await web.get(f"/contacts/{ann}/edit")
        assert "Follow Crisp again, which says: <bdi>Ann</bdi>" in page.text
        await web.post(f"/contacts/{ann}/edit", data=form_of(page) | {"follow": "name"})
        assert (await site.contact("ann")).name == "Ann"
        link = re.findall(r'name="f\.(membership\.[^"]+)\.gone"', page.text)[0]
        gone = {f"f.{link}.gone": "yes"}
        await web.post(f"/contacts/{ann}/edit", data=form_of(page) | gone)
        assert await site.memberships("ann") == []


async def test_a_company_is_made_and_changed(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await with_team(site)
        (await log_in_as(site.db, Role.MEMBER, [site.id])).give(web)
        form = form_of(await web.get("/companies/new", params={"domain": "acme.example"}))
        done = await web.post("/companies/new", data=form | {"f.name": "Acme", "f.owner": "op-2"})
        assert "The company was created." in done.text
        assert "Omar" in done.text
        own = (await site.rows(select(companies.c.id)))[0].id
        form = form_of(await web.get(f"/companies/{own}/edit"))
        assert (form["f.domain"], form["f.owner"]) == ("acme.example", "op-2")
        await web.post(
            f"/companies/{own}/edit", data=form | {"f.names": "Acme Ltd", "f.name": "Acme SE"}
        )
        assert (await the_company(site, own)).name == "Acme SE"
        assert "acme ltd" in (await web.get(f"/companies/{own}")).text


@pytest.mark.parametrize("folder", ["contacts", "companies"])
async def test_a_viewer_makes_and_changes_nothing(database_url: str, folder: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        own = await (made if folder == "contacts" else made_company)(site, name="A")
        (await log_in_as(site.db, Role.VIEWER, [site.id])).give(web)
        assert f"/{folder}/new" not in (await web.get(f"/{folder}")).text
        assert f"/{folder}/{own}/edit" not in (await web.get(f"/{folder}/{own}")).text
        for path in (f"/{folder}/new", f"/{folder}/{own}/edit"):
            assert (await web.get(path)).status_code == 403
            assert (await web.post(path, data={"f.name": "B"})).status_code == 403
        member = await log_in_as(site.db, Role.MEMBER, [site.id])
        member.give(web)
        assert (await web.get(f"/{folder}/none-such/edit")).status_code == 404
        assert (
            await web.post(f"/{folder}/none-such/edit", data={"f.name": "B"})
        ).status_code == 404


async def defined(site: Site, *attributes: Attribute) -> None:
    async with site.db.write() as connection:
        await define_attributes(connection, site.id, attributes, "test")


async def test_a_value_that_is_no_choice_any_more_is_not_lost_by_saving(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        before: Any = {"attributes.tier": "bronze", "attributes.on": "maybe"}
        own = await made(site, name="Ann", **before)
        await site.execute(delete(custom_attributes))
        await defined(
            site, Attribute("tier", "choice", ("gold", "silver")), Attribute("on", "yes_no")
        )
        (await log_in_as(site.db, Role.MEMBER, [site.id])).give(web)
        form = form_of(await web.get(f"/contacts/{own}/edit"))
        assert (form["f.attributes.tier"], form["f.attributes.on"]) == ("bronze", "maybe")
        await web.post(f"/contacts/{own}/edit", data=form | {"f.city": "Rome"})
        attributes = (await contact(site, own)).attributes
        assert attributes == {"tier": "bronze", "on": "maybe", "city": "Rome"}


@pytest.mark.parametrize("joined", ["x" * 301, "\0", "a\0b", "x" * 400 + ".example"])
async def test_a_company_that_cannot_be_is_told_where_it_was_typed(
    database_url: str, joined: str
) -> None:
    async with connected(database_url) as site, browser(site) as web:
        (await log_in_as(site.db, Role.MEMBER, [site.id])).give(web)
        form = form_of(await web.get("/contacts/new")) | {"f.name": "Ann", "joins": joined}
        answer = await web.post("/contacts/new", data=form)
        if "\0" in joined:
            assert answer.status_code == 200
            return
        assert answer.status_code == 422
        assert answer.text.count('class="field-wrong"') == 1
        assert 'id="wrong-joins"' in answer.text
        assert 'aria-describedby="wrong-joins"' in answer.text
        assert await site.rows(select(contacts)) == []
        assert await site.rows(select(companies)) == []


async def test_long_names_of_a_company_are_refused_and_old_ones_kept(database_url: str) -> None:
    async with connected(database_url) as site:
        long = "Acme " * 120
        await site.take(person("ann", company={"name": long, "domain": "acme.example"}))
        own = (await site.rows(select(companies.c.id)))[0].id
        await edited_company(site, own, name="Acme")
        before = await site.rows(select(company_aliases.c.value))
        names = texts_of(await loaded(site, own))["names"]
        await edited_company(site, own, names=f"{names}\nAcme Ltd")
        after = await site.rows(select(company_aliases.c.value))
        assert {*before, ("acme ltd",)} == set(after)
        with pytest.raises(Invalid, match="300 characters"):
            await edited_company(site, own, names=f"{names}\n{'y' * 301}")


async def loaded(site: Site, company_id: str) -> Company:
    async with site.db.read() as connection:
        return await load_company(connection, site.id, company_id)


async def test_only_fields_of_the_form_are_written_and_audited(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        own, acme = await made(site, name="Ann"), await made_company(site, name="Acme")
        (await log_in_as(site.db, Role.MEMBER, [site.id])).give(web)
        for path in (f"/contacts/{own}/edit", f"/companies/{acme}/edit"):
            form = form_of(await web.get(path))
            done = await web.post(path, data=form | {"f.id": "x", "f.membership.none.gone": "yes"})
            assert "Saved." in done.text
        assert await audited(site, "contact.edited") == []
        assert await audited(site, "company.edited") == []
