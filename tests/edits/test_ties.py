"""An e-mail domain is tied to a company, and taken back (SPEC M9; free-mail domains never)."""

import pytest
from sqlalchemy import select

from app.accounts.tables import audit_log
from app.companies.tables import domain_ties
from app.db.changes import change_batches
from app.edits.hiding import hide, show
from app.edits.ties import ignore_domain, release_domain, tie_domain, tie_new_company
from app.errors import Conflict, NotFound, Refused
from app.matching.link import relink_all
from tests.edits.merging import MIRA, company, merged, picture, taken_back
from tests.ingesting import Site, connected, person, talk


async def tied(site: Site, domain: str, company_id: str) -> str:
    async with site.db.write() as connection:
        return await tie_domain(connection, site.id, domain, company_id, MIRA)


async def made(site: Site, domain: str, name: str) -> str:
    async with site.db.write() as connection:
        return await tie_new_company(connection, site.id, domain, name, MIRA)


async def ignored(site: Site, domain: str) -> None:
    async with site.db.write() as connection:
        await ignore_domain(connection, site.id, domain, MIRA)


async def released(site: Site, domain: str) -> None:
    async with site.db.write() as connection:
        await release_domain(connection, site.id, domain, MIRA)


async def people_and_talks(site: Site) -> str:
    """Acme's id; one conversation of the domain with a contact, one without, one of a subdomain."""
    await site.take(
        person("ann", email="ann@bücher.example"),
        person("ben", company={"name": "Acme", "domain": "acme.example"}),
        talk("matched", meta={"email": "ANN@Bücher.example"}),
        talk("unmatched", meta={"email": "who@xn--bcher-kva.example"}),
        talk("sub", meta={"email": "who@mail.bücher.example"}),
        talk("else", meta={"email": "who@else.example"}),
    )
    return str((await company(site, "Acme")).id)


# SPEC M9
@pytest.mark.parametrize(
    "typed", ["bücher.example", " @BÜCHER.example. ", "xn--bcher-kva.example", "x@bücher.example"]
)
async def test_conversations_belong_to_the_company_and_no_longer_when_it_is_taken_back(
    database_url: str, typed: str
) -> None:
    async with connected(database_url) as site:
        acme = await people_and_talks(site)
        before = await picture(site)
        assert await tied(site, typed, acme) == "xn--bcher-kva.example"
        assert await site.companies_of_talk("matched") == ["Acme"]
        assert await site.companies_of_talk("unmatched") == ["Acme"]
        assert await site.companies_of_talk("sub") == await site.companies_of_talk("else") == []
        assert (await site.conversation("unmatched")).unmatched_reason == "unknown_email"
        await site.take(talk("later", at=4, meta={"email": "new@bücher.example"}))
        assert await site.companies_of_talk("later") == ["Acme"]
        await site.take(talk("later", at=5, meta={"email": "new@else.example"}))
        assert await site.companies_of_talk("later") == []
        await released(site, typed)
        after = await picture(site)
        assert before["conversation_companies"] == after["conversation_companies"]
        assert before["companies"] == after["companies"]


async def test_the_audit_log_and_the_change_feed_are_told(database_url: str) -> None:
    async with connected(database_url) as site:
        acme = await people_and_talks(site)
        last = max(row.number for row in await site.rows(select(change_batches.c.number)))
        await tied(site, "bücher.example", acme)
        await ignored(site, "bücher.example")
        told = await site.rows(select(change_batches).where(change_batches.c.number > last))
        ids = {(await site.conversation(one)).id for one in ("matched", "unmatched")}
        assert [(row.kind, set(row.ids)) for row in told] == [("link", ids), ("link", ids)]
        rows = await site.rows(select(audit_log).order_by(audit_log.c.at, audit_log.c.id))
        found = [(r.action, r.subject_id, r.before, r.after) for r in rows]
        domain = "xn--bcher-kva.example"
        free = {"company_id": None, "ignored": False}
        of_acme = {"company_id": acme, "ignored": False}
        assert ("domain.tied", domain, free, of_acme) in found
        assert ("domain.ignored", domain, of_acme, {"company_id": None, "ignored": True}) in found


async def test_a_new_company_is_made_with_the_domain(database_url: str) -> None:
    async with connected(database_url) as site:
        await people_and_talks(site)
        await made(site, "bücher.example", "  Bücher & Co ")
        assert await site.companies_of_talk("unmatched") == ["Bücher & Co"]
        with pytest.raises(Conflict, match="Acme"):
            await made(site, "else.example", "ACME")
        with pytest.raises(Conflict, match="Acme"):
            await made(site, "acme.example", "Other")
        with pytest.raises(Refused, match="name"):
            await made(site, "else.example", "  ")
        await site.take(
            person("new", at=3, company={"name": "Bücher", "domain": "bücher.example"}),
            talk("t", at=3, people_id="new"),
        )
        assert await site.company_names() == ["Acme", "Bücher"], "Crisp finds it by its domain"


# SPEC M9
@pytest.mark.parametrize(
    ("typed", "sentence"),
    [("GMAIL.com", "free-mail"), ("tutanota.com", "free-mail"), ("", "no e-mail domain"),
     ("acme", "no e-mail domain"), ("a b.example", "no e-mail domain"),
     ("https://acme.example/x", "no e-mail domain"), ("\0.example", "no e-mail domain")],
)  # fmt: skip
async def test_what_cannot_be_tied_is_refused(database_url: str, typed: str, sentence: str) -> None:
    async with connected(database_url) as site:
        acme = await people_and_talks(site)
        with pytest.raises(Refused, match=sentence):
            await tied(site, typed, acme)
        with pytest.raises(Refused, match=sentence):
            await made(site, typed, "New")
        assert await site.rows(select(domain_ties)) == []
        assert await site.company_names() == ["Acme"]


async def test_only_live_companies_get_domains(database_url: str) -> None:
    async with connected(database_url) as site:
        acme = await people_and_talks(site)
        with pytest.raises(NotFound):
            await tied(site, "else.example", "unknown")
        with pytest.raises(NotFound, match="not tied"):
            await released(site, "else.example")
        async with site.db.write() as connection:
            await hide(connection, site.id, "company", [acme], MIRA)
        with pytest.raises(Refused, match="deleted"):
            await tied(site, "else.example", acme)


async def test_free_mail_may_be_ignored_and_taken_back(database_url: str) -> None:
    async with connected(database_url) as site:
        await ignored(site, "gmail.com")
        await ignored(site, "gmail.com")
        assert [row.company_id for row in await site.rows(select(domain_ties))] == [None]
        await released(site, "gmail.com")
        assert await site.rows(select(domain_ties)) == []


async def test_a_tie_follows_a_merge_and_a_deletion_and_comes_back(database_url: str) -> None:
    async with connected(database_url) as site:
        acme = await people_and_talks(site)
        await site.take(person("cid", company={"name": "Bees", "domain": "bees.example"}))
        bees = (await company(site, "Bees")).id
        await tied(site, "bücher.example", acme)
        merge_id = await merged(site, "company", acme, bees)
        assert await site.companies_of_talk("unmatched") == ["Bees"]
        with pytest.raises(Refused, match="merged"):
            await tied(site, "else.example", acme)
        await taken_back(site, merge_id)
        assert await site.companies_of_talk("unmatched") == ["Acme"]
        async with site.db.write() as connection:
            await hide(connection, site.id, "company", [acme], MIRA)
        assert await site.companies_of_talk("unmatched") == []
        async with site.db.write() as connection:
            await show(connection, site.id, "company", acme, MIRA)
        assert await site.companies_of_talk("unmatched") == ["Acme"]
        now = await picture(site)
        async with site.db.write() as connection:
            await relink_all(connection, site.id)
        assert await picture(site) == now
