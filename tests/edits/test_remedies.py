"""Remedies for conversations without a contact, for a group and one by one, and taken back (SPEC V5)."""

from typing import Any

import pytest
from sqlalchemy import select, update

from app.accounts.actors import Actor, Role
from app.accounts.tables import audit_log
from app.companies.tables import domain_ties
from app.contacts.erased import list_erased, make_hasher
from app.contacts.tables import contacts
from app.conversations.tables import conversations, link_decisions
from app.edits.hiding import hide
from app.edits.remedies import remedy
from app.edits.wishes import Wish
from app.errors import Conflict, NotFound, Refused
from app.records import conversation_id
from app.settings import get_settings
from tests.edits.mending import effect, everything, mended, refused, undone
from tests.edits.merging import MIRA, company, merged
from tests.fixtures.program import SECRET_KEY
from tests.ingesting import Site, connected, person, talk


async def a_group(site: Site) -> None:
    await site.take(
        person("known", email="known@else.example", company={"name": "Acme"}),
        talk("a1", at=1, meta={"email": "Ann@acme.example", "nickname": "visitor123"}),
        talk("a2", at=2, meta={"email": "ann@ACME.example", "nickname": "Ann Lee"}),
        talk("b", at=3, meta={"email": "bob@acme.example", "nickname": "visitor9"}),
        talk("other", at=4, meta={"email": "x@other.example"}),
        talk("nobody", at=5),
        talk("linked", at=6, people_id="known", meta={"email": "who@acme.example"}),
    )


def ids(site: Site, *sessions: str) -> tuple[str, ...]:
    return tuple(conversation_id(site.id, one) for one in sessions)


GROUP: dict[str, Any] = {"reason": "unknown_email", "domain": "acme.example"}


# SPEC V5
async def test_contacts_are_made_for_a_group_and_taken_back(database_url: str) -> None:
    async with connected(database_url) as site:
        await a_group(site)
        before = await everything(site)
        seen = await effect(site, "create", **GROUP)
        assert set(seen.ids) == set(ids(site, "a1", "a2", "b"))
        assert [(one.address, one.name) for one in seen.new] == [
            ("ann@acme.example", "Ann Lee"), ("bob@acme.example", None),
        ]  # fmt: skip
        remedy_id = await mended(site, "create", seen.digest, **GROUP)
        made = await site.rows(select(contacts).where(contacts.c.source == "manual"))
        assert {(row.name, row.email.lower()) for row in made} == {
            ("Ann Lee", "ann@acme.example"), (None, "bob@acme.example"),
        }  # fmt: skip
        assert await site.owner("a1") == await site.owner("a2") is not None
        assert await site.owner("b") is not None
        assert await site.owner("other") is None
        assert await undone(site, remedy_id) == []
        assert await everything(site) == before
        with pytest.raises(NotFound, match="taken back already"):
            await undone(site, remedy_id)


async def test_the_profile_that_comes_later_adopts_the_contact_which_then_stays(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await a_group(site)
        remedy_id = await mended(site, "create", **GROUP)
        await site.take(person("ann", at=9, email="ann@acme.example", person={"nickname": "Ann"}))
        assert (await site.contact("ann")).name == "Ann"
        assert await refused(site, remedy_id) == (
            "Nothing was taken back, for since then 1 new contact was changed by people or by Crisp."
        )
        kept = await undone(site, remedy_id, rest=True)
        assert kept == ["1 new contact was changed by people or by Crisp"]
        assert await site.owner("a1") == "ann"
        assert await site.owner("b") is None


async def test_what_others_did_to_the_new_contacts_stays(database_url: str) -> None:
    async with connected(database_url) as site:
        await a_group(site)
        known = (await site.contact("known")).id
        remedy_id = await mended(site, "create", **GROUP)
        ann, bob = [
            (await site.conversation(one)).contact_id for one in ("a1", "b")
        ]  # fmt: skip
        await merged(site, "contact", ann, known)
        await site.decide("other", bob, "pin")
        assert "2 new contacts were changed" in await refused(site, remedy_id)
        await undone(site, remedy_id, rest=True)
        assert (await site.conversation("a1")).contact_id == known
        assert (await site.conversation("other")).contact_id == bob


async def erase(site: Site, address: str) -> None:
    async with site.db.write() as connection:
        hasher = await make_hasher(connection, site.id)
        await list_erased(connection, hasher, [("address", address)])


# SPEC P6
async def test_what_cannot_be_made_is_refused_row_by_row_with_its_reason(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", SECRET_KEY)
    get_settings.cache_clear()
    async with connected(database_url) as site:
        await a_group(site)
        gone = await site.add_by_hand("Gone", "gone@acme.example")
        async with site.db.write() as connection:
            await hide(connection, site.id, "contact", [gone], MIRA)
        await site.take(talk("gone", meta={"email": "gone@acme.example"}))
        await erase(site, "ann@acme.example")
        chosen = ids(site, "a1", "a2", "b", "nobody", "gone", "linked")
        seen = await effect(site, "create", ids=chosen)
        assert [(one.what, one.conversations, one.reason.split()[0]) for one in seen.refused] == [
            ("", 1, "Without"), ("ann@acme.example", 2, "Whoever"), ("gone@acme.example", 1, "It"),
        ]  # fmt: skip
        await mended(site, "create", seen.digest, ids=chosen)
        assert await site.owner("a1") is None
        assert await site.owner("b") is not None
        link = await effect(site, "link", ids=chosen, contact_id=(await site.contact("known")).id)
        assert set(link.ids) == set(ids(site, "nobody", "gone"))


# SPEC V5, M6
async def test_a_group_is_linked_to_one_contact_and_parted_again(database_url: str) -> None:
    async with connected(database_url) as site:
        await a_group(site)
        known = (await site.contact("known")).id
        await site.decide("a1", known, "deny")
        before = await everything(site)
        remedy_id = await mended(site, "link", contact_id=known, **GROUP)
        for session in ("a1", "a2", "b"):
            assert await site.owner(session) == "known"
        row = await site.conversation("a1")
        assert (row.match_rule, row.match_value) == ("manual", MIRA.name)
        assert await undone(site, remedy_id) == []
        assert await everything(site) == before


async def test_a_conversation_that_was_moved_since_stays_where_it_is(database_url: str) -> None:
    async with connected(database_url) as site:
        await a_group(site)
        known = (await site.contact("known")).id
        other = await site.add_by_hand("Other")
        first = await mended(site, "link", contact_id=known, **GROUP)
        second = await mended(site, "create", ids=ids(site, "other"))
        async with site.db.write() as connection:
            await remedy_pin(connection, site, "b", other)
        assert "since then 1 conversation was decided about anew." in await refused(site, first)
        await undone(site, first, rest=True)
        assert await site.owner("a1") is None
        assert (await site.conversation("b")).contact_id == other
        assert await undone(site, second) == []


async def remedy_pin(connection: Any, site: Site, session: str, contact_id: str) -> None:
    from app.edits.links import decide_link

    own = conversation_id(site.id, session)
    await decide_link(connection, site.id, own, contact_id, "pin", MIRA)


# SPEC M9, V5
async def test_domains_are_tied_to_a_company_and_the_group_is_taken_back(database_url: str) -> None:
    async with connected(database_url) as site:
        await a_group(site)
        acme = (await company(site, "Acme")).id
        before = await everything(site)
        seen = await effect(site, "tie", company_id=acme, **GROUP)
        assert (len(seen.ids), seen.matched) == (4, 1)
        first = await mended(site, "tie", seen.digest, company_id=acme, **GROUP)
        assert await site.companies_of_talk("b") == ["Acme"]
        tied = await everything(site)
        second = await mended(site, "tie", company_name="Acme Two", **GROUP)
        assert await site.companies_of_talk("b") == ["Acme Two"]
        assert "acme.example was tied, ignored or released anew" in await refused(site, first)
        assert await site.companies_of_talk("b") == ["Acme Two"]
        assert await undone(site, second) == []
        assert await everything(site) == tied
        assert await undone(site, first) == [], "nothing stands in its way any more"
        assert await everything(site) == before


async def test_several_domains_at_once_and_what_is_free_mail(database_url: str) -> None:
    async with connected(database_url) as site:
        await a_group(site)
        await site.take(talk("free", meta={"email": "x@gmail.com"}))
        chosen = ids(site, "a1", "other", "free", "nobody")
        before = await everything(site)
        seen = await effect(site, "tie", ids=chosen, company_name="Both")
        assert seen.domains == ["acme.example", "other.example"]
        assert [one.what for one in seen.refused] == ["", "gmail.com"]
        remedy_id = await mended(site, "tie", seen.digest, ids=chosen, company_name="Both")
        assert (
            await site.companies_of_talk("b") == await site.companies_of_talk("other") == ["Both"]
        )
        assert await undone(site, remedy_id) == []
        assert await everything(site) == before
        with pytest.raises(Refused, match="free-mail"):
            await mended(site, "tie", domain="gmail.com", company_name="Gmail")
        ignore = await mended(site, "ignore", domain="gmail.com")
        assert [row.company_id for row in await site.rows(select(domain_ties))] == [None]
        assert await undone(site, ignore) == []
        assert await everything(site) == before


async def test_a_new_company_that_others_use_since_stays(database_url: str) -> None:
    async with connected(database_url) as site:
        await a_group(site)
        remedy_id = await mended(site, "tie", company_name="New", **GROUP)
        await site.take(person("ann", at=9, company={"name": "New", "domain": "acme.example"}))
        assert "the new company was changed or got contacts" in await refused(site, remedy_id)
        await undone(site, remedy_id, rest=True)
        assert await site.company_names() == ["Acme", "New"]
        assert await site.companies_of_talk("b") == []


async def test_what_changed_since_the_preview_is_said_and_nothing_is_done(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await a_group(site)
        known = (await site.contact("known")).id
        for kind, more in (("create", {}), ("link", {"contact_id": known}),
                           ("tie", {"company_name": "New"}), ("ignore", {})):  # fmt: skip
            seen = await effect(site, kind, **GROUP, **more)
            await site.take(talk(f"new {kind}", at=9, meta={"email": f"{kind}@acme.example"}))
            with pytest.raises(Conflict, match=r"It changed .* it is \d+ conversations"):
                await mended(site, kind, seen.digest, **GROUP, **more)
        assert await site.rows(select(link_decisions)) == []
        assert await site.rows(select(domain_ties)) == []
        assert len(await site.rows(select(contacts))) == 1


@pytest.mark.parametrize(
    ("kind", "wish", "sentence"),
    [
        ("create", {}, "Choose a group"),
        ("create", {"reason": "nonsense"}, "no such reason"),
        ("link", GROUP, "Choose the contact"),
        ("link", {**GROUP, "contact_id": "unknown"}, "no such contact"),
        ("tie", GROUP, "Choose a company"),
        ("tie", {**GROUP, "company_id": "unknown"}, "no such company"),
        ("tie", {**GROUP, "company_name": " "}, "needs a name"),
        ("tie", {"reason": "no_identity", "domain": "-", "company_name": "X"}, "Choose the domain"),
        ("ignore", {"reason": "unknown_email"}, "Choose the domain"),
        ("ignore", {"ids": tuple(map(str, range(300)))}, "at most 200"),
        ("create", {"reason": "no_identity"}, "nothing to do"),
        ("create", {"ids": ("unknown",)}, "nothing to do"),
    ],
)
async def test_a_wrong_wish_is_refused(
    sqlite_url: str, kind: str, wish: dict[str, Any], sentence: str
) -> None:
    async with connected(sqlite_url) as site:
        await a_group(site)
        before = await everything(site)
        with pytest.raises(Refused, match=sentence):
            await mended(site, kind, **wish)
        assert await everything(site) == before


async def test_a_viewer_may_not_and_the_audit_log_names_no_address(database_url: str) -> None:
    viewer = Actor("user", "u2", "vic@support.example", Role.VIEWER)
    async with connected(database_url) as site:
        await a_group(site)
        with pytest.raises(Exception, match="needs the role member"):
            async with site.db.write() as connection:
                await remedy(connection, site.id, Wish("create", **GROUP), None, viewer)
        remedy_id = await mended(site, "create", **GROUP)
        await undone(site, remedy_id)
        rows = await site.rows(select(audit_log).where(audit_log.c.subject_kind == "remedy"))
        assert {row.action for row in rows} == {"unmatched.contacts_made", "unmatched.undone"}
        assert "@" not in str([(row.before, row.after) for row in rows])


async def test_a_large_group_takes_a_handful_of_statements(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(
            *(talk(f"s{n}", at=n, meta={"email": f"p{n}@acme.example"}) for n in range(1500))
        )
        before = await everything(site)
        counted: list[str] = []
        from sqlalchemy import event

        def count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            counted.append(statement)

        event.listen(site.db.engine.sync_engine, "before_cursor_execute", count)
        remedy_id = await mended(site, "create", **GROUP)
        assert len(counted) < 120, len(counted)
        assert await site.owner("s1499") is not None
        counted.clear()
        assert await undone(site, remedy_id) == []
        assert len(counted) < 120, len(counted)
        event.remove(site.db.engine.sync_engine, "before_cursor_execute", count)
        assert await everything(site) == before


async def test_a_tombstone_is_nobodys_task(database_url: str) -> None:
    async with connected(database_url) as site:
        await a_group(site)
        await site.execute(
            update(conversations).where(conversations.c.session_id == "b").values(deleted_at=None)
        )
        await site.remove_talk("b", seen=20)
        seen = await effect(site, "create", **GROUP)
        assert set(seen.ids) == set(ids(site, "a1", "a2"))
