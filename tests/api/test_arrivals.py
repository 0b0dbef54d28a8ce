"""Which web hooks arrive, over the API: as the pages of events and of Crisp's form tell it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, insert

from app.webhooks.tables import hook_days, hook_refusals, inbox_events
from app.webhooks.wanted import EVENTS_TO_TICK
from app.websites.tables import missed_hooks
from tests.api.conftest import OTHER, Api
from tests.api.test_door import is_problem
from tests.ingesting import WEBSITE
from tests.pages import rows
from tests.pages.rows import ago, hook_day, inbox_event, row_of


async def put(api: Api, *given: tuple[Any, Any]) -> None:
    for table, values in given:
        await api.here.execute(insert(table).values(values))


async def arrivals(api: Api, token: str = "viewer", **params: str) -> dict[str, Any]:
    answer = await api.get(token, "/events/arrivals", params=params)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told | {"by": {one["event"]: one for one in told["data"]}}


async def test_each_event_of_the_form_is_told_and_those_that_never_came(api: Api) -> None:
    nothing = await arrivals(api)
    assert tuple(nothing["missing"]) == tuple(nothing["by"]) == EVENTS_TO_TICK
    assert {one["last_received_at"] for one in nothing["data"]} == {None}
    day = ago(days=30).date().isoformat()
    await put(
        api,
        hook_day(arrived=7, ignored=2, dead=1, repeated_first=3, last_received_at=ago(minutes=5)),
        hook_day("message:updated", day=day, last_received_at=ago(days=30)),
        hook_day("campaign:sent", arrived=1, delays={}),
    )
    told = await arrivals(api)
    sent = told["by"]["message:send"]
    assert [sent[n] for n in ("arrived", "ignored", "dead", "repeated_first")] == [7, 2, 1, 3]
    assert 0 < sent["p50_ms"] <= sent["p95_ms"]
    assert sent["last_received_at"] == ago(minutes=5).isoformat().replace("+00:00", ".000Z")
    old = told["by"]["message:updated"]
    assert (old["arrived"], old["p50_ms"]) == (0, None), "of the last days"
    assert old["last_received_at"].startswith(day)
    assert set(EVENTS_TO_TICK) - set(told["missing"]) == {"message:send", "message:updated"}
    # One that nobody asked for is told, but missing it is nothing.
    assert list(told["by"])[-1] == "campaign:sent"
    assert [one["event"] for one in told["data"] if not one["to_tick"]] == ["campaign:sent"]


async def test_a_hook_that_waits_or_is_parked_has_arrived(api: Api) -> None:
    """Before the first import everything is parked: that is when one looks whether the form is right."""
    await put(
        api,
        inbox_event("1", event="message:send", state="parked", error=None, received_at=ago(hours=2)),
        inbox_event("2", event="message:send", state="new", error=None, received_at=ago(hours=1)),
        inbox_event("3", event="session:removed", state="parked", received_at=ago(hours=3)),
    )  # fmt: skip
    for token in ("viewer", "viewer-all"):
        told = await arrivals(api, token)
        sent, removed = told["by"]["message:send"], told["by"]["session:removed"]
        assert sent["last_received_at"][:16] == ago(hours=1).isoformat()[:16]
        assert removed["last_received_at"][:16] == ago(hours=3).isoformat()[:16]
        assert not {"message:send", "session:removed"} & set(told["missing"])


async def test_hooks_of_another_website_are_told_to_whoever_sees_that_one(api: Api) -> None:
    other: dict[str, Any] = {"site": OTHER}
    await put(
        api,
        hook_day(arrived=1),
        hook_day("message:received", **other, arrived=2),
        inbox_event("theirs", event="session:removed", state="parked", **other),
        inbox_event("theirs, new", event="message:removed", state="new", error=None, **other),
        hook_day("people:profile:created", site=""),
    )
    for role in ("viewer", "member", "admin"):
        ours = await arrivals(api, role)
        assert set(EVENTS_TO_TICK) - set(ours["missing"]) == {"message:send"}
        assert ours["by"]["message:received"]["arrived"] == 0
        assert ours == await arrivals(api, role, website=WEBSITE)
        is_problem(await api.get(role, f"/events/arrivals?website={OTHER}"), 404)
        is_problem(await api.get(f"{role}-none", "/events/arrivals"), 422)
        theirs = await arrivals(api, f"{role}-all", website=OTHER)
        assert set(EVENTS_TO_TICK) - set(theirs["missing"]) == {
            "message:received", "session:removed", "message:removed",
        }  # fmt: skip
        # Events are ticked once for all websites: any of them proves it, and what is nobody's.
        everywhere = await arrivals(api, f"{role}-all")
        assert set(EVENTS_TO_TICK) - set(everywhere["missing"]) == {
            "message:send", "message:received", "session:removed", "message:removed",
            "people:profile:created",
        }  # fmt: skip


async def test_what_waits_is_parked_dead_refused_or_missed_is_told_to_each_role(api: Api) -> None:
    day = rows.NOW.date().isoformat()
    await put(
        api,
        hook_day(last_received_at=ago(minutes=9)),
        *(
            inbox_event(n, state="new", error=None, received_at=ago(minutes=5 + n))
            for n in range(2)
        ),
        inbox_event("p", state="parked", error=None, received_at=ago(minutes=8)),
        inbox_event("d", state="dead", received_at=ago(minutes=8)),
        inbox_event("of nobody", state="dead", site=None, received_at=ago(minutes=1)),
        row_of(hook_refusals, cause="signature", refused=3, last_at=ago(minutes=2)),
        row_of(missed_hooks, website_id=WEBSITE, day=day, kind="message", missed=4),
        *(inbox_event(f"o{n}", state="dead", site=OTHER) for n in range(3)),
        row_of(missed_hooks, website_id=OTHER, day=day, kind="contact", missed=9),
    )
    for role in ("viewer", "member", "admin"):
        told = (await api.get(role, "/events/health")).json()
        assert (told["waiting"], told["parked"], told["dead"]) == (2, 1, 2)
        assert told["last_received_at"][:16] == ago(minutes=5).isoformat()[:16]
        assert told["oldest_waiting_at"][:16] == ago(minutes=6).isoformat()[:16]
        assert told["silent_since"] is None
        (refusal,) = told["refusals"]
        assert (refusal["cause"], refusal["refused"]) == ("signature", 3)
        assert told["missed"] == [{"day": day, "kind": "message", "missed": 4}]
        is_problem(await api.get(role, f"/events/health?website={OTHER}"), 404)
        is_problem(await api.get(f"{role}-none", "/events/health"), 422)
        theirs = (await api.get(f"{role}-all", f"/events/health?website={OTHER}")).json()
        assert (theirs["dead"], theirs["missed"][0]["missed"]) == (4, 9)


async def test_a_website_that_went_silent_is_told_with_the_hook_that_came_last(api: Api) -> None:
    assert (await api.get("viewer", "/events/health")).json() == {
        "last_received_at": None, "silent_since": None, "waiting": 0, "oldest_waiting_at": None,
        "parked": 0, "dead": 0, "refusals": [], "missed": [],
    }  # fmt: skip
    for back in range(1, 9):
        day = ago(days=back).date().isoformat()
        seen = ago(days=back, hours=1)
        await put(
            api,
            hook_day(day=day, arrived=500, last_received_at=ago(hours=5)),
            inbox_event(f"talk{back}", state="done", error=None, received_at=seen),
        )
    told = (await api.get("viewer", "/events/health")).json()
    assert told["silent_since"] == told["last_received_at"]
    assert told["silent_since"][:16] == ago(hours=5).isoformat()[:16]


async def test_arrivals_have_an_etag_and_refuse_what_is_no_website(api: Api) -> None:
    await put(api, hook_day())
    first = await api.get("viewer", "/events/arrivals")
    same = {"If-None-Match": first.headers["etag"]}
    assert (await api.get("viewer", "/events/arrivals", headers=same)).status_code == 304
    await put(api, rows.inbox_event("x", event="session:removed", state="parked"))
    assert (await api.get("viewer", "/events/arrivals", headers=same)).status_code == 200
    is_problem(await api.get("viewer", "/events/arrivals?website=%00"), 404)
    is_problem(await api.get("viewer", f"/events/arrivals?website={'x' * 65}"), 422)
    is_problem(await api.get(None, "/events/arrivals"), 401)
    await api.here.execute(delete(hook_days))
    await api.here.execute(delete(inbox_events))
    assert len((await arrivals(api))["missing"]) == len(EVENTS_TO_TICK)
