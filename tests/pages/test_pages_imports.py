"""Imports in the pages: upload, map, plan, import, repair, undo, without scripts (SPEC I1 to I11)."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
from hypothesis import given
from sqlalchemy import insert, select, update

from app import clock
from app.accounts.actors import Role
from app.companies.tables import companies
from app.contacts.tables import contacts
from app.db.session import Database
from app.imports.tables import imports
from app.imports.worker import ImportWorker
from app.pages.parts import Uploads
from app.websites.connect import Installed, save_connected
from tests.fixtures.people import log_in_as
from tests.imports.any_bytes import CONTENTS, LAYOUTS, some
from tests.imports.importing import Importing
from tests.ingesting import WEBSITE
from tests.pages.conftest import ORIGIN, Stand, pages_app

DAYS = timedelta(days=2)
FILE = "E-Mail;Vorname;Kunde seit;Plan\nada@acme.example;Ada;2020-08-14;pro\nbo;=1+1;;<b>x</b>\n"


class Browser:
    """A browser without scripts, and the worker that would run beside the pages."""

    def __init__(self, client: httpx.AsyncClient, db: Database, folder: Path) -> None:
        self.client, self.db = client, db
        self.worker = ImportWorker(db, folder, 10)
        self.folder = folder

    async def send(self, path: str, **data: Any) -> httpx.Response:
        headers = {"Origin": ORIGIN}
        return await self.client.post(path, data=data, headers=headers, follow_redirects=True)

    async def upload(
        self, content: bytes, name: str = "people.csv", kind: str = "contacts"
    ) -> httpx.Response:
        return await self.client.post(
            "/imports", data={"kind": kind}, files={"file": (name, content)}, headers={"Origin": ORIGIN},
            follow_redirects=True,
        )  # fmt: skip

    async def work(self) -> None:
        while await self.worker.work_once():
            pass

    async def rows(self, query: Any) -> Any:
        async with self.db.read() as connection:
            return (await connection.execute(query)).all()


@pytest_asyncio.fixture
async def browser(db: Database, stand: Stand, tmp_path: Path) -> Any:
    await save_connected(db, Installed(WEBSITE, "Acme Chat", None))
    app = pages_app(db, stand)
    folder = tmp_path / "uploads"
    app.state.uploads = Uploads(folder, 1)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        (await log_in_as(db, Role.MEMBER, [WEBSITE])).give(client)
        yield Browser(client, db, folder)


MAPPING = {
    "to.0": "email", "to.1": "first_name", "to.2": "created", "to.3": "custom", "key.3": "plan",
    "type.3": "choice", "choices.3": "pro|free", "mode": "merge", "segment": "spring",
    "default_prefix": "+34", "save_as": "CRM",
}  # fmt: skip


async def test_from_upload_to_undo(browser: Browser) -> None:
    assert "No file has been imported yet" in (await browser.client.get("/imports")).text
    mapping = await browser.upload(FILE.encode())
    assert mapping.status_code == 200
    assert '<option value="first_name" selected>' in mapping.text
    assert "&lt;b&gt;x" in mapping.text
    assert mapping.text.count('method="post"') == mapping.text.count('name="csrf"')
    path = mapping.url.path

    refused = await browser.send(f"{path}/plan", **{**MAPPING, "key.3": "Company Name"})
    assert refused.status_code == 422
    assert "use company_name" in refused.text
    planning = await browser.send(f"{path}/plan", **MAPPING)
    assert "planning" in planning.text
    await browser.work()
    planned = await browser.client.get(path)
    assert "Import 1 row" in planned.text
    assert "This is no e-mail address." in planned.text
    changed = await browser.client.get(path, params={"show": "create"})
    assert "<ins><bdi>Ada</bdi></ins>" in changed.text
    (row,) = await browser.rows(select(imports))
    stale = await browser.send(f"{path}/commit", plan_hash="other")
    assert stale.status_code == 409
    await browser.send(f"{path}/commit", plan_hash=row.plan_hash)
    await browser.work()
    done = await browser.client.get(path)
    assert "done, some rows stayed out" in done.text
    (ada,) = await browser.rows(select(contacts))
    assert (ada.segments, ada.attributes) == (["spring"], {"plan": "pro"})

    bad = await browser.client.get(f"{path}/bad-rows.csv")
    assert "attachment" in bad.headers["content-disposition"]
    assert "'=1+1" in bad.text  # FAILURES case 71
    assert "email_invalid" in bad.text
    repaired = await browser.upload(bad.content.replace(b"\nbo,", b"\nbo@x.example,"))
    assert "bad rows of" in repaired.text

    await browser.send(f"{path}/rows/2/undo", show="create")
    assert await browser.rows(select(contacts)) == []
    undone = await browser.send(f"{path}/undo")
    await browser.work()
    assert "undone" in (await browser.client.get(path)).text
    assert undone.status_code == 200
    listed = await browser.client.get("/imports")
    assert listed.text.count("people.csv") >= 2
    saved = await browser.client.get(repaired.url.path, params={"mapping": "CRM"})
    assert "<option selected>CRM</option>" in saved.text


async def test_a_file_of_companies(browser: Browser) -> None:
    shown = (await browser.client.get("/imports")).text
    assert '<option value="companies">a company</option>' in shown
    sample = await browser.client.get("/imports/sample.csv?kind=companies")
    assert "companies-sample.csv" in sample.headers["content-disposition"]
    mapping = await browser.upload(sample.content, kind="companies")
    assert '<option value="other_domains" selected>Other domains</option>' in mapping.text
    assert '<option value="email"' not in mapping.text
    assert 'name="segment"' not in mapping.text
    assert "Companies that exist already" in mapping.text
    path = mapping.url.path
    fields = ("company_name", "company_url", "company_description", "other_names", "other_domains")
    wanted = {f"to.{n}": field for n, field in enumerate(fields)} | {"mode": "merge"}
    await browser.send(f"{path}/plan", **wanted, save_as="Firms")
    await browser.work()
    planned = (await browser.client.get(path)).text
    assert "Goes by" in planned
    assert "acme inc" in planned
    (row,) = await browser.rows(select(imports))
    await browser.send(f"{path}/commit", plan_hash=row.plan_hash)
    await browser.work()
    (acme, _) = await browser.rows(select(companies).order_by(companies.c.name))
    done = (await browser.client.get(path, params={"show": "create"})).text
    assert f"/companies/{acme.id}" in done
    file = (await browser.client.get("/imports/companies.csv")).content
    again = await browser.upload(file, kind="companies")
    path = again.url.path
    await browser.send(f"{path}/plan", **wanted)
    await browser.work()
    unchanged = (await browser.client.get(path, params={"show": "unchanged"})).text
    assert "2 unchanged" in unchanged
    assert ">Acme<" in unchanged.replace("<bdi>", "").replace("</bdi>", "")
    switched = await browser.send(
        f"{(await browser.upload(file)).url.path}/layout", separator="comma", encoding="utf-8",
        header="yes", kind="companies",
    )  # fmt: skip
    assert '<option value="Firms"' in switched.text or "<option>Firms</option>" in switched.text


async def test_layout_remap_cancel(browser: Browser) -> None:
    path = (await browser.upload(b"email,name\na@x.example,A\n")).url.path
    changed = await browser.send(
        f"{path}/layout", separator="semicolon", encoding="cp1252", header="no"
    )
    assert "Column 1" in changed.text
    wrong = await browser.send(f"{path}/layout", separator="#", encoding="cp1252", header="no")
    assert wrong.status_code == 422
    await browser.send(f"{path}/layout", separator="comma", encoding="utf-8", header="yes")
    await browser.send(f"{path}/plan", **{"to.0": "email", "mode": "merge"})
    await browser.work()
    assert "Columns" in (await browser.send(f"{path}/remap")).text
    assert "cancelled" in (await browser.send(f"{path}/cancel")).text
    assert list(browser.folder.iterdir()) == []
    assert (await browser.send(f"{path}/nonsense")).status_code == 404
    assert (await browser.client.get("/imports/nope")).status_code == 404


async def test_files_that_are_refused(browser: Browser) -> None:
    for content, status, word in (
        (b"", 422, "empty"),
        (b"PK\x03\x04", 422, "Excel"),
        (b"x" * (2 * 1024 * 1024), 413, "1 MB"),
    ):
        answer = await browser.upload(content)
        assert (answer.status_code, word in answer.text) == (status, True)
    none = await browser.send("/imports")
    assert none.status_code == 422
    stranger = await browser.client.post("/imports", headers={"Origin": "https://evil.example"})
    assert stranger.status_code == 403
    assert not browser.folder.exists() or list(browser.folder.iterdir()) == []


async def test_too_much_is_refused_while_it_comes(browser: Browser) -> None:
    async def endless() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="f.csv"\r\n\r\n'
        for _ in range(40):
            yield b"y" * 65_536

    headers = {"Origin": ORIGIN, "Content-Type": "multipart/form-data; boundary=x"}
    answer = await browser.client.post("/imports", content=endless(), headers=headers)
    assert answer.status_code == 413


async def test_a_page_of_an_import_that_is_done_comes_again(browser: Browser) -> None:
    """By `end` alone: a card shown for the moment before would take what somebody presses with it."""
    path = (await browser.upload(b"email\na@x.example\n")).url.path
    await browser.send(f"{path}/plan", **{"to.0": "email", "mode": "merge"})
    await browser.work()
    stream = await browser.client.get(f"{path}/events")
    assert stream.text == "event: end\ndata: finished\n\n"


async def test_a_file_shows_how_one_is_made(browser: Browser) -> None:
    assert (await browser.client.get("/imports/sample.csv")).text.startswith("email,")


@some(25)
@given(content=CONTENTS, layout=LAYOUTS)
async def test_any_bytes_become_a_page(
    browser: Browser, content: bytes, layout: dict[str, Any]
) -> None:
    """A fault would be raised here, not shown: this client hands it on."""
    mapping = await browser.upload(content)
    assert mapping.status_code in {200, 422}, mapping.text
    if mapping.status_code == 422:
        return
    path = mapping.url.path
    typed = {**layout, "header": "yes" if layout["header"] else "no"}
    changed = await browser.send(f"{path}/layout", **typed)
    assert changed.status_code in {200, 422}
    told = {"to.0": "email", "to.1": "name", "to.2": "custom", "key.2": "plan", "mode": "merge"}
    planned = await browser.send(f"{path}/plan", **told)
    assert planned.status_code in {200, 422}
    if planned.status_code == 422:
        return
    await browser.work()
    shown = await browser.client.get(path)
    assert "planned" in shown.text
    (row,) = await browser.rows(select(imports).where(imports.c.id == path.split("/")[-1]))
    assert (await browser.client.get(f"{path}/bad-rows.csv")).status_code == 200
    assert (await browser.send(f"{path}/commit", plan_hash=row.plan_hash)).status_code == 200
    await browser.work()
    for show in ("problems", "create", "update", "unchanged", "skip"):
        done = await browser.client.get(path, params={"show": show})
        assert done.status_code == 200
        assert ">done" in done.text
    assert (await browser.client.get("/imports")).status_code == 200


def listed(text: str) -> dict[str, str]:
    """Each row of the history by its import's id, in their order, as words."""
    found = {}
    for part in re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL):
        if link := re.search(r'href="/imports/([^"?]+)', part):
            found[link[1]] = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", part)).split())
    return found


async def test_the_history_tells_state_who_when_counts_and_problems(browser: Browser) -> None:
    """SPEC I11"""
    site = Importing(browser.db, WEBSITE, browser.folder)
    done = await site.run("email,phone\na@x.example,\nb@x.example,+34651234567\nnobody,\n")
    undone = await site.undo((await site.run("email\nc@x.example\n")).id)
    planned = await site.plan("email,name\na@x.example,Ada\nd@x.example,\n,\nwho,\n")
    await site.execute(
        update(imports).where(imports.c.id == done.id).values(created_by="mira@support.example")
    )
    failed = await site.begin("email\ne@x.example\n", "<b>crm.csv")
    await site.execute(
        update(imports)
        .where(imports.c.id == failed)
        .values(state="failed", error="The file is gone.", created_at=clock.now() - DAYS)
    )
    text = (await browser.client.get("/imports")).text
    assert list(listed(text)) == [planned.id, undone.id, done.id, failed]
    told = listed(text)
    assert (
        "2 created, 1 bad done, some rows stayed out 3 rows mira@support.example" in told[done.id]
    )
    assert "1 row taken back undone 1 rows" in told[undone.id]
    assert "1 new, 1 to change, 1 bad planned 3 rows" in told[planned.id]
    assert "The file is gone. failed" in told[failed]
    assert "<b>crm.csv" in told[failed]
    times = re.findall(r'cell-when"><time datetime="([^"]+)"', text)
    assert len(times) == 4
    assert times == sorted(times, reverse=True)


async def test_the_history_is_paged_without_repeats_also_of_one_moment(browser: Browser) -> None:
    """SPEC I11: while a new one comes in as well."""
    site = Importing(browser.db, WEBSITE, browser.folder)
    first = await site.begin("email\na@x.example\n")
    row = (await site.row(first))._asdict()
    at = clock.now() - DAYS
    old = [{**row, "id": f"old-{n:02}", "created_at": at - DAYS * (n // 20)} for n in range(60)]
    await site.execute(insert(imports).values(old))
    seen: list[str] = []
    page = (await browser.client.get("/imports")).text
    while True:
        seen += listed(page)
        further = re.search(r'rel="next" href="([^"]+)"', page)
        if further is None:
            break
        await site.begin("email\nb@x.example\n")
        page = (await browser.client.get(html.unescape(further[1]))).text
    assert seen[0] == first
    order = sorted(old, key=lambda one: (one["created_at"], one["id"]), reverse=True)
    assert seen[1:] == [one["id"] for one in order]
    back = re.search(r'rel="prev" href="([^"]+)"', page)
    assert back is not None
    before = (await browser.client.get(html.unescape(back[1]))).text
    assert list(listed(before)) == seen[-len(listed(page)) - 25 : -len(listed(page))]
    lost = (await browser.client.get("/imports", params={"cursor": "nonsense"})).text
    assert "That place in the list is not known" in lost
