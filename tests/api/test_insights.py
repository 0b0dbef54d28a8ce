"""Figures over the API lead to the conversations they were made of (SPEC V8)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update

from app import clock
from app.conversations.tables import conversations
from tests.api.conftest import Api
from tests.ingesting import WEBSITE, moment, person, said, talk

AROUND = {"since": moment(-60 * 24).isoformat(), "until": moment(60 * 24).isoformat()}
EVENT: dict[str, Any] = {"type": "event", "sent_by": "operator"}


async def _fill(api: Api) -> None:
    await api.here.take(
        person("iva", email="iva@insight.example", company={"name": "Insight", "domain": "insight.example"}),
        talk("i1", at=50, people_id="iva", state="resolved"),
        talk("i2", at=20, people_id="iva", state="unresolved"),
        said("i1", 1, "Help", at=0),
        said("i1", 2, "Sure", at=10, sent_by="operator", user={"nickname": "Ana"}),
        said("i1", 3, {"namespace": "state:resolved"}, at=30, **EVENT),
        said("i2", 1, "Hello?", at=5),
    )  # fmt: skip


async def _one(api: Api, by: str, **asked: Any) -> dict[str, Any]:
    params = {"by": by, **AROUND, **asked}
    answer = await api.get("viewer", "/insights", params=params)
    assert answer.status_code == 200, answer.text
    return {row["name"]: row for row in answer.json()["data"]}


async def test_by_company_and_what_is_behind(api: Api) -> None:
    await _fill(api)
    row = (await _one(api, "company"))["Insight"]
    assert (row["conversations"], row["answered"], row["resolved"], row["waiting"]) == (2, 1, 1, 1)
    assert row["first_response"] == {"seconds": 600, "business_seconds": 600}
    assert row["resolution"]["seconds"] == 1800
    url = row["conversations_url"].removeprefix("/api/v1")
    behind = (await api.get("viewer", url)).json()["data"]
    assert len(behind) == 2
    assert sorted(one["waiting_since"] is not None for one in behind) == [False, True]


async def test_by_operator_contact_and_week(api: Api) -> None:
    await _fill(api)
    assert (await _one(api, "operator"))["Ana"]["conversations"] == 1
    contact = next(iter((await _one(api, "contact", website=WEBSITE)).values()))
    assert contact["conversations"] >= 1
    weeks = await _one(api, "week")
    assert list(weeks) == ["2026-03-02"]


async def test_as_of_a_past_moment(api: Api) -> None:
    await _fill(api)
    row = (await _one(api, "company", as_of=moment(8).isoformat()))["Insight"]
    assert (row["answered"], row["resolved"], row["waiting"]) == (0, 0, 2)


async def test_wrong_input_and_other_websites(api: Api) -> None:
    wrong = {"by": "week", "since": AROUND["until"], "until": AROUND["since"]}
    assert (await api.get("viewer", "/insights", params=wrong)).status_code in {400, 422}
    assert (await api.get("viewer", "/insights", params={"by": "mood"})).status_code in {400, 422}
    foreign = {"by": "week", "website": "1f0c9d1e-0000-4000-8000-000000000001"}
    assert (await api.get("viewer", "/insights", params=foreign)).status_code == 404
    assert (await api.get(None, "/insights")).status_code == 401


async def test_accounts_at_risk_tell_why(api: Api) -> None:
    await _fill(api)
    asked = {"silent_days": 1, "waiting_hours": 1}
    (row,) = (await api.get("viewer", "/insights/at-risk", params=asked)).json()["data"]
    assert row["reasons"] == ["waiting", "silent"]
    assert row["waiting_since"].startswith("2026-03-02T09:05")
    assert row["silent_days"] > 30
    behind = (await api.get("viewer", row["conversations_url"].removeprefix("/api/v1"))).json()
    assert len(behind["data"]) == 2
    asked = {"silent_days": 3650, "waiting_hours": 8760}
    assert (await api.get("viewer", "/insights/at-risk", params=asked)).json()["data"] == []


async def test_a_badly_rated_account(api: Api) -> None:
    await api.here.take(
        person("rex", email="rex@rated.example", company={"name": "Rated", "domain": "rated.example"}),
        talk("r1", at=50, people_id="rex", state="resolved"),
    )  # fmt: skip
    moment_now = clock.now()
    async with api.whole.state.db.write() as connection:
        await connection.execute(
            update(conversations).values(
                rating=1, crisp_updated_at=moment_now, last_message_at=None
            )
        )
    (row,) = (await api.get("viewer", "/insights/at-risk")).json()["data"]
    assert (row["reasons"], row["rating"]) == (["badly_rated"], 1.0)
