"""Lists are taken along as CSV and kept under a name (SPEC V4, P5; FAILURES 68, 71, 91)."""

from __future__ import annotations

import csv
from io import StringIO

import httpx
import pytest
from sqlalchemy import select

from app.accounts.saved_views import LONGEST_NAME, MOST, saved_views
from app.accounts.tables import audit_log
from app.db.session import Database
from tests.pages import rows
from tests.pages.rows import OTHER_SITE, SITE, put, small_world

pytestmark = pytest.mark.asyncio


def table_of(answer: httpx.Response) -> list[list[str]]:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.text[0] == "\ufeff"
    return list(csv.reader(StringIO(answer.text[1:])))


async def test_export_is_what_the_list_shows(db: Database, client: httpx.AsyncClient) -> None:
    many = [
        rows.conversation(f"c{n:04}", subject=f"Subject {n}", crisp_updated_at=rows.ago(hours=n),
                          status="resolved" if n % 2 else "pending")
        for n in range(1_201)
    ]  # fmt: skip
    await put(db, [*small_world(), *many, *small_world(OTHER_SITE, "z")])
    page = (await client.get(f"/conversations?website={SITE}&status=resolved")).text
    assert f'href="/conversations.csv?website={SITE}&amp;status=resolved"' in page
    path = f"/conversations.csv?website={SITE}&status=resolved&sort=updated&size=25&cursor=x"
    head, *lines = table_of(await client.get(path))
    assert head[:4] == ["id", "status", "subject", "contact"]
    assert [line[0] for line in lines] == [f"c{n:04}" for n in range(1_199, 0, -2)]
    people = table_of(await client.get(f"/contacts.csv?website={SITE}&q=ann"))
    assert people[1][:5] == ["ann", "ann@acme.example", "Ann Example", "", "Acme Ltd"]
    assert len(people) == 2
    firms = table_of(await client.get(f"/companies.csv?website={SITE}"))
    assert firms[1][:6] == ["acme", "Acme Ltd", "acme.example", "1", "1", "1"]


async def test_case_071_no_formula_leaves(db: Database, client: httpx.AsyncClient) -> None:
    bad = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", " =1", "＝1", 'a"b,c\nd', "a\x00b"]
    bad = [text for text in bad if "\x00" not in text]
    await put(
        db,
        [
            rows.website(),
            *(rows.contact(f"p{n}", name=text, phone=text, segments=[text])
              for n, text in enumerate(bad)),
            *(rows.company(f"f{n}", name=text, domain=text) for n, text in enumerate(bad)),
            *(rows.conversation(f"c{n}", subject=text, nickname=text, assigned_to=text)
              for n, text in enumerate(bad)),
        ],
    )  # fmt: skip
    for name in ("contacts", "companies", "conversations"):
        found = table_of(await client.get(f"/{name}.csv"))
        assert len(found) == len(bad) + 1
        for cell in (cell for line in found[1:] for cell in line):
            assert cell.lstrip()[:1] not in {*"=+-@＝", "\t", "\r"}, cell


async def test_views_are_saved_used_replaced_and_removed(
    db: Database, client: httpx.AsyncClient
) -> None:
    await put(db, small_world())
    query = "status=open&q=refund&cursor=abc&website=else&evil=1&sort=-messages"
    form = {"list": "conversations", "name": "  Open <b>refunds</b> ", "query": query}
    answer = await client.post("/views", data=form)
    assert answer.status_code == 303
    wanted = "status=open&q=refund&sort=-messages"
    assert answer.headers["location"] == f"/conversations?{wanted}"
    page = (await client.get("/conversations")).text
    assert f'href="/conversations?{wanted.replace("&", "&amp;")}"' in page
    assert "Open &lt;b&gt;refunds&lt;/b&gt;" in page
    await client.post("/views", data=form | {"query": "status=resolved"})
    async with db.read() as connection:
        saved = (await connection.execute(select(saved_views))).all()
        noted = (await connection.execute(select(audit_log.c.action))).all()
    assert [view.query for view in saved] == ["status=resolved"]
    assert "view.saved" in {row.action for row in noted}
    answer = await client.post(f"/views/{saved[0].id}/remove")
    assert answer.headers["location"] == "/conversations"
    assert "refunds" not in (await client.get("/conversations")).text
    assert (await client.post(f"/views/{saved[0].id}/remove")).status_code == 404


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"list": "events", "name": "x", "query": ""}, "Views are saved of contacts"),
        ({"list": "contacts", "name": " ", "query": ""}, "Give the view a name"),
        ({"list": "contacts", "name": "x" * (LONGEST_NAME + 1), "query": ""}, "Give the view a"),
        ({"list": "contacts", "name": "x", "query": "q=" + "a" * 3_000}, "too long"),
    ],
)
async def test_what_cannot_be_saved_is_refused(
    db: Database, client: httpx.AsyncClient, form: dict[str, str], sentence: str
) -> None:
    await put(db, small_world())
    answer = await client.post("/views", data=form)
    assert answer.status_code == 422
    assert sentence in answer.text


async def test_views_are_few_and_ones_own(db: Database, client: httpx.AsyncClient) -> None:
    """FAILURES 91: a view of somebody else is neither shown nor removed."""
    others = rows.row_of(
        saved_views, website_id=SITE, id="v1", owner_id="somebody", list="contacts", name="Theirs",
    )  # fmt: skip
    await put(db, small_world())
    async with db.write() as connection:
        await connection.execute(saved_views.insert(), [others[1]])
    assert "Theirs" not in (await client.get("/contacts")).text
    assert (await client.post("/views/v1/remove")).status_code == 404
    for n in range(MOST):
        assert (await client.post("/views", data={"list": "contacts", "name": f"v{n}"})).is_redirect
    answer = await client.post("/views", data={"list": "contacts", "name": "one more"})
    assert answer.status_code == 422
