"""What an audit found to differ, over the API: as its page shows it, whole, and of whose it is only."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import delete, insert, select, update

from app.conversations.tables import messages
from app.db.changes import note_changes
from app.records import conversation_id
from app.sync.tables import audit_findings, sync_runs
from tests.api.conftest import OTHER, Api, small_app, some_rows
from tests.api.test_door import is_problem
from tests.ingesting import WEBSITE, Site
from tests.pages.rows import row_of as row
from tests.pages.rows import run
from tests.pulling import sandbox_and_crispsync

_f = audit_findings.c


async def a_run(site: Site, name: str, kind: str = "audit") -> None:
    counts = {"checked": 9, "drifted": 4, "repaired": 3} if kind == "audit" else {}
    table, values = run(name, site=site.id, kind=kind, counts=counts)
    await site.execute(insert(table).values(values))


async def find(site: Site, run_id: str, kind: str, external_id: str, **given: Any) -> None:
    plain = {"what": "changed", "missed_by": "hook", "repaired": True}
    ids = {"website_id": site.id, "run_id": run_id, "kind": kind, "external_id": external_id}
    table, values = row(audit_findings, **{**ids, **plain, **given})
    await site.execute(insert(table).values(values))


async def an_audit(site: Site, name: str = "check") -> None:
    await a_run(site, name)
    await find(site, name, "contact", "ann-acme", missed_by="full")
    await find(site, name, "conversation", "t1-acme", what="missing", missed_by="incremental")
    await find(site, name, "message", "t1-acme/1", what="removed")
    await find(site, name, "message", "t2-acme/1", repaired=False)


def keys(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["kind"], one["external_id"]) for one in found]


async def test_an_audit_tells_what_differed_whose_it_is_and_which_path_missed_it(api: Api) -> None:
    await some_rows(api.here, "acme")
    await an_audit(api.here)
    await a_run(api.here, "pull", "full")
    (audit,) = await api.data("viewer", "/syncs", kind="audit")
    assert audit["counts"] == {"checked": 9, "drifted": 4, "repaired": 3}
    told = await api.data("viewer", f"/syncs/{audit['id']}/drift")
    talk = conversation_id(WEBSITE, "t1-acme")
    shown = ("kind", "external_id", "conversation_id", "what", "missed_by", "repaired")
    assert [tuple(one[name] for name in shown) for one in told] == [
        ("contact", "ann-acme", None, "changed", "full", True),
        ("conversation", "t1-acme", talk, "missing", "incremental", True),
        ("message", "t1-acme/1", talk, "removed", "hook", True),
        ("message", "t2-acme/1", conversation_id(WEBSITE, "t2-acme"), "changed", "hook", False),
    ]
    for one in told[1:]:
        found = await api.get("viewer", f"/conversations/{one['conversation_id']}")
        assert found.json()["session_id"] == one["external_id"].split("/")[0]
    assert await api.data("viewer", "/syncs/pull/drift") == []


async def test_what_a_real_audit_repairs_is_told_and_its_message_is_there_again(
    database_url: str,
) -> None:
    async with sandbox_and_crispsync(
        database_url, people=5, conversations=10, frozen=True, others=()
    ) as crisp:
        crisp.world.clock.advance(600_000)
        assert await crisp.run("full") == "done"
        crisp.world.clock.advance(600_000)
        m = messages.c
        (lost, *_) = await crisp.rows(select(m.conversation_id, m.fingerprint).order_by(m.sent_at))
        key = (m.conversation_id == lost.conversation_id) & (m.fingerprint == lost.fingerprint)
        async with crisp.db.write() as connection:
            await connection.execute(delete(messages).where(key))
            note_changes(connection, "message", crisp.website_id, [])
        assert await crisp.run("audit", sample={"sample": "all"}) == "done"
        transport = httpx.ASGITransport(app=small_app(crisp.db))
        async with httpx.AsyncClient(transport=transport, base_url="http://x.example") as client:

            async def told(path: str) -> Any:
                headers = {"Authorization": "Bearer viewer-all"}
                return (await client.get(f"/api/v1{path}", headers=headers)).json()

            (audit,) = (await told("/syncs?kind=audit"))["data"]
            assert (audit["counts"]["drifted"], audit["counts"]["repaired"]) == (1, 1)
            (found,) = (await told(f"/syncs/{audit['id']}/drift"))["data"]
            assert (found["what"], found["missed_by"], found["repaired"]) == (
                "missing",
                "full",
                True,
            )
            fingerprint = found["external_id"].rpartition("/")[2]
            path = f"/conversations/{found['conversation_id']}/messages/{fingerprint}?include=notes"
            assert (await told(path))["fingerprint"] == lost.fingerprint


@pytest.mark.parametrize(
    ("params", "count"),
    [
        ({"kind": "message"}, 2),
        ({"kind": "contact", "missed_by": "hook"}, 0),
        ({"what": "missing"}, 1),
        ({"missed_by": "hook"}, 2),
        ({"repaired": "false"}, 1),
        ({"repaired": "true"}, 3),
    ],
)
async def test_drift_is_narrowed(api: Api, params: dict[str, str], count: int) -> None:
    await an_audit(api.here)
    whole = await api.data("viewer", "/syncs/check/drift")
    found = await api.data("viewer", "/syncs/check/drift", limit=1, **params)
    assert len(found) == count
    given = {name: {"true": True, "false": False}.get(text, text) for name, text in params.items()}
    assert found == [one for one in whole if given.items() <= one.items()]


async def test_an_audit_at_work_between_two_pages_loses_and_doubles_no_finding(api: Api) -> None:
    await an_audit(api.here)

    async def goes_on() -> None:
        """One before the place, one after it, one more repaired, and one of each side taken away."""
        await find(api.here, "check", "contact", "aaron")
        await find(api.here, "check", "message", "t9/1")
        await api.here.execute(update(audit_findings).values(repaired=True))
        gone = (_f.external_id == "ann-acme") | (_f.external_id == "t1-acme/1")
        await api.here.execute(delete(audit_findings).where(gone))

    told = await api.data_around(goes_on, "viewer", "/syncs/check/drift", limit=2)
    assert keys(told) == [
        ("contact", "ann-acme"), ("conversation", "t1-acme"), ("message", "t2-acme/1"),
        ("message", "t9/1"),
    ]  # fmt: skip


async def test_drift_of_another_website_is_not_there_for_any_role(api: Api) -> None:
    await an_audit(api.here, "ours")
    await an_audit(api.there, "theirs")
    # The same id in both: whose run it is decides.
    await a_run(api.there, "twin")
    await a_run(api.here, "twin")
    await find(api.there, "twin", "contact", "hidden")
    for role in ("viewer", "member", "admin"):
        assert len(await api.data(role, "/syncs/ours/drift")) == 4
        is_problem(await api.get(role, "/syncs/theirs/drift"), 404)
        is_problem(await api.get(f"{role}-none", "/syncs/ours/drift"), 404)
        assert len(await api.data(f"{role}-all", "/syncs/theirs/drift")) == 4
        assert await api.data(role, "/syncs/twin/drift") == []
        listed = await api.data(role, "/syncs", kind="audit")
        assert {one["website_id"] for one in listed} == {WEBSITE}
        is_problem(await api.get(role, f"/syncs?kind=audit&website={OTHER}"), 404)


async def test_what_drift_does_not_understand_is_a_problem(api: Api) -> None:
    await an_audit(api.here)
    await an_audit(api.here, "later")
    for wrong in ("kind=operator", "what=lost", "missed_by=audit", "repaired=maybe", "limit=201"):
        is_problem(await api.get("viewer", f"/syncs/check/drift?{wrong}"), 422)
    is_problem(await api.get("viewer", "/syncs?kind=everything"), 422)
    for unknown in ("nobody", "%00"):
        is_problem(await api.get("viewer", f"/syncs/{unknown}/drift"), 404)
    page = (await api.get("viewer", "/syncs/check/drift?limit=1")).json()
    cursor = page["next_cursor"]
    for path in ("check/drift?kind=message&", "later/drift?", "check/failures?"):
        is_problem(await api.get("viewer", f"/syncs/{path}cursor={cursor}"), 400)
    is_problem(await api.get("viewer", "/syncs/check/drift?cursor=x"), 400)
    runs = (await api.get("viewer", "/syncs?kind=audit&limit=1")).json()["next_cursor"]
    is_problem(await api.get("viewer", f"/syncs?kind=full&cursor={runs}"), 400)


async def test_drift_has_an_etag_that_follows_what_was_repaired(api: Api) -> None:
    await an_audit(api.here)
    first = await api.get("viewer", "/syncs/check/drift")
    same = {"If-None-Match": first.headers["etag"]}
    assert (await api.get("viewer", "/syncs/check/drift", headers=same)).status_code == 304
    await api.here.execute(update(audit_findings).values(repaired=True))
    assert (await api.get("viewer", "/syncs/check/drift", headers=same)).status_code == 200
    await api.here.execute(delete(sync_runs))
    is_problem(await api.get("viewer", "/syncs/check/drift", headers=same), 404)
