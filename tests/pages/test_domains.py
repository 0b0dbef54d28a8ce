"""The forms that tie e-mail domains to companies (SPEC M9)."""

from app.accounts.actors import Role
from tests.edits.merging import company
from tests.edits.test_edit_pages import browser
from tests.fixtures.people import log_in_as
from tests.ingesting import connected, person, talk


async def test_a_domain_is_tied_on_the_companys_page_and_taken_back(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await site.take(
            person("ann", company={"name": "Acme"}), talk("s", meta={"email": "x@acme.example"})
        )
        (await log_in_as(site.db, Role.MEMBER, [site.id])).give(web)
        acme = (await company(site, "Acme")).id
        page = await web.post(f"/companies/{acme}/domains", data={"domain": "@ACME.example"})
        assert page.status_code == 200
        assert "Take back acme.example" in page.text
        assert await site.companies_of_talk("s") == ["Acme"]
        assert "Acme" in (await web.get("/settings/domains")).text
        refused = await web.post(f"/companies/{acme}/domains", data={"domain": "gmail.com"})
        assert refused.status_code == 422
        assert "free-mail" in refused.text
        back = await web.post(
            "/settings/domains/release", data={"domain": "acme.example", "company_id": acme}
        )
        assert back.url.path == f"/companies/{acme}"
        assert await site.companies_of_talk("s") == []


async def test_a_new_company_or_nobody(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await site.take(talk("s", meta={"email": "x@acme.example"}))
        (await log_in_as(site.db, Role.MEMBER, [site.id])).give(web)
        form = {"domain": "acme.example", "name": "Acme <b>", "what": "company"}
        page = await web.post("/settings/domains", data=form)
        assert "Acme &lt;b&gt;" in page.text
        assert await site.companies_of_talk("s") == ["Acme <b>"]
        again = await web.post("/settings/domains", data=form | {"domain": "other.example"})
        assert again.status_code == 409
        assert "other.example" in again.text, "what was typed stays"
        page = await web.post("/settings/domains", data={"domain": "gmail.com", "what": "ignore"})
        assert "ignored" in page.text


async def test_a_viewer_sees_the_domains_and_no_buttons(database_url: str) -> None:
    async with connected(database_url) as site, browser(site) as web:
        await site.take(person("ann", company={"name": "Acme"}))
        acme = (await company(site, "Acme")).id
        (await log_in_as(site.db, Role.VIEWER, [site.id])).give(web)
        for path in ("/settings/domains", f"/companies/{acme}"):
            page = await web.get(path)
            assert page.status_code == 200
            assert 'name="domain"' not in page.text
        for path in (
            "/settings/domains",
            "/settings/domains/release",
            f"/companies/{acme}/domains",
        ):
            assert (await web.post(path, data={"domain": "x.example"})).status_code == 403
