"""Contacts made and changed by hand (SPEC M5, M8, D7, P6)."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from app.accounts.actors import COMMAND, Actor, Forbidden, Role
from app.companies.tables import companies, contact_companies
from app.contacts.attributes import known_attributes
from app.contacts.tables import contacts
from app.edits.companies import Taken
from app.edits.hiding import hide
from app.edits.memberships import Joining
from app.edits.three_way import Clashing, Invalid
from app.errors import NotFound, Refused
from app.privacy.erase import erase_contact
from app.settings import get_settings
from tests.edits.by_hand import (
    addresses,
    audited,
    contact,
    edited,
    made,
    made_company,
    with_team,
)
from tests.edits.merging import MIRA, merged
from tests.fixtures.program import SECRET_KEY
from tests.imports.importing import importing
from tests.ingesting import Site, connected, person, said, talk


async def count(site: Site, table: Any = contacts) -> int:
    return int((await site.rows(select(func.count()).select_from(table)))[0][0])


# SPEC M5, M8
async def test_a_contact_made_by_hand_takes_its_waiting_conversations_at_once(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await with_team(site)
        await site.take(
            talk("s", meta={"email": "ADA@acme.example"}), talk("t", meta={"email": "ada@home.example"}),
            talk("u", meta={"email": "eve@acme.example"}),
        )  # fmt: skip
        own = await made(
            site, [Joining("Acme"), Joining("bees.example", since="2026-01-01")],
            name="  Ada   Lovelace ", emails="Ada@acme.example\r\nada@home.example\n", phone="+34 651 234 567",
            country="France", city="Paris", job_title="Buyer", locales="fr-FR|en-GB", segments="vip\nbeta",
            time_zone="europe/paris", owner="op-1", signed_up_at="2026-01-02 10:00",
            **{"attributes.Plan": "gold"},
        )  # fmt: skip
        row = await contact(site, own)
        assert (row.name, row.email, row.phone, row.source) == (
            "Ada Lovelace", "Ada@acme.example", "+34651234567", "manual",
        )  # fmt: skip
        assert row.attributes == {
            "country": "FR", "city": "Paris", "job_title": "Buyer", "locales": ["fr-FR", "en-GB"],
            "time_zone": "Europe/Paris", "plan": "gold", "company_name": "Acme",
        }  # fmt: skip
        assert row.segments == ["beta", "vip"]
        assert (row.owner_id, row.owner_name) == ("op-1", "Nora")
        assert await addresses(site, own) == {
            "ada@acme.example": (True, "manual"), "ada@home.example": (False, "manual"),
        }  # fmt: skip
        assert [await site.owner(one) for one in "stu"] == [own, own, None]
        assert await site.companies_of_talk("s") == ["Acme", "bees.example"]
        assert row.field_sources["name"]["source"] == "manual"
        assert row.field_sources["name"]["by"] == MIRA.name
        (entry,) = await audited(site, "contact.created")
        assert (entry.subject_id, entry.after["name"]) == (own, "Ada   Lovelace")
        async with site.db.read() as connection:
            assert set(await known_attributes(connection, site.id)) == {"plan"}


@pytest.mark.parametrize(
    ("texts", "field", "sentence"),
    [
        ({"city": "Paris"}, "name", "needs a name"),
        ({"emails": "ann@"}, "emails", "no e-mail address"),
        ({"name": "A", "phone": "call me"}, "phone", "no phone number"),
        ({"name": "A", "country": "Atlantis"}, "country", "Country"),
        ({"name": "A", "avatar": "javascript:alert(1)"}, "avatar", "web address"),
        ({"name": "A", "owner": "nobody"}, "owner", "operators"),
        ({"name": "A", "attributes.my key": "1"}, "new_attribute", "spaces"),
        ({"name": "A", "attributes.country": "FR"}, "new_attribute", "field of its own"),
        ({"name": "A", "signed_up_at": "soon"}, "signed_up_at", "no date"),
        ({"name": "A", "segments": "x" * 101}, "segments", "100 characters"),
    ],
)
async def test_bad_input_gets_a_sentence_and_nothing_is_saved(
    database_url: str, texts: dict[str, str], field: str, sentence: str
) -> None:
    async with connected(database_url) as site:
        with pytest.raises(Invalid) as caught:
            await made(site, [Joining("Acme")], **texts)
        assert sentence in caught.value.wrong[field]
        assert (await count(site), await count(site, companies)) == (0, 0)


async def test_all_that_is_wrong_is_told_at_once(database_url: str) -> None:
    async with connected(database_url) as site:
        with pytest.raises(Invalid) as caught:
            await made(site, emails="a b", phone="x", city="Paris")
        assert set(caught.value.wrong) == {"emails", "phone"}


# SPEC M4, P4
async def test_an_address_of_another_contact_is_refused(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("ann", email="ann@acme.example", person={"nickname": "Ann"}))
        ann = await site.contact("ann")
        with pytest.raises(Taken, match="of Ann already") as caught:
            await made(site, name="B", emails="b@acme.example\nANN@acme.example")
        assert caught.value.holder == ann.id
        other = await made(site, name="B", emails="b@acme.example")
        with pytest.raises(Taken):
            await edited(site, other, emails="b@acme.example\nann@acme.example")
        with pytest.raises(Forbidden):
            await made(site, name="C", actor=Actor("user", "u", "v", Role.VIEWER))
        with pytest.raises(NotFound):
            await edited(site, "none", name="x")


# SPEC P6
async def test_an_erased_address_is_refused_wherever_it_is_added(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", SECRET_KEY)
    get_settings.cache_clear()
    async with connected(database_url) as site:
        gone = await made(site, name="Ann", emails="ann@acme.example")
        other = await made(site, name="Bob", emails="bob@acme.example")
        await edited(site, gone, name="Ann Secret")
        await erase_contact(site.db, COMMAND, gone)
        for emails in ("ann@acme.example", "x@acme.example\nann@acme.example"):
            with pytest.raises(Refused, match="erased"):
                await made(site, name="Again", emails=emails)
        with pytest.raises(Refused, match="erased"):
            await edited(site, other, emails="bob@acme.example\nann@acme.example")
        assert await addresses(site, other) == {"bob@acme.example": (True, "manual")}
        assert "Secret" not in repr(await audited(site, "contact.edited"))
    get_settings.cache_clear()


# SPEC M8, M5
async def test_addresses_come_and_go_with_their_conversations(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(
            person("ann", email="ann@acme.example"), talk("s", meta={"email": "ann@acme.example"}),
            talk("t", meta={"email": "ann@home.example"}),
        )  # fmt: skip
        ann = (await site.contact("ann")).id
        await edited(site, ann, emails="ann@home.example\nann@acme.example")
        assert (await contact(site, ann)).email == "ann@home.example"
        assert await addresses(site, ann) == {
            "ann@acme.example": (False, "crisp"), "ann@home.example": (True, "manual"),
        }  # fmt: skip
        assert [await site.owner(one) for one in "st"] == ["ann", "ann"]
        await edited(site, ann, emails="ann@home.example")
        assert [await site.owner(one) for one in "st"] == [None, "ann"]
        assert (await site.conversation("s")).unmatched_reason == "unknown_email"
        await site.take(person("ann", 5, email="ann@acme.example", person={"nickname": "Ann"}))
        assert set(await addresses(site, ann)) == {"ann@home.example"}, "Crisp's does not come back"
        assert (await contact(site, ann)).email == "ann@home.example"
        await edited(site, ann, follow=["emails"])
        assert (await contact(site, ann)).email == "ann@acme.example"
        assert (await addresses(site, ann))["ann@acme.example"] == (True, "crisp")
        assert [await site.owner(one) for one in "st"] == ["ann", "ann"]
        await edited(site, ann, emails="ann@home.example")
        await site.take(person("ann", 9, email="new@acme.example"))
        assert await addresses(site, ann) == {
            "new@acme.example": (True, "crisp"), "ann@home.example": (False, "manual"),
        }, "Crisp itself changed it"  # fmt: skip


async def test_the_last_address_may_go(database_url: str) -> None:
    async with connected(database_url) as site:
        own = await made(site, name="Ann", emails="ann@acme.example")
        await edited(site, own, emails="")
        row = await contact(site, own)
        assert (row.email, await addresses(site, own)) == (None, {})


# SPEC D7
async def test_two_people_who_edit_at_once_overwrite_nothing(database_url: str) -> None:
    async with connected(database_url) as site:
        own = await made(site, name="Ann", emails="ann@acme.example", city="Rome")
        seen = {"name": "Ann", "city": "Rome", "phone": ""}
        await edited(site, own, seen=seen, name="Anna", city="Rome")
        with pytest.raises(Clashing) as caught:
            await edited(site, own, seen=seen, name="Annie", city="Paris")
        (clash,) = caught.value.clashes
        assert (clash.field, clash.was, clash.now, clash.yours) == ("name", "Ann", "Anna", "Annie")
        assert "Somebody else changed Name" in caught.value.message
        row = await contact(site, own)
        assert (row.name, row.attributes["city"]) == ("Anna", "Rome"), "nothing is half-saved"
        assert await edited(site, own, seen=seen, name="Ann", city="Paris") == ["city"]
        assert await edited(site, own, seen=seen, name="Anna", phone="") == [], (
            "both wrote the same"
        )
        assert (await contact(site, own)).name == "Anna"
        assert len(await audited(site, "contact.edited")) == 2


# SPEC D7, M8
async def test_a_segment_of_crisp_that_a_person_takes_away_stays_away(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("ann", segments=["vip", "beta"]))
        ann = (await site.contact("ann")).id
        await edited(site, ann, segments="beta\nown")
        assert (await contact(site, ann)).segments == ["beta", "own"]
        await site.take(person("ann", 5, segments=["vip", "beta", "new"], person={"nickname": "A"}))
        assert (await contact(site, ann)).segments == ["beta", "new", "own"]
        await site.take(person("ann", 6, segments=["beta"]), person("ann", 7, segments=["vip"]))
        await site.take(person("ann", 8, segments=[]))
        assert (await contact(site, ann)).segments == ["own"]
        await site.take(person("ann", 9, segments=["vip"]))
        assert (await contact(site, ann)).segments == ["own", "vip"], "Crisp itself set it anew"


# SPEC M3, M8
async def test_companies_are_joined_ended_and_taken_away(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(
            person("ann", email="ann@acme.example", company={"name": "Acme", "domain": "acme.example"}),
            talk("old", people_id="ann"), said("old", 1, at=0),
            talk("new", people_id="ann"), said("new", 2, at=60 * 24 * 10),
        )  # fmt: skip
        ann = (await site.contact("ann")).id
        await edited(site, ann, [Joining("Bees"), Joining("Cats", since="2026-03-08")])
        assert await site.companies_of_talk("old") == ["Acme", "Bees"]
        assert await site.companies_of_talk("new") == ["Acme", "Bees", "Cats"]
        assert await edited(site, ann, [Joining("acme.example")]) == ["companies"], (
            "a member already"
        )
        links = {
            row.name: row.id
            for row in await site.rows(
                select(contact_companies.c.id, companies.c.name).join_from(
                    contact_companies, companies, companies.c.id == contact_companies.c.company_id
                )
            )
        }
        assert len(links) == 3
        until: dict[str, Any] = {f"membership__{links['Bees']}__until": "2026-03-05"}
        await edited(site, ann, **until)
        assert await site.companies_of_talk("new") == ["Acme", "Cats"]
        assert await site.companies_of_talk("old") == ["Acme", "Bees"]
        gone: dict[str, Any] = {f"membership__{links['Acme']}__gone": "yes"}
        await edited(site, ann, **gone)
        assert await site.companies_of_talk("new") == ["Cats"]
        assert (await contact(site, ann)).attributes["company_name"] == "Cats"
        company = {"name": "Acme", "domain": "acme.example"}
        await site.take(person("ann", 9, person={"nickname": "Ann"}, company=company))
        assert await site.companies_of_talk("new") == ["Cats"], "no pull brings it back"
        crossed: dict[str, Any] = {f"membership__{links['Cats']}__until": "2026-03-07"}
        with pytest.raises(Invalid, match="crossed"):
            await edited(site, ann, **crossed)
        chosen = await made_company(site, name="Dogs")
        with pytest.raises(Invalid, match="main company"):
            await edited(site, ann, main_company=chosen)
        await edited(site, ann, [Joining(company_id=chosen, main=True)])
        assert (await contact(site, ann)).attributes["company_name"] == "Dogs"


# SPEC D7
async def test_crisp_is_followed_again_where_a_person_says_so(database_url: str) -> None:
    async with connected(database_url) as site:
        profile = {"nickname": "Ann", "phone": "+49 1", "geolocation": {"city": "Rome"}}
        await site.take(person("ann", email="ann@acme.example", person=profile))
        ann = (await site.contact("ann")).id
        await edited(site, ann, name="Dr Ann", city="")
        assert "city" not in (await contact(site, ann)).attributes
        await edited(site, ann, follow=["name", "city", "phone"])
        row = await contact(site, ann)
        assert (row.name, row.attributes["city"], row.phone) == ("Ann", "Rome", "+49 1")
        assert row.field_sources == {}
        await site.take(person("ann", 5, person={**profile, "nickname": "Anna"}))
        assert (await contact(site, ann)).name == "Anna"


async def test_who_is_deleted_or_merged_is_not_edited(database_url: str) -> None:
    async with connected(database_url) as site:
        a, b = await made(site, name="A"), await made(site, name="B", emails="b@x.example")
        await merged(site, "contact", b, a)
        with pytest.raises(Refused, match="merged"):
            await edited(site, b, name="C")
        await edited(site, a, emails="a@x.example")
        assert await addresses(site, a) == {
            "a@x.example": (True, "manual"), "b@x.example": (False, "merged"),
        }  # fmt: skip
        async with site.db.write() as connection:
            await hide(connection, site.id, "contact", [a], MIRA)
        with pytest.raises(Refused, match="restore"):
            await edited(site, a, name="C")


TYPED: dict[str, Any] = {
    "name": "Ann by hand", "phone": "+34651234567", "city": "Nice", "job_title": "Chief",
    "attributes.plan": "gold", "segments": "own", "emails": "ann@acme.example\nmine@acme.example",
}  # fmt: skip


# SPEC D7
@pytest.mark.parametrize("first", ["hand", "crisp"])
async def test_no_pull_hook_or_import_changes_what_a_person_wrote(
    database_url: str, tmp_path: Path, first: str
) -> None:
    profile: dict[str, Any] = {
        "email": "ann@acme.example", "segments": ["vip"], "company": {"name": "Acme", "domain": "acme.example"},
        "person": {"nickname": "Ann", "phone": "+49 1", "geolocation": {"city": "Rome", "country": "IT"},
                   "employment": {"title": "Buyer"}},
    }  # fmt: skip
    async with importing(database_url, tmp_path) as site:
        if first == "crisp":
            await site.take(person("ann", **profile))
            ann = (await site.contact("ann")).id
            await edited(
                site, ann, **{name.replace(".", "__"): text for name, text in TYPED.items()}
            )
        else:
            ann = await made(site, **TYPED)
        before = await contact(site, ann)
        await site.take(person("ann", 3, seen=4, direct=True, **profile))
        await site.take(person("ann", 5, active={"last": 1772442000000}, **profile))
        file = (
            "email,name,phone,city,job_title,data.plan,segments\n"
            "mine@acme.example,Ann CSV,+34600000000,Oslo,Seller,silver,vip|file\n"
        )
        planned = await site.plan(file)
        done = await site.commit(planned)
        assert done.state == "done"
        await site.take(person("ann", 7, **profile))
        row = await contact(site, ann)
        assert (row.name, row.phone, row.email) == (before.name, before.phone, before.email)
        hand = {"city": "Nice", "job_title": "Chief", "plan": "gold"}
        assert {key: row.attributes[key] for key in hand} == hand
        assert set(await addresses(site, ann)) == {"ann@acme.example", "mine@acme.example"}
        assert "own" in row.segments
        assert "file" in row.segments
        assert ("vip" in row.segments) == (first == "hand")
        assert row.crisp_people_id == "ann"
        await site.run(file, "overwrite")
        assert (await contact(site, ann)).name == "Ann CSV", "whoever overwrites says so"
