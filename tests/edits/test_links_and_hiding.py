"""Pinning, denying, moving; deleting and restoring (SPEC M6, I12; FAILURES cases 65 and 67)."""

import pytest
from sqlalchemy import select

from app.companies.tables import companies
from app.conversations.tables import link_decisions
from app.edits.hiding import hide, show
from app.edits.journal import Kind
from app.edits.links import Decision, decide_link, take_link_back
from app.errors import NotFound, Refused
from app.pages import queries_contacts
from app.pages.listing import read_listing
from app.pages.queries_conversation import memberships_query
from app.records import conversation_id
from tests.edits.merging import MIRA, company, merged, picture
from tests.ingesting import Site, connected, person, talk


async def decided(site: Site, session_id: str, contact_id: str, word: Decision) -> None:
    own = conversation_id(site.id, session_id)
    async with site.db.write() as connection:
        await decide_link(connection, site.id, own, contact_id, word, MIRA)


async def released(site: Site, session_id: str, contact_id: str) -> None:
    own = conversation_id(site.id, session_id)
    async with site.db.write() as connection:
        await take_link_back(connection, site.id, own, contact_id, MIRA)


async def hidden(site: Site, kind: Kind, *ids: str) -> int:
    async with site.db.write() as connection:
        return await hide(connection, site.id, kind, ids, MIRA)


async def shown(site: Site, kind: Kind, row_id: str) -> None:
    async with site.db.write() as connection:
        await show(connection, site.id, kind, row_id, MIRA)


# SPEC M6
async def test_a_link_is_pinned_moved_denied_and_released(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("ann"), person("ben"), talk("s", people_id="ann"))
        ann, ben = (await site.contact("ann")).id, (await site.contact("ben")).id
        before = await picture(site)
        await decided(site, "s", ann, "pin")
        await decided(site, "s", ben, "pin")
        row = await site.conversation("s")
        assert (row.contact_id, row.match_rule, row.match_value) == (ben, "manual", MIRA.name)
        await site.take(talk("s", at=5, people_id="ann"))
        assert await site.owner("s") == "ben", "no rule overrides it"
        assert len(await site.rows(select(link_decisions))) == 1
        await decided(site, "s", ben, "deny")
        assert await site.owner("s") == "ann"
        await decided(site, "s", ann, "deny")
        assert (await site.conversation("s")).unmatched_reason == "denied"
        await released(site, "s", ann)
        await released(site, "s", ben)
        await site.take(talk("s", at=5, people_id="ann"))
        assert await site.owner("s") == "ann"
        with pytest.raises(NotFound, match="nothing to take back"):
            await released(site, "s", ann)
        assert before["contacts"] == (await picture(site))["contacts"]


async def test_what_cannot_be_decided_is_refused(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("ann"), talk("s", people_id="ann"))
        ann = (await site.contact("ann")).id
        with pytest.raises(NotFound, match="no such conversation"):
            await decided(site, "unknown", ann, "pin")
        with pytest.raises(NotFound, match="no such contact"):
            await decided(site, "s", "unknown", "pin")
        await hidden(site, "contact", ann)
        with pytest.raises(Refused, match="choose a live one"):
            await decided(site, "s", ann, "pin")


# SPEC M6
async def test_case_065_a_changed_address_keeps_what_a_person_pinned(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(
            person("ann", email="ann@a.example"), person("ben", email="ben@a.example"),
            talk("auto", meta={"email": "ann@a.example"}),
            talk("pinned", meta={"email": "ann@a.example"}),
        )  # fmt: skip
        await decided(site, "pinned", (await site.contact("ann")).id, "pin")
        await site.take(person("ann", at=5, email="new@a.example"))
        assert await site.owner("auto") is None
        assert await site.owner("pinned") == "ann"
        await site.take(person("ben", at=6, email="ann@a.example"))
        assert await site.owner("auto") == "ben", "linked by itself to whoever has the address now"
        assert await site.owner("pinned") == "ann"


# FAILURES case 67
async def test_case_067_the_same_address_returns_with_a_new_id(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("old", email="ann@a.example"), talk("s", people_id="old"))
        await site.remove_person("old", seen=3)
        await site.take(
            person("new", at=5, email="ann@a.example"),
            talk("t", at=5, meta={"email": "ann@a.example"}),
        )
        assert (await site.contact("new")).id != (await site.contact("old")).id
        assert (await site.contact("old")).deleted_at is not None
        assert await site.owner("t") == "new"
        assert (await site.conversation("s")).unmatched_reason == "contact_removed"


# SPEC I12
async def test_a_deleted_contact_stays_hidden_until_a_person_restores_it(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(
            person("ann", email="ann@a.example"), person("ben"),
            talk("s", people_id="ann"), talk("t", meta={"email": "ann@a.example"}),
        )  # fmt: skip
        ann, ben = (await site.contact("ann")).id, (await site.contact("ben")).id
        assert await hidden(site, "contact", ann, ben) == 2
        assert await hidden(site, "contact", ann) == 0
        for session in "st":
            assert (await site.conversation(session)).unmatched_reason == "contact_removed"
        await site.take(person("ann", at=5, seen=5, direct=True, email="ann@a.example"))
        await site.remove_person("ann", seen=6)
        await site.take(person("ann", at=7, seen=7, direct=True, email="ann@a.example"))
        assert (await site.contact("ann")).deleted_at is not None
        await shown(site, "contact", ann)
        assert await site.owner("s") == await site.owner("t") == "ann"
        await site.remove_person("ann", seen=8)
        with pytest.raises(Refused, match="only Crisp can bring them back"):
            await shown(site, "contact", ann)


# SPEC I12
async def test_a_deleted_company_has_no_conversations_until_it_is_restored(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await site.take(
            person("ann", company={"name": "Acme", "domain": "acme.example"}),
            talk("s", people_id="ann"),
        )
        acme = (await company(site, "Acme")).id
        await hidden(site, "company", acme)
        assert await site.companies_of_talk("s") == []
        await site.take(
            person("ben", company={"name": "Acme", "domain": "acme.example"}),
            talk("t", people_id="ben"),
        )
        assert await site.companies_of_talk("t") == []
        assert len(await site.rows(select(companies))) == 1
        await shown(site, "company", acme)
        assert await site.companies_of_talk("s") == await site.companies_of_talk("t") == ["Acme"]


async def test_a_deleted_company_is_not_named_beside_its_contacts(database_url: str) -> None:
    q = queries_contacts
    everybody = read_listing({}, q.SORTS, q.DEFAULT_SORT, q.FILTERS)
    async with connected(database_url) as site:
        await site.take(person("ann", company={"name": "Acme", "domain": "acme.example"}))
        ann, acme = (await site.contact("ann")).id, (await company(site, "Acme")).id
        for act, names, has in ((hidden, [], "no"), (shown, ["Acme"], "yes")):
            await act(site, "company", acme)
            async with site.db.read() as connection:
                found = await q.list_contacts(connection, site.id, everybody)
                own = (await connection.execute(memberships_query(site.id, ann))).all()
            assert [row.name for row in found.companies[ann]] == [r.name for r in own] == names
            assert found.facets.counts["company"] == {has: 1}


async def test_a_merged_one_is_neither_deleted_nor_restored(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("ann"), person("ben"))
        ann, ben = (await site.contact("ann")).id, (await site.contact("ben")).id
        await merged(site, "contact", ben, ann)
        with pytest.raises(Refused, match="take that back first"):
            await hidden(site, "contact", ben)
        with pytest.raises(Refused, match="take that back instead"):
            await shown(site, "contact", ben)
