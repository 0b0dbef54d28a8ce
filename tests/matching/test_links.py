"""Whose conversation it is: the rules M1 to M8, through the one writer, on real databases."""

from typing import Any

import pytest
from sqlalchemy import event, select

from app.clock import now
from app.companies.tables import contact_companies
from app.contacts.tables import contacts
from app.conversations.tables import conversation_companies, conversations
from app.matching.link import relink_all
from app.matching.rules import REASONS
from app.matching.statements import link_contacts
from app.records import ConversationRecord
from tests.ingesting import connected, moment, person, said, talk
from tests.pulling import sandbox_and_crispsync


def by_address(session_id: str, address: str, at: float = 0, **fields: Any) -> ConversationRecord:
    return talk(session_id, at=at, meta={"email": address}, **fields)


# SPEC M1
async def test_the_people_id_decides_first(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("p"), talk("s", people_id="p"))
        row = await site.conversation("s")
        assert await site.owner("s") == "p"
        assert (row.match_rule, row.match_value, row.match_verified) == ("people_id", "p", True)
        assert row.unmatched_reason is None
        assert row.matched_at is not None


# SPEC M1
async def test_only_contacts_from_crisp_have_a_people_id(database_url: str) -> None:
    async with connected(database_url) as site:
        own_id = await site.add_by_hand("Ann")
        await site.take(talk("s", people_id=own_id))
        assert (await site.conversation("s")).unmatched_reason == "unknown_person"


# SPEC M2
@pytest.mark.parametrize("people_id", [None, "unknown", "removed"])
async def test_the_address_decides_where_the_id_names_nobody(
    database_url: str, people_id: str | None
) -> None:
    async with connected(database_url) as site:
        await site.take(person("removed"), person("p", email="Ann@Bücher.example"))
        await site.remove_person("removed", seen=1)
        await site.take(by_address("s", " aNN@xn--bcher-kva.EXAMPLE ", people_id=people_id))
        row = await site.conversation("s")
        assert await site.owner("s") == "p"
        assert (row.match_rule, row.match_value) == ("email", "ann@xn--bcher-kva.example")


# SPEC M2, M8
async def test_every_address_of_every_contact_counts(database_url: str) -> None:
    async with connected(database_url) as site:
        own_id = await site.add_by_hand("Ann", "ann@a.example", "ann@home.example")
        await site.take(by_address("s", "ANN@home.example"), by_address("t", "ann@a.example"))
        assert await site.owner("s") == await site.owner("t") == own_id


# SPEC M2
async def test_a_plus_tag_is_another_address(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("p", email="ann@a.example"), by_address("s", "ann+x@a.example"))
        assert (await site.conversation("s")).unmatched_reason == "unknown_email"


# SPEC M2
async def test_the_id_wins_over_the_address_and_the_conflict_is_shown(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("p", email="p@a.example"), person("q", email="q@a.example"))
        await site.take(by_address("s", "q@a.example", people_id="p"))
        row = await site.conversation("s")
        assert await site.owner("s") == "p"
        assert row.conflicting_contact_id == (await site.contact("q")).id
        await site.take(by_address("s", "p@a.example", at=1, people_id="p"))
        assert (await site.conversation("s")).conflicting_contact_id is None


# SPEC M3
async def test_a_conversation_belongs_to_all_companies_of_its_contact(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("p", company={"name": "Acme"}), talk("s", people_id="p"))
        assert await site.companies_of_talk("s") == ["Acme"]
        await site.take(person("q", company={"name": "Second"}))
        second = (await site.rows(select(contact_companies).where(
            contact_companies.c.contact_id == (await site.contact("q")).id
        )))[0]  # fmt: skip
        row = {**second._mapping, "id": "by hand", "source": "manual", "since": moment(100)}
        row["contact_id"] = (await site.contact("p")).id
        await site.execute(contact_companies.insert().values(row))
        async with site.db.write() as connection:
            await relink_all(connection, site.id)
        assert await site.companies_of_talk("s") == ["Acme", "Second"]


# SPEC M3
async def test_a_company_that_is_added_gets_the_earlier_conversations(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("p"), talk("s", people_id="p"), said("s", 1, at=1))
        assert await site.companies_of_talk("s") == []
        await site.take(person("p", at=50, company={"name": "Acme"}))
        assert await site.companies_of_talk("s") == ["Acme"]


# SPEC M3
async def test_a_company_that_replaces_another_leaves_it_the_earlier_conversations(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await site.take(person("p", company={"name": "Acme"}))
        await site.take(talk("old", people_id="p"), said("old", 1, at=10))
        await site.take(talk("new", people_id="p"), said("new", 1, at=10))
        await site.take(person("p", at=50, company={"name": "Bluefern"}))
        assert await site.companies_of_talk("old") == ["Acme"]
        await site.take(said("new", 2, at=60))
        assert await site.companies_of_talk("new") == ["Bluefern"]
        await site.take(person("p", at=70, company={"name": "Acme"}))
        assert await site.companies_of_talk("old") == ["Acme"]
        assert await site.companies_of_talk("new") == ["Bluefern"]


# SPEC M3
async def test_a_conversation_without_messages_counts_from_its_beginning(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("p", company={"name": "Acme"}), talk("s", people_id="p"))
        await site.take(person("p", at=50, company={"name": "Bluefern"}))
        assert await site.companies_of_talk("s") == ["Acme"]


# SPEC M4
async def test_case_063_two_contacts_with_the_address_are_never_guessed(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(
            person("p", email="team@a.example"), person("q", email="TEAM@a.example"),
            by_address("s", "team@a.example"), by_address("t", "team@a.example", people_id="q"),
        )  # fmt: skip
        row = await site.conversation("s")
        assert (row.contact_id, row.unmatched_reason) == (None, "ambiguous_email")
        assert await site.owner("t") == "q", "an id is no guess"
        assert len(await site.rows(select(contacts))) == 2


# SPEC M4, M5
async def test_an_ambiguous_conversation_is_linked_when_one_of_the_two_goes(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await site.take(
            person("p", email="team@a.example"), person("q", email="team@a.example"),
            by_address("s", "team@a.example"),
        )  # fmt: skip
        await site.remove_person("q", seen=1)
        assert await site.owner("s") == "p"
        await site.take(person("q", at=2, seen=2, direct=True, email="team@a.example"))
        assert (await site.conversation("s")).unmatched_reason == "ambiguous_email"


# SPEC M5
async def test_each_unmatched_conversation_has_the_first_reason_that_applies(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await site.take(
            person("p", email="p@a.example"),
            person("q", email="two@a.example"), person("r", email="two@a.example"),
            person("gone", email="gone@a.example"),
            by_address("denied", "two@a.example", people_id="p"),
            by_address("ambiguous_email", "two@a.example", people_id="gone"),
            by_address("contact_removed", "x@a.example", people_id="gone"),
            by_address("contact_removed too", "gone@a.example", people_id="unknown"),
            by_address("unknown_person", "x@a.example", people_id="unknown"),
            by_address("unknown_email", "x@a.example"),
            talk("no_identity"), by_address("no_identity too", "no address"),
        )  # fmt: skip
        await site.remove_person("gone", seen=1)
        await site.decide("denied", (await site.contact("p")).id, "deny")
        rows = await site.rows(select(conversations))
        assert {row.session_id.removesuffix(" too") == row.unmatched_reason for row in rows} == {
            True
        }
        assert {row.unmatched_reason for row in rows} == set(REASONS)
        assert all(row.contact_id is None and row.match_rule is None for row in rows)
        assert await site.rows(select(conversation_companies)) == []


# SPEC M5
@pytest.mark.parametrize("appears", ["contact", "address", "binding", "csv", "revived"])
async def test_a_conversation_is_linked_by_itself_as_soon_as_it_can_be(
    database_url: str, appears: str
) -> None:
    async with connected(database_url) as site:
        await site.take(person("other", email="other@a.example"), by_address("s", "ann@a.example"))
        if appears == "revived":
            await site.take(person("p", email="ann@a.example"))
            await site.remove_person("p", seen=1)
        assert await site.owner("s") is None
        if appears in {"contact", "revived"}:
            await site.take(person("p", at=2, seen=2, direct=True, email="ann@a.example"))
        elif appears == "address":
            await site.take(person("other", at=2, email="ANN@a.example"))
        elif appears == "binding":
            await site.take(by_address("s", "ann@a.example", at=2, people_id="other"))
        else:
            await site.add_by_hand("Ann", "ann@a.example")
            async with site.db.write() as connection:
                await relink_all(connection, site.id)
        assert await site.owner("s") is not None
        assert (await site.conversation("s")).unmatched_reason is None


# SPEC M5
async def test_a_company_that_appears_gets_the_conversations_of_its_people(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await site.take(person("p", email="p@a.example"), by_address("s", "p@a.example"))
        await site.take(person("p", at=1, person={"employment": {"name": "Acme"}}))
        assert await site.companies_of_talk("s") == ["Acme"]
        await site.remove_person("p", seen=2)
        assert await site.companies_of_talk("s") == []
        assert (await site.conversation("s")).unmatched_reason == "contact_removed"


async def test_case_065_a_changed_address_moves_the_conversations(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(
            person("p", email="old@a.example", company={"name": "Acme"}),
            by_address("s", "old@a.example"), by_address("t", "new@a.example"),
        )  # fmt: skip
        assert [await site.owner("s"), await site.owner("t")] == ["p", None]
        await site.take(person("p", at=1, email="new@a.example"))
        assert [await site.owner("s"), await site.owner("t")] == [None, "p"]
        assert (await site.conversation("s")).unmatched_reason == "unknown_email"
        assert await site.companies_of_talk("s") == []
        assert await site.companies_of_talk("t") == ["Acme"]


async def test_case_065_a_link_made_by_hand_stays_when_the_address_changes(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await site.take(person("p", email="old@a.example"), by_address("s", "old@a.example"))
        await site.decide("s", (await site.contact("p")).id, "pin")
        await site.take(person("p", at=1, email="new@a.example"))
        await site.take(person("q", email="old@a.example"))
        assert await site.owner("s") == "p"
        assert (await site.conversation("s")).match_rule == "manual"


# SPEC M6
async def test_no_rule_overrides_a_person(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(
            person("p", email="p@a.example"), person("q", email="q@a.example"),
            by_address("pinned", "p@a.example", people_id="p"),
            by_address("denied", "q@a.example", people_id="p"),
        )  # fmt: skip
        await site.decide("pinned", (await site.contact("q")).id, "pin")
        await site.decide("denied", (await site.contact("p")).id, "deny")
        for at in (1, 2):
            await site.take(
                person("p", at=at, email="p@a.example", notepad=str(at)),
                by_address("pinned", "p@a.example", at=at, people_id="p"),
                by_address("denied", "q@a.example", at=at, people_id="p"),
            )
            row = await site.conversation("pinned")
            assert await site.owner("pinned") == "q"
            assert (row.match_rule, row.match_value) == ("manual", "mira@support.example")
            assert row.match_verified
            assert await site.owner("denied") == "q", "the next rule decides"
        await site.decide("denied", (await site.contact("q")).id, "deny")
        assert (await site.conversation("denied")).unmatched_reason == "denied"


# SPEC M6
async def test_a_pin_to_a_contact_that_was_removed_waits_for_it(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("p"), person("q"), talk("s", people_id="p"))
        await site.decide("s", (await site.contact("q")).id, "pin")
        await site.remove_person("q", seen=1)
        assert await site.owner("s") == "p"
        await site.take(person("q", at=2, seen=2, direct=True), talk("s", at=2, people_id="p"))
        assert await site.owner("s") == "q"


# SPEC M6
async def test_a_link_keeps_its_date_while_it_holds(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("p", email="p@a.example"), by_address("s", "p@a.example"))
        since = (await site.conversation("s")).matched_at
        await site.take(by_address("s", "p@a.example", at=1, people_id="p"))
        row = await site.conversation("s")
        assert (row.match_rule, row.matched_at) == ("people_id", since)
        await site.take(person("q"), talk("s", at=2, people_id="q"))
        assert (await site.conversation("s")).matched_at > since


# SPEC M7
@pytest.mark.parametrize("verified", [True, False])
async def test_an_address_that_crisp_did_not_verify_is_marked(
    database_url: str, verified: bool
) -> None:
    async with connected(database_url) as site:
        await site.take(
            person("p", email="p@a.example"),
            by_address("s", "p@a.example", is_verified=verified),
            by_address("t", "p@a.example", people_id="p", is_verified=False),
        )
        assert (await site.conversation("s")).match_verified is verified
        assert (await site.conversation("t")).match_verified, "the id decided, not the address"


async def test_case_064_merged_people_keep_their_conversations_together(database_url: str) -> None:
    """Crisp tells of a merge by removing the one and binding its conversations to the other."""
    async with connected(database_url) as site:
        await site.take(
            person("a", email="ann@home.example"), person("b", email="ann@a.example"),
            talk("one", people_id="a"), talk("two", people_id="b"),
            by_address("three", "ann@home.example"),
        )  # fmt: skip
        await site.remove_person("a", seen=1)
        await site.take(talk("one", at=2, people_id="b"))
        assert [await site.owner("one"), await site.owner("two")] == ["b", "b"]
        assert (await site.conversation("three")).unmatched_reason == "contact_removed"
        assert (await site.contact("a")).deleted_at is not None


async def test_case_067_the_same_address_under_a_new_id_is_a_new_contact(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(
            person("old", email="ann@a.example", notepad="secret"),
            talk("s", people_id="old"), by_address("t", "ann@a.example"),
        )  # fmt: skip
        await site.remove_person("old", seen=1)
        await site.take(person("new", at=2, email="ann@a.example"))
        new, old = await site.contact("new"), await site.contact("old")
        assert new.id != old.id
        assert old.deleted_at is not None
        assert "notepad" not in new.crisp_fields
        assert await site.owner("t") == "new"
        assert (await site.conversation("s")).unmatched_reason == "contact_removed"


async def test_links_do_not_cross_websites(database_url: str) -> None:  # SPEC C1
    from app.websites.connect import Installed, save_connected
    from tests.ingesting import Site

    async with connected(database_url) as site:
        other = Site(site.db, "1f0f5b8e-3c55-4c0a-9a5d-6f2f9d1f7a11")
        await save_connected(site.db, Installed(other.id, "Other", None))
        await site.take(person("p", email="p@a.example", company={"name": "Acme"}))
        await other.take(talk("s", people_id="p"), by_address("t", "p@a.example"))
        assert (await other.conversation("s")).unmatched_reason == "unknown_person"
        assert (await other.conversation("t")).unmatched_reason == "unknown_email"


async def test_matching_anew_changes_nothing_that_is_right(database_url: str) -> None:
    """The rules read the same state, whichever change came first."""
    async with connected(database_url) as site:
        sessions = [talk(f"s{n}", people_id=f"p{n % 7}") for n in range(30)]
        mails = [by_address(f"m{n}", f"{n % 5}@a.example") for n in range(30)]
        people = [person(f"p{n}", email=f"{n % 4}@a.example", company={"name": f"C{n % 2}"})
                  for n in range(6)]  # fmt: skip
        await site.take(*sessions, *mails)
        for one in people:
            await site.take(one)
        before = await site.rows(select(conversations).order_by(conversations.c.id))
        links = await site.rows(select(conversation_companies))
        async with site.db.write() as connection:
            await relink_all(connection, site.id)
        assert await site.rows(select(conversations).order_by(conversations.c.id)) == before
        assert set(await site.rows(select(conversation_companies))) == set(links)
        assert {row.match_rule for row in before} == {"people_id", "email", None}


async def test_a_new_conversation_is_written_once_with_its_link(database_url: str) -> None:
    """Each time a row is written anew it is new in every index."""
    async with connected(database_url) as site:
        await site.take(person("p"))
        written: list[str] = []
        engine = site.db.engine.sync_engine

        def note(*told: Any) -> None:
            if told[2].startswith(("INSERT INTO conversations ", "UPDATE conversations ")):
                written.append(told[2].split()[0])

        event.listen(engine, "before_cursor_execute", note)
        await site.take(talk("s", people_id="p"), talk("t"))
        event.remove(engine, "before_cursor_execute", note)
        assert written == ["INSERT"]
        assert await site.owner("s") == "p"
        assert (await site.conversation("t")).unmatched_reason == "no_identity"


async def test_new_conversations_are_linked_as_stored_ones_are(database_url: str) -> None:
    """Of a website with everything odd that the sandbox knows. SPEC M1, M2, M5"""
    async with sandbox_and_crispsync(database_url, people=60, conversations=150) as crisp:
        assert await crisp.run("full") == "done"
        async with crisp.db.write() as connection:
            for whole in (True, False):
                given = {"ids": [row.id for row in await crisp.rows(select(conversations.c.id))]}
                changed = await connection.execute(
                    link_contacts(whole=whole),
                    {"website": crisp.website_id, "matched_at": now(), **({} if whole else given)},
                )
                assert changed.scalars().all() == []
        rows = await crisp.rows(
            select(conversations.c.match_rule, conversations.c.unmatched_reason)
        )
        assert len(set(rows)) >= 5, "and there are all kinds"
