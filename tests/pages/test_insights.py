"""The pages of figures: the same numbers as the API's, each leading to its conversations (SPEC V8)."""

from __future__ import annotations

import csv
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio

from app.accounts.actors import Actor, Role
from app.api.app import mount_api
from app.conversations.tables import operators
from app.db.session import Database
from app.pages.insights import ROWS
from app.pages.times import Moments, duration
from app.websites.business_hours import DEFAULT
from tests.fixtures.people import log_in_as
from tests.pages import rows
from tests.pages.conftest import ORIGIN, Stand, pages_app
from tests.pages.full_world import put_all
from tests.pages.rows import SITE, put, row_of
from tests.pages.test_pages_paging import counted

pytestmark = pytest.mark.asyncio

MOST_STATEMENTS = 12
BYS = ("week", "operator", "company", "contact")
RESOLVED = {"namespace": "state:resolved"}


@pytest_asyncio.fixture
async def client(db: Database, stand: Stand) -> AsyncIterator[httpx.AsyncClient]:
    """An admin, logged in to the pages; the API takes the tokens `viewer` and `admin`."""
    app = pages_app(db, stand)
    app.state.business_hours = DEFAULT

    async def actor_of_token(_db: Database, token: str) -> Actor | None:
        return Actor("token", token, token, Role[token.upper()], None)

    mount_api(app, actor_of_token, 100_000)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as opened:
        (await log_in_as(db)).give(opened)
        yield opened


def a_talk(n: int, *, asked: float, answered: float | None, **given: Any) -> rows.Rows:
    """Opened `asked` hours ago by a customer, and answered so many hours later by Mira, or not."""
    key = f"k{n}"
    made = [
        rows.conversation(
            key, contact_id="ann", crisp_created_at=rows.ago(hours=asked), message_count=2,
            crisp_updated_at=rows.ago(hours=asked - (answered or 0)), **given,
        ),
        rows.belongs(key, "acme"),
        rows.message(key, 1, complete=True, sent_at=rows.ago(hours=asked)),
    ]  # fmt: skip
    if answered is not None:
        made.append(
            rows.message(
                key, 2, complete=True, direction="outbound", sender_name="M.", sender_id="op-mira",
                sent_at=rows.ago(hours=asked - answered),
            )
        )  # fmt: skip
    return made


def a_world(more: int = 0) -> rows.Rows:
    found: rows.Rows = [
        rows.website(time_zone="Europe/Berlin", connected_at=rows.ago(days=400)),
        rows.contact("ann", name="Ann Example", email="ann@acme.example"),
        rows.company("acme", name="Acme Ltd", domain="acme.example"),
        *a_talk(1, asked=200, answered=3, status="resolved", rating=5),
        rows.message("k1", 3, complete=True, direction="internal", type="event", content=RESOLVED,
                     sent_at=rows.ago(hours=190)),
        *a_talk(2, asked=300, answered=30, rating=2),
        rows.message("k2", 3, complete=True, direction="internal", type="event", content=RESOLVED,
                     sent_at=rows.ago(hours=260)),
        *a_talk(3, asked=60, answered=None),
        *a_talk(4, asked=900, answered=0.5, status="resolved", rating=1, assigned_to="Noam"),
    ]  # fmt: skip
    for n in range(more):
        key = f"extra{n}"
        found += [
            rows.company(f"firm{n}", name=f"Firm {n:03}"),
            rows.contact(f"person{n}", name=f"Person {n:03}"),
            rows.conversation(key, contact_id=f"person{n}", assigned_to=f"Operator {n:03}",
                              crisp_created_at=rows.ago(hours=n + 1), message_count=1),
            rows.belongs(key, f"firm{n}"),
            rows.message(key, 1, complete=True, sent_at=rows.ago(hours=n + 1)),
        ]  # fmt: skip
    return found


async def fill(db: Database, more: int = 0) -> None:
    await put(db, a_world(more))
    await put_all(db, [row_of(operators, website_id=SITE, user_id="op-mira", name="Mira")])


Cells = list[tuple[str, str]]


class Table(HTMLParser):
    """(text, link) of each cell of the page's list; the words for narrow screens are left out."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[Cells] = []
        self._inside = self._unseen = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "table" and "insight-rows" in given.get("class", ""):
            self._inside = True
        if not self._inside:
            return
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append(("", ""))
        if given.get("class") in {"on-card", "hidden"}:
            self._unseen = True
        if tag == "a" and self.rows and self.rows[-1]:
            text, link = self.rows[-1][-1]
            self.rows[-1][-1] = (text, link or given["href"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._inside = False
        if tag in {"span", "caption"}:
            self._unseen = False

    def handle_data(self, data: str) -> None:
        if self._inside and not self._unseen and self.rows and self.rows[-1] and data.strip():
            text, link = self.rows[-1][-1]
            self.rows[-1][-1] = (f"{text} {data.strip()}".strip(), link)


async def list_of(client: httpx.AsyncClient, path: str) -> list[Cells]:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return Table(answer.text).rows[1:]


async def csv_of(client: httpx.AsyncClient, path: str) -> list[dict[str, str]]:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    assert "attachment" in answer.headers["content-disposition"]
    return list(csv.DictReader(answer.text.removeprefix("\ufeff").splitlines()))


async def told(client: httpx.AsyncClient, path: str, **asked: Any) -> list[dict[str, Any]]:
    answer = await client.get(
        f"/api/v1{path}", params=asked, headers={"Authorization": "Bearer viewer"}
    )
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def asked_of_the_api(path: str) -> dict[str, str]:
    """The period of a page's address, as the API has it."""
    from app.clock import zone_named
    from app.pages.insight_period import read_asked

    params = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
    moments = Moments(zone_named("Europe/Berlin"), rows.NOW)
    period = read_asked(params, moments).period(moments)
    found = {"since": period.since.isoformat(), "until": period.until.isoformat()}
    return found | ({"as_of": period.as_of.isoformat()} if period.as_of else {})


def shown(span: dict[str, int] | None) -> str:
    return (
        "–" if span is None else f"{duration(span['seconds'])} {duration(span['business_seconds'])}"
    )


def day(**back: float) -> str:
    return (rows.NOW - timedelta(**back)).date().isoformat()


PERIODS = ("", f"since={day(days=40)}", f"since={day(days=13)}&until={day(days=2)}",
           f"since={day(days=40)}&as_of={day(days=9)}")  # fmt: skip


@pytest.mark.parametrize("period", PERIODS)
async def test_pages_have_the_numbers_of_the_api(
    db: Database, client: httpx.AsyncClient, period: str
) -> None:
    await fill(db, more=3)
    for by in BYS:
        path = f"/insights?by={by}&{period}"
        api = await told(client, "/insights", by=by, **asked_of_the_api(path))
        assert api or "until" in period, by
        page = await list_of(client, path)
        ordered = api[::-1] if by == "week" else api
        assert len(page) == len(ordered)
        for row, one in zip(page, ordered, strict=True):
            texts = [text for text, _ in row]
            assert texts[1:4] == [
                str(one["conversations"]), str(one["answered"]), shown(one["first_response"])
            ]  # fmt: skip
            assert texts[4:7] == [
                str(one["resolved"]), shown(one["resolution"]), str(one["reopenings"])
            ]  # fmt: skip
            assert texts[7].split(" ")[0] == str(one["waiting"])
            assert texts[8].split(" ")[0] == ("–" if one["rating"] is None else str(one["rating"]))
        written = await csv_of(client, path.replace("?", ".csv?"))
        assert [row["key"] for row in written] == [one["key"] for one in ordered]
        for line, one in zip(written, ordered, strict=True):
            span = one["resolution"] or {"seconds": "", "business_seconds": ""}
            assert line["resolution_seconds"] == str(span["seconds"])
            assert line["resolution_business_seconds"] == str(span["business_seconds"])
            assert line["rating"] == ("" if one["rating"] is None else str(one["rating"]))


async def test_every_figure_leads_to_its_conversations(
    db: Database, client: httpx.AsyncClient
) -> None:
    await fill(db)
    for by in BYS:
        for row in await list_of(client, f"/insights?by={by}"):
            for text, link in (row[1], row[2], row[4], row[7]):
                count = int(text.split(" ")[0])
                if count:
                    behind = await list_of(client, link)
                    assert len(behind) == count, (by, link)
                    written = await csv_of(
                        client, link.replace("/conversations?", "/conversations.csv?")
                    )
                    assert len(written) == count
            if row[6][0] != "0":
                reopened = await csv_of(client, row[6][1].replace("ions?", "ions.csv?"))
                assert sum(int(one["reopenings"]) for one in reopened) == int(row[6][0])


async def test_the_conversations_behind_are_the_apis(
    db: Database, client: httpx.AsyncClient
) -> None:
    await fill(db)
    path = "/insights/conversations?by=company&key=acme"
    api = await told(
        client, "/insights/conversations", by="company", key="acme", **asked_of_the_api(path)
    )
    page = await list_of(client, path)
    assert [link.rpartition("/")[2] for (_, link), *_ in page] == [
        o["conversation_id"] for o in api
    ]
    assert [(row[2][0], row[4][0]) for row in page] == [
        (shown(one["first_response"]), shown(one["resolution"])) for one in api
    ]
    written = await csv_of(client, path.replace("?", ".csv?"))
    assert [row["conversation_id"] for row in written] == [one["conversation_id"] for one in api]


async def test_operators_have_the_name_that_their_id_has_now(
    db: Database, client: httpx.AsyncClient
) -> None:
    """The message says M.; the operator of that id is called Mira."""
    await fill(db)
    names = [row[0][0] for row in await list_of(client, "/insights?by=operator")]
    assert names == ["Mira"]
    await put_all(db, [row_of(operators, website_id=SITE, user_id="op-other", name="M.")])
    api = await told(client, "/insights", by="operator")
    assert [one["name"] for one in api] == ["Mira"]


async def test_the_summary_shows_all_and_leads_on(db: Database, client: httpx.AsyncClient) -> None:
    await fill(db, more=14)
    text = (await client.get("/insights")).text
    for words in ("By week", "By operator", "By company", "all 15", "First response by week"):
        assert words in text, words
    assert 'aria-label="Bar chart' in text
    assert 'href="/insights"' in (await client.get("/contacts")).text


async def test_long_lists_have_pages(db: Database, client: httpx.AsyncClient) -> None:
    await fill(db, more=ROWS + 3)
    first = await client.get("/insights?by=company")
    link = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert link is not None
    rest = await list_of(client, link[1].replace("&amp;", "&"))
    names = [row[0][0] for row in [*Table(first.text).rows[1:], *rest]]
    assert len(names) == len(set(names)) == ROWS + 4
    assert len(await csv_of(client, "/insights.csv?by=company")) == ROWS + 4
    beyond = await list_of(client, "/insights?by=company&page=99")
    assert beyond == rest


async def test_accounts_at_risk_are_the_apis(db: Database, client: httpx.AsyncClient) -> None:
    await fill(db, more=2)
    wishes: tuple[dict[str, str], ...] = (
        {}, {"silent_days": "1", "waiting_hours": "1"}, {"waiting_hours": "100"},
    )  # fmt: skip
    for asked in wishes:
        api = await told(client, "/insights/at-risk", **asked)
        written = await csv_of(client, str(httpx.URL("/insights/at-risk.csv", params=asked)))
        assert [(row["company_id"], row["reasons"]) for row in written] == [
            (one["company_id"], "|".join(one["reasons"])) for one in api
        ]
        text = (await client.get("/insights/at-risk", params=asked)).text
        found = re.findall(r'data-row href="/companies/([^"]+)"', text)
        assert found == [one["company_id"] for one in api]
    assert await told(client, "/insights/at-risk", waiting_hours="100") == []
    assert "No account is at risk" in (await client.get("/insights/at-risk?waiting_hours=100")).text


async def test_each_reason_leads_to_its_conversations(
    db: Database, client: httpx.AsyncClient
) -> None:
    await fill(db)
    text = (await client.get("/insights/at-risk?silent_days=2")).text
    waiting = re.search(r'href="(/conversations\?company=acme&amp;waiting=1[^"]*)"', text)
    assert waiting is not None
    assert "/conversations/k3" in (await client.get(waiting[1].replace("&amp;", "&"))).text
    assert "silent for 2 days" in text
    rated = (await client.get("/conversations?company=acme&rated=1")).text
    assert [f"/conversations/k{n}" in rated for n in (1, 2, 3, 4)] == [True, True, False, True]


async def test_nonsense_becomes_a_sentence(client: httpx.AsyncClient, db: Database) -> None:
    await fill(db)
    for path, words in (
        ("/insights?since=yesterday", "is no day"),
        ("/insights?since=2026-02-01&until=2026-01-01", "ended before it began"),
        ("/insights?as_of=2099-01-01", "not over yet"),
        ("/insights?by=mood", "There is no grouping “mood”"),
        ("/insights/conversations?show=angry", "There is no figure “angry”"),
        ("/insights/at-risk?silent_days=many", "are a number from 1 to 3,650"),
        ("/insights/at-risk?reason=bored", "There is no reason"),
    ):
        answer = await client.get(path)
        assert answer.status_code == 200, path
        assert answer.text.count(words) == 1, path


async def test_too_many_conversations_are_a_sentence(
    db: Database, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual period becomes shorter by itself; one that somebody chose does not."""
    await fill(db, more=2)
    with monkeypatch.context() as patch:
        patch.setattr("app.pages.insight_figures.MOST_USUAL", 5)
        assert "so this begins later" in (await client.get("/insights")).text
        assert (
            "so this begins later" not in (await client.get(f"/insights?since={day(days=60)}")).text
        )
    assert "so this begins later" not in (await client.get("/insights")).text
    monkeypatch.setattr("app.insights.read.MOST", 5)
    answer = await client.get(f"/insights?since={day(days=60)}")
    assert answer.status_code == 422
    assert "ask for a shorter period" in answer.text
    answer = await client.get(f"/insights.csv?since={day(days=60)}")
    assert (answer.status_code, answer.headers["content-type"][:10]) == (422, "text/plain")


async def test_at_most_twelve_statements_whatever_the_size(
    db: Database, client: httpx.AsyncClient
) -> None:
    await fill(db, more=130)
    for path in (
        "/", "/contacts/ann", "/companies/acme", "/insights", "/insights?by=contact",
        "/insights?by=company&page=2", f"/insights?as_of={day(days=3)}", "/insights/at-risk",
        "/insights/conversations", "/insights/conversations?by=company&key=acme", "/insights.csv",
        "/insights/at-risk.csv", "/insights/conversations.csv",
    ):  # fmt: skip
        with counted(db) as statements:
            assert (await client.get(path)).status_code == 200
        assert len(statements) <= MOST_STATEMENTS, (path, len(statements), statements)


# 2026-03-06 is a Friday. Berlin is an hour before UTC then.
FRIDAY_18, SATURDAY_11, MONDAY_9_30 = (
    datetime(2026, 3, day, hour, minute, tzinfo=UTC)
    for day, hour, minute in ((6, 17, 0), (7, 10, 0), (9, 8, 30))
)
HOUR = 3600
WEEKEND = "since=2026-03-01&until=2026-03-31"


async def over_the_weekend(db: Database) -> None:
    """Asked on Friday at 18:00 in Berlin, answered on Saturday at 11:00, resolved on Monday at 9:30."""
    await put(db, [
        rows.website(time_zone="Europe/Berlin"),
        rows.conversation("k", crisp_created_at=FRIDAY_18, crisp_updated_at=MONDAY_9_30,
                          status="resolved", message_count=3),
        rows.message("k", 1, complete=True, sent_at=FRIDAY_18),
        rows.message("k", 2, complete=True, sent_at=SATURDAY_11, direction="outbound"),
        rows.message("k", 3, complete=True, sent_at=MONDAY_9_30, direction="internal",
                     type="event", content=RESOLVED),
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("hours", "zone", "response", "resolution"),
    [
        # As the installation has it: Monday to Friday, 9 to 17.
        ("", "Europe/Berlin", 0, HOUR // 2),
        # Friday 18 to 20, Saturday 10 to 14, Monday 9 to 9:30.
        ("Mon-Fri 9:00-20:00, sat 10:00-14:00", "Europe/Berlin", 3 * HOUR, 13 * HOUR // 2),
        # There it is an hour earlier: Friday 17 to 20, nothing before 10 on Saturday, and on Monday.
        ("mon-fri 09:00-20:00, sat 10:00-14:00", "UTC", 3 * HOUR, 7 * HOUR),
        # The night and the weekend only.
        ("mon-thu 20:00-24:00, fri 20:00-24:00, sat-sun 00:00-24:00, mon 00:00-08:00",
         "Europe/Berlin", 15 * HOUR, 60 * HOUR),
    ],
)  # fmt: skip
async def test_figures_follow_the_business_hours_at_once(
    db: Database, client: httpx.AsyncClient, hours: str, zone: str, response: int, resolution: int
) -> None:
    await over_the_weekend(db)
    (before,) = await told(client, "/insights", by="week", since="2026-03-01T00:00:00Z")
    assert before["first_response"] == {"seconds": 17 * HOUR, "business_seconds": 0}
    typed = {"business_hours": hours, "time_zone": zone, "depth": "everything"}
    assert (await client.post("/settings/website", data=typed)).status_code == 303
    (after,) = await told(client, "/insights", by="week", since="2026-03-01T00:00:00Z")
    assert after["first_response"] == {"seconds": 17 * HOUR, "business_seconds": response}
    assert after["resolution"] == {
        "seconds": 63 * HOUR + HOUR // 2, "business_seconds": resolution
    }  # fmt: skip
    (line,) = await csv_of(client, f"/insights.csv?by=week&{WEEKEND}")
    assert line["first_response_business_seconds"] == str(response)
    assert line["resolution_business_seconds"] == str(resolution)
    (row,) = await list_of(client, f"/insights?by=week&{WEEKEND}")
    assert row[3][0] == f"17 h {duration(response)}"
    (one,) = await list_of(client, f"/insights/conversations?{WEEKEND}")
    assert one[2][0] == f"17 h {duration(response)}"


async def test_business_hours_that_are_none_change_nothing(
    db: Database, client: httpx.AsyncClient
) -> None:
    await over_the_weekend(db)
    good = {"business_hours": "mon-fri 08:00-16:00", "time_zone": "UTC"}
    assert (await client.post("/settings/website", data=good)).status_code == 303
    for wrong, words in (
        ("9 to 5", "write them as"),
        ("mon-fri 22:00-06:00", "A night is two parts"),
        ("mon-fri 09:00-17:00, wed 12:00-13:00", "overlap on Wednesday"),
    ):
        answer = await client.post("/settings/website", data={**good, "business_hours": wrong})
        assert answer.status_code == 422
        assert words in answer.text
    page = (await client.get("/settings/website")).text
    assert 'value="mon-fri 08:00-16:00"' in page
    # A form that does not ask leaves them as they are.
    assert (await client.post("/settings/website", data={"time_zone": "UTC"})).status_code == 303
    assert 'value="mon-fri 08:00-16:00"' in (await client.get("/settings/website")).text


async def test_a_contact_and_a_company_have_the_figures_of_the_api(
    db: Database, client: httpx.AsyncClient
) -> None:
    await fill(db)
    for by, path, key in (
        ("contact", "/contacts/ann", "ann"),
        ("company", "/companies/acme", "acme"),
    ):
        since = rows.ago(days=60).isoformat()
        (api,) = (o for o in await told(client, "/insights", by=by, since=since) if o["key"] == key)
        text = (await client.get(path)).text
        strip = text[text.index("How they were answered") : text.index('<div class="columns">')]
        first, resolution = api["first_response"], api["resolution"]
        for figure in (
            f"answered[^>]*>{duration(first['seconds'])}</a>",
            f">{duration(first['business_seconds'])} in business hours; median of {api['answered']}<",
            f"resolved[^>]*>{duration(resolution['seconds'])}</a>",
            f"median of {api['resolved']}<",
            f"reopened[^>]*>{api['reopenings']}</a>",
            f"waiting[^>]*>{api['waiting']}</a>",
            f"rated[^>]*>{api['rating']}</a>",
        ):
            assert re.search(figure, strip), (by, figure)
        link = re.search(r'href="(/insights/conversations[^"]*show=waiting[^"]*)"', strip)
        assert link is not None
        assert len(await list_of(client, link[1].replace("&amp;", "&"))) == api["waiting"]


async def test_accounts_at_risk_stand_on_the_overview(
    db: Database, client: httpx.AsyncClient
) -> None:
    await fill(db)
    text = (await client.get("/")).text
    panel = text[text.index('id="at-risk"') :]
    (one,) = await told(client, "/insights/at-risk")
    assert one["reasons"] == ["waiting"]
    assert f"/companies/{one['company_id']}" in panel
    assert "waiting" in panel[: panel.index("</section>")]


async def test_business_hours_over_the_api(db: Database, client: httpx.AsyncClient) -> None:
    await over_the_weekend(db)

    async def change(hours: str | None) -> httpx.Response:
        return await client.patch(
            f"/api/v1/websites/{SITE}/settings",
            json={"business_hours": hours},
            headers={"Authorization": "Bearer admin"},
        )

    answer = await change("Mon-Fri 9:00-20:00, sat 10:00-14:00")
    assert answer.json()["business_hours"] == "mon-fri 09:00-20:00, sat 10:00-14:00"
    assert answer.json()["time_zone"] == "Europe/Berlin"
    (row,) = await told(client, "/insights", by="week", since="2026-03-01T00:00:00Z")
    assert row["first_response"]["business_seconds"] == 3 * HOUR
    assert (await change("always")).status_code in {400, 422}
    assert (await change(None)).json()["business_hours"] is None
    (row,) = await told(client, "/insights", by="week", since="2026-03-01T00:00:00Z")
    assert row["first_response"]["business_seconds"] == 0
