"""Merging contacts and companies, and taking it back (SPEC D6, M4; FAILURES case 64)."""

from typing import Any

import pytest
from sqlalchemy import select, update

from app.accounts.actors import Actor, Forbidden, Role
from app.accounts.tables import audit_log
from app.companies.tables import companies, company_aliases
from app.contacts.tables import contacts
from app.edits.merges import merge_companies, unmerge
from app.errors import NotFound, Refused
from tests.edits.merging import MIRA, company, merged, picture, taken_back
from tests.ingesting import Site, connected, person, said, talk


async def two_companies(site: Site) -> tuple[str, str]:
    """Acme (acme.example; ann, talk a) and Acme Ltd (acme-ltd.example; ben, talk b)."""
    await site.take(
        person("ann", company={"name": "Acme", "domain": "acme.example"}),
        person("ben", company={"name": "Acme Ltd", "domain": "acme-ltd.example"}),
        talk("a", people_id="ann"), talk("b", people_id="ben"), said("b", 1, at=1),
    )  # fmt: skip
    return (await company(site, "Acme")).id, (await company(site, "Acme Ltd")).id


async def live_companies(site: Site) -> list[str]:
    rows = await site.rows(select(companies.c.name).where(companies.c.deleted_at.is_(None)))
    return sorted(row.name for row in rows)


async def two_people(site: Site) -> tuple[str, str]:
    """Ann (ann@a.example, talk a) and ben (ben@b.example, talk b by id, c by address)."""
    await site.take(
        person("ann", email="ann@a.example", person={"nickname": "Ann"}),
        person("ben", email="ben@b.example", segments=["vip"], company={"name": "Bees"}),
        talk("a", people_id="ann"), talk("b", people_id="ben"),
        talk("c", meta={"email": "BEN@b.example"}),
    )  # fmt: skip
    return (await site.contact("ann")).id, (await site.contact("ben")).id


# SPEC D6
async def test_merged_companies_are_one_and_two_again(database_url: str) -> None:
    async with connected(database_url) as site:
        acme, ltd = await two_companies(site)
        before = await picture(site)
        merge_id = await merged(site, "company", ltd, acme)
        assert await live_companies(site) == ["Acme"]
        assert await site.companies_of_talk("a") == await site.companies_of_talk("b") == ["Acme"]
        tomb = await company(site, "Acme Ltd")
        assert (tomb.merged_into, tomb.deleted_at is None) == (acme, False)
        aliases = await site.rows(select(company_aliases))
        assert {row.company_id for row in aliases} == {acme}
        undone = await taken_back(site, merge_id)
        assert (undone.loser_id, undone.winner_id, undone.kept) == (ltd, acme, [])
        assert await picture(site) == before


# SPEC D6
async def test_what_names_the_merged_company_counts_for_the_other_and_goes_back_to_it(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        acme, ltd = await two_companies(site)
        merge_id = await merged(site, "company", ltd, acme)
        await site.take(
            person("cid", at=5, company={"name": "Acme Limited", "domain": "acme-ltd.example"}),
            person("dan", at=4, company={"name": "acme ltd"}), talk("c", people_id="cid"),
            talk("d", people_id="dan"),
        )  # fmt: skip
        assert await live_companies(site) == ["Acme"], "no profile revives it or renames the other"
        assert await site.companies_of_talk("c") == await site.companies_of_talk("d") == ["Acme"]
        await taken_back(site, merge_id)
        assert await live_companies(site) == ["Acme", "Acme Limited"]
        assert await site.companies_of_talk("c") == ["Acme Limited"]
        assert await site.companies_of_talk("d") == ["Acme Limited"]
        assert await site.companies_of_talk("a") == ["Acme"]
        names = await site.rows(select(company_aliases).where(company_aliases.c.company_id == ltd))
        assert {row.value for row in names} == {"acme ltd", "acme limited", "acme-ltd.example"}


# SPEC D6
async def test_fields_are_chosen_one_by_one_and_given_back_unless_changed_since(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        acme, ltd = await two_companies(site)
        extra = {"attributes": {"plan": "gold", "seats": 5}}
        await site.execute(update(companies).where(companies.c.id == ltd).values(extra))
        merge_id = await merged(site, "company", ltd, acme, ["name", "attributes.plan"])
        row = await company(site, "Acme")
        assert (row.name, row.domain, row.attributes) == (
            "Acme Ltd", "acme.example", {"plan": "gold"},
        )  # fmt: skip
        await site.take(person("ann", at=9, company={"name": "Acme", "domain": "acme.example"}))
        assert (await company(site, "Acme")).name == "Acme Ltd", "Crisp's own word did not change"
        changed = {"attributes": {"plan": "silver"}}
        await site.execute(update(companies).where(companies.c.id == acme).values(changed))
        undone = await taken_back(site, merge_id)
        assert (undone.restored, undone.kept) == (["name"], ["attributes.plan"])
        row = await company(site, "Acme")
        assert (row.name, row.attributes) == ("Acme", {"plan": "silver"})


# SPEC D6
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("kind", ["company", "contact"])
async def test_merges_on_merges_are_taken_back_in_any_order(
    database_url: str, kind: Any, order: tuple[int, int]
) -> None:
    async with connected(database_url) as site:
        for n, name in enumerate("abc"):
            await site.take(
                person(name, email=f"{name}@x.example", person={"nickname": name.upper()},
                       company={"name": name, "domain": f"{name}.example"}),
                talk(f"by id {n}", people_id=name),
                talk(f"by address {n}", meta={"email": f"{name}@x.example"}),
            )  # fmt: skip
        ids = [
            (await company(site, n)).id if kind == "company" else (await site.contact(n)).id
            for n in "abc"
        ]
        before = await picture(site)
        chain = [
            await merged(site, kind, ids[0], ids[1], ["name"]),
            await merged(site, kind, ids[1], ids[2], ["name"]),
        ]
        table = companies if kind == "company" else contacts
        rows = await site.rows(select(table.c.id).where(table.c.deleted_at.is_(None)))
        assert [row.id for row in rows] == [ids[2]]
        if kind == "contact":
            assert {await site.owner(f"by id {n}") for n in range(3)} == {"c"}
            assert {await site.owner(f"by address {n}") for n in range(3)} == {"c"}
        else:
            assert await site.companies_of_talk("by id 0") == ["a"], (
                "under the name that was chosen"
            )
        for n in order:
            await taken_back(site, chain[n])
        assert await picture(site) == before


# SPEC D6
async def test_two_losers_of_one_winner_give_back_what_each_gave(database_url: str) -> None:
    async with connected(database_url) as site:
        for name in "abc":
            await site.take(person(name, company={"name": name, "domain": f"{name}.example"}))
        a, b, c = [(await company(site, name)).id for name in "abc"]
        before = await picture(site)
        first = await merged(site, "company", b, a, ["name"])
        second = await merged(site, "company", c, a, ["name"])
        await taken_back(site, first)
        assert (await company(site, "a")).name == "c"
        await taken_back(site, second)
        assert await picture(site) == before


# SPEC D6, M4
async def test_merged_contacts_answer_to_both_ids_and_addresses(database_url: str) -> None:
    async with connected(database_url) as site:
        ann, ben = await two_people(site)
        before = await picture(site)
        merge_id = await merged(site, "contact", ben, ann)
        assert [await site.owner(name) for name in "abc"] == ["ann"] * 3
        assert await site.addresses("ann") == {"ann@a.example", "ben@b.example"}
        row = await site.contact("ann")
        assert (row.segments, row.name, row.email) == (["vip"], "Ann", "ann@a.example")
        assert await site.companies_of_talk("a") == ["Bees"]
        assert [name for name, _, _ in await site.memberships("ann")] == ["Bees"]
        await taken_back(site, merge_id)
        assert await picture(site) == before


# SPEC D6, D7
async def test_profiles_of_the_merged_one_are_kept_and_move_nothing(database_url: str) -> None:
    async with connected(database_url) as site:
        ann, ben = await two_people(site)
        merge_id = await merged(site, "contact", ben, ann, ["name"])
        await site.take(
            person("ben", at=5, email="new@b.example", person={"nickname": "Benjamin"},
                   company={"name": "Wasps"}),
            talk("d", at=5, meta={"email": "new@b.example"}), talk("e", people_id="ben", at=5),
        )  # fmt: skip
        tomb = await site.contact("ben")
        assert (tomb.merged_into, tomb.name, tomb.email) == (ann, "Benjamin", "new@b.example")
        assert tomb.deleted_at is not None
        assert [await site.owner(name) for name in "abde"] == ["ann", "ann", "ann", "ann"]
        assert await site.addresses("ann") == {"ann@a.example", "new@b.example"}
        assert (await site.contact("ann")).name == "Ann", "ben had no name when it was merged"
        assert await site.owner("c") is None, "nobody has the old address any more"
        await taken_back(site, merge_id)
        assert [await site.owner(name) for name in "abde"] == ["ann", "ben", "ben", "ben"]
        assert [name for name, _, until in await site.memberships("ben") if until is None] == [
            "Wasps"
        ]


# SPEC M4
async def test_a_third_person_of_crisp_never_joins_the_two_by_itself(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("ann", email="ann@a.example"))
        csv = await site.add_by_hand("Ben", "ben@b.example")
        await merged(site, "contact", csv, (await site.contact("ann")).id)
        await site.take(person("carl", email="ben@b.example"), talk("s", people_id="carl"))
        assert await site.owner("s") == "carl"
        other = await site.add_by_hand("Dan", "dan@d.example")
        await merged(site, "contact", await site.add_by_hand("D.", "d@d.example"), other)
        await site.take(person("dan", email="d@d.example"), talk("t", people_id="dan"))
        assert (await site.conversation("t")).contact_id == other


# SPEC M6, D6
@pytest.mark.parametrize("decided", ["before", "after"])
async def test_decisions_about_either_hold_for_both(database_url: str, decided: str) -> None:
    async with connected(database_url) as site:
        ann, ben = await two_people(site)
        await site.take(talk("pinned"))
        if decided == "before":
            await site.decide("b", ben, "deny")
            await site.decide("pinned", ben, "pin")
            merge_id = await merged(site, "contact", ben, ann)
        else:
            merge_id = await merged(site, "contact", ben, ann)
            await site.decide("b", ann, "deny")
            await site.decide("pinned", ann, "pin")
        assert (await site.conversation("b")).unmatched_reason == "denied"
        assert await site.owner("pinned") == "ann"
        await taken_back(site, merge_id)
        expected = {"before": (None, "ben"), "after": ("ben", "ann")}
        assert (await site.owner("b"), await site.owner("pinned")) == expected[decided]


# FAILURES case 64
async def test_case_064_a_contact_merged_in_crisp(database_url: str) -> None:
    async with connected(database_url) as site:
        ann, ben = await two_people(site)
        await site.take(talk("b2", people_id="ben"))
        # Crisp binds the sessions it knows to ann, and removes ben.
        await site.take(talk("b", at=3, people_id="ann"))
        await site.remove_person("ben", seen=4)
        assert await site.owner("b") == "ann"
        assert (await site.conversation("b2")).unmatched_reason == "contact_removed"
        tomb = await site.contact("ben")
        assert (tomb.name, tomb.segments, tomb.deleted_at is None) == (None, ["vip"], False)
        before = await picture(site)
        merge_id = await merged(site, "contact", ben, ann)
        assert (await site.contact("ben")).merged_into == ann
        assert await site.owner("b2") == await site.owner("c") == "ann"
        await taken_back(site, merge_id)
        assert await picture(site) == before


# SPEC D4, D6
async def test_removals_of_the_merged_one_in_crisp_count_when_it_is_itself_again(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        ann, ben = await two_people(site)
        merge_id = await merged(site, "contact", ben, ann)
        await site.remove_person("ben", seen=5)
        assert await site.owner("b") == "ann", "the contact that stays is there"
        await site.remove_person("ann", seen=6)
        assert (await site.conversation("b")).unmatched_reason == "contact_removed"
        await site.take(person("ann", at=7, seen=7, direct=True, email="ann@a.example"))
        assert await site.owner("b") == await site.owner("c") == "ann"
        await taken_back(site, merge_id)
        assert (await site.contact("ben")).deleted_at is not None
        assert (await site.conversation("b")).unmatched_reason == "contact_removed"


# SPEC D6
async def test_a_company_in_a_merge_is_not_taken_over_by_a_profile(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(
            person("ann", company={"name": "Acme"}), person("ben", company={"name": "Bees"}),
            person("cid", company={"domain": "cid.example"}),
        )  # fmt: skip
        merge_id = await merged(
            site, "company", (await company(site, "Acme")).id, (await company(site, "Bees")).id
        )
        for name in ("Acme", "Bees"):
            await site.take(person("cid", at=3, company={"name": name, "domain": "cid.example"}))
        await taken_back(site, merge_id)
        assert {"Acme", "Bees"} <= set(await live_companies(site))
        assert [name for name, _, _ in await site.memberships("ann")] == ["Acme"]


async def test_what_cannot_be_merged_is_refused_and_nothing_is_written(database_url: str) -> None:
    async with connected(database_url) as site:
        acme, ltd = await two_companies(site)
        await site.take(person("eve", company={"name": "Eve"}))
        eve = (await company(site, "Eve")).id
        before = await picture(site)
        with pytest.raises(Refused, match="cannot be merged with itself"):
            await merged(site, "company", acme, acme)
        with pytest.raises(NotFound, match="no such company"):
            await merged(site, "company", "elsewhere", acme)
        with pytest.raises(Refused, match="no field colour"):
            await merged(site, "company", ltd, acme, ["colour"])
        viewer = Actor("user", "v", "vi", Role.VIEWER)
        async with site.db.write() as connection:
            with pytest.raises(Forbidden):
                await merge_companies(connection, site.id, ltd, acme, None, viewer)
        assert await picture(site) == before
        merge_id = await merged(site, "company", ltd, acme)
        for pair in ((ltd, eve), (eve, ltd)):
            with pytest.raises(Refused, match="merged into another one already"):
                await merged(site, "company", *pair)
        async with site.db.write() as connection:
            with pytest.raises(NotFound):
                await unmerge(connection, "other website", merge_id, MIRA)
        await taken_back(site, merge_id)
        with pytest.raises(NotFound, match="taken back already"):
            await taken_back(site, merge_id)


async def test_merges_stand_in_the_audit_log(database_url: str) -> None:
    async with connected(database_url) as site:
        acme, ltd = await two_companies(site)
        merge_id = await merged(site, "company", ltd, acme, ["name"])
        await taken_back(site, merge_id)
        rows = await site.rows(select(audit_log).order_by(audit_log.c.at, audit_log.c.id))
        found = {row.action: (row.actor_name, row.subject_id, row.before) for row in rows}
        assert found["company.merged"] == (MIRA.name, acme, {"name": "Acme"})
        assert found["company.unmerged"][2] == {"merged": ltd, "merge": merge_id}
