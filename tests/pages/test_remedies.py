"""The Unmatched page as a work place: choose, see what it changes, do it, take it back (SPEC V5)."""

import html
import re
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from app.accounts.actors import Role
from app.contacts.tables import contacts
from app.edits.tables import remedies
from tests.edits.mending import everything, mended, undone
from tests.edits.merging import company
from tests.edits.test_edit_pages import browser
from tests.edits.test_remedies import GROUP, a_group, ids
from tests.fixtures.people import log_in_as
from tests.ingesting import Site, connected, person, talk


async def as_member(site: Site, web: httpx.AsyncClient, role: Role = Role.MEMBER) -> None:
    (await log_in_as(site.db, role, [site.id])).give(web)


def fields(page: httpx.Response, action: str = "/unmatched/remedy") -> dict[str, Any]:
    """What the form of the page would send."""
    form = html.unescape(
        re.findall(rf'<form method="post" action="{action}".*?</form>', page.text, re.DOTALL)[0]
    )
    found: dict[str, Any] = {"ids": re.findall(r'name="ids" value="([^"]+)"', form)}
    found |= dict(re.findall(r'type="hidden" name="(?!ids)(\w+)" value="([^"]*)"', form))
    return found


async def choose(web: httpx.AsyncClient, kind: str, **wish: Any) -> httpx.Response:
    return await web.get("/unmatched/remedy", params={"kind": kind, **wish})


async def test_a_group_is_seen_settled_and_taken_back(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await a_group(site)
        await as_member(site, web)
        before = await everything(site)
        page = await web.get("/unmatched")
        assert "/unmatched/group?reason=unknown_email&amp;domain=acme.example" in page.text
        group = await web.get("/unmatched/group", params=GROUP)
        assert "3 conversations" in group.text
        assert re.findall(r'name="kind" value="(\w+)"', group.text) == [
            "create", "link", "tie", "ignore", "leave",
        ]  # fmt: skip
        seen = await choose(web, "create", **GROUP)
        assert "2 new contacts, one for each address; 3 conversations are theirs" in seen.text
        assert "ann@acme.example" in seen.text.lower()
        assert await everything(site) == before, "looking changes nothing"
        done = await web.post("/unmatched/remedy", data=fields(seen))
        assert done.url.path == "/unmatched"
        assert "Made 2 contacts for 3 conversations" in done.text
        assert "acme.example" not in re.findall(r"<section.*?Done lately", done.text, re.DOTALL)[0]
        (row,) = await site.rows(select(remedies))
        shown = await web.get(f"/unmatched/remedies/{row.id}")
        assert "The member" in shown.text or row.done_by in shown.text
        assert "Ann Lee" in shown.text
        back = await web.post(f"/unmatched/remedies/{row.id}/undo")
        assert "Everything is as it was before." in back.text
        assert await everything(site) == before
        assert "taken back by" in (await web.get("/unmatched/remedies")).text
        assert (await web.post(f"/unmatched/remedies/{row.id}/undo")).status_code == 404


async def test_some_are_linked_to_a_contact_that_is_looked_for(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await a_group(site)
        await as_member(site, web)
        chosen = {**GROUP, "ids": list(ids(site, "a1", "b"))}
        asked = await choose(web, "link", **chosen, q="known")
        known = (await site.contact("known")).id
        assert f'name="contact_id" value="{known}"' in asked.text
        assert asked.text.count('name="ids"') == 4, "both forms carry what was chosen"
        seen = await choose(web, "link", **chosen, contact_id=known)
        assert "2 conversations are pinned to known@else.example" in seen.text
        done = await web.post("/unmatched/remedy", data=fields(seen))
        assert done.url.path == "/unmatched/group"
        assert "Linked 2 conversations to known@else.example" in done.text
        assert await site.owner("b") == "known"
        assert await site.owner("a2") is None


async def test_a_domain_is_tied_to_a_company_that_is_here_or_new(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await a_group(site)
        await as_member(site, web)
        asked = await choose(web, "tie", **GROUP)
        acme = (await company(site, "Acme")).id
        assert f'name="company_id" value="{acme}"' in asked.text, "its name begins like the domain"
        assert 'name="company_name" value="Acme"' in asked.text
        taken = await choose(web, "tie", **GROUP, company_name="Acme")
        assert taken.status_code == 409
        assert "Acme has this name already" in taken.text
        seen = await choose(web, "tie", **GROUP, company_name="Acme & Sons")
        assert "belongs to a new company, Acme &amp; Sons: 4 conversations, 1 of which" in seen.text
        await web.post("/unmatched/remedy", data=fields(seen))
        assert await site.companies_of_talk("b") == ["Acme & Sons"]
        page = await web.get("/unmatched")
        assert "3 of a company’s domain" in page.text


async def test_a_domain_is_ignored_and_a_conversation_left_as_it_is(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await a_group(site)
        await as_member(site, web)
        assert '<span class="count">5</span>' in (await web.get("/")).text
        for kind, wish in (
            ("ignore", GROUP),
            ("leave", {"reason": "no_identity"}),
            ("leave", {"ids": list(ids(site, "other"))}),
        ):
            seen = await choose(web, kind, **wish)
            done = await web.post("/unmatched/remedy", data=fields(seen))
            assert done.status_code == 200
        page = await web.get("/unmatched")
        assert "Nobody has to be asked" in page.text
        assert "3 of an ignored domain" in page.text
        assert "2 left as they are" in page.text
        assert (
            "Nothing is left in this group"
            in (await web.get("/unmatched/group", params=GROUP)).text
        )


async def test_one_conversation_is_mended_from_its_own_page(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await a_group(site)
        await as_member(site, web)
        (own,) = ids(site, "b")
        page = await web.get(f"/conversations/{own}")
        for kind in ("create", "tie", "ignore", "leave"):
            assert f"/unmatched/remedy?kind={kind}&amp;ids={own}" in page.text
        seen = await choose(web, "create", ids=[own])
        assert f'href="/conversations/{own}"' in seen.text
        done = await web.post("/unmatched/remedy", data=fields(seen))
        assert "Made 1 contact for 1 conversation" in done.text
        assert "Undo" in done.text
        (anonymous,) = ids(site, "nobody")
        page = await web.get(f"/conversations/{anonymous}")
        assert re.findall(r"remedy\?kind=(\w+)", page.text) == ["leave"]
        assert "/unmatched/remedy" not in (await web.get(f"/conversations/{own}")).text


async def test_what_changed_since_is_shown_anew_and_nothing_is_done(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await a_group(site)
        await as_member(site, web)
        seen = await choose(web, "create", **GROUP)
        await site.take(talk("late", at=9, meta={"email": "late@acme.example"}))
        refused = await web.post("/unmatched/remedy", data=fields(seen))
        assert refused.status_code == 409
        assert "It changed since you looked, so nothing was done" in refused.text
        assert "late@acme.example" in refused.text
        assert len(await site.rows(select(contacts))) == 1
        done = await web.post("/unmatched/remedy", data=fields(refused))
        assert "Made 3 contacts for 4 conversations" in done.text


async def test_undo_that_others_stand_in_the_way_of_says_so_and_offers_the_rest(
    database_url: str,
) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await a_group(site)
        await as_member(site, web)
        remedy_id = await mended(site, "create", **GROUP)
        await site.take(person("ann", at=9, email="ann@acme.example", person={"nickname": "Ann"}))
        now = await everything(site)
        path = f"/unmatched/remedies/{remedy_id}/undo"
        refused = await web.post(path)
        assert refused.status_code == 409
        assert "for since then 1 new contact was changed by people or by Crisp." in refused.text
        assert await everything(site) == now
        back = await web.post(path, data={"rest": "yes"})
        assert "What stayed: <bdi>1 new contact was changed" in back.text
        assert await site.owner("b") is None
        assert await site.owner("a1") == "ann"


async def test_a_viewer_sees_groups_and_what_was_done_and_may_nothing(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await a_group(site)
        remedy_id = await mended(site, "ignore", **GROUP)
        await as_member(site, web, Role.VIEWER)
        group = await web.get("/unmatched/group", params={"reason": "no_identity"})
        assert "1 conversation" in group.text
        for path in ("/unmatched", "/unmatched/remedies", f"/unmatched/remedies/{remedy_id}"):
            page = await web.get(path)
            assert page.status_code == 200
            assert "Undo" not in page.text
        assert 'name="ids"' not in group.text
        assert (await choose(web, "create", **GROUP)).status_code == 403
        for path in ("/unmatched/remedy", f"/unmatched/remedies/{remedy_id}/undo"):
            assert (await web.post(path, data={"kind": "create", **GROUP})).status_code == 403


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/unmatched/group?reason=nonsense", 404, "no such group"),
        ("/unmatched/group?reason=unknown_email&domain=..", 422, "domain"),
        ("/unmatched/group?reason=unknown_email&domain=%00", 422, "domain"),
        ("/unmatched/group?reason=unknown_email&cursor=x", 200, "5 conversations"),
        ("/unmatched/remedy", 422, "Choose what is to be done"),
        ("/unmatched/remedy?kind=create", 422, "Choose a group"),
        ("/unmatched/remedy?kind=create&ids=%00", 404, "no such conversation"),
        ("/unmatched/remedy?kind=create&ids=unknown", 200, "Nothing would change"),
        ("/unmatched/remedy?kind=leave&" + "&".join(f"ids={n}" for n in range(201)), 422, "most 200"),
        ("/unmatched/remedy?kind=link&reason=unknown_email&contact_id=x", 404, "no such contact"),
        ("/unmatched/remedy?kind=tie&domain=gmail.com", 200, "Which company"),
        ("/unmatched/remedy?kind=tie&domain=gmail.com&company_name=X", 422, "free-mail"),
        ("/unmatched/remedy?kind=ignore&reason=unknown_email", 422, "Choose the domain"),
        ("/unmatched/remedies/unknown", 404, "no such remedy"),
        ("/unmatched?done=unknown", 200, "Unmatched"),
    ],
)  # fmt: skip
async def test_whatever_is_asked_has_an_answer(
    sqlite_url: str, path: str, status: int, sentence: str
) -> None:
    async with connected(sqlite_url) as site, browser(site) as web:
        await a_group(site)
        await site.take(talk("free", meta={"email": "x@gmail.com"}))
        await as_member(site, web)
        page = await web.get(path)
        assert page.status_code == status
        assert sentence in page.text


async def test_a_group_is_paged_and_its_address_is_of_its_website(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await site.take(
            *(talk(f"s{n}", at=n, meta={"email": f"p{n}@acme.example"}) for n in range(120))
        )
        await as_member(site, web)
        seen: list[str] = []
        page = await web.get("/unmatched/group", params=GROUP)
        while True:
            seen += re.findall(r'name="ids" value="([^"]+)"', page.text)
            following = re.findall(r'rel="next" href="([^"]+)"', page.text)
            if not following:
                break
            page = await web.get(following[0].replace("&amp;", "&"))
        assert len(seen) == len(set(seen)) == 120
        await undone(site, await mended(site, "create", ids=tuple(seen[:3])))
