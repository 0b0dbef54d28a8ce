"""The audit log over the API: for admins, of the websites of their token."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert

from app.accounts.tables import audit_log
from tests.api.conftest import OTHER, Api
from tests.api.test_door import is_problem
from tests.ingesting import START, WEBSITE
from tests.pages.rows import row_of


async def note(api: Api, *names: str, minutes: float = 0, **given: Any) -> None:
    """An entry for each name, all of the same moment."""
    plain = {
        "website_id": WEBSITE, "at": START + timedelta(minutes=minutes), "actor_kind": "user",
        "actor_id": "mira", "actor_name": "Mira", "action": "contact.edited",
    }  # fmt: skip
    for name in names:
        table, values = row_of(audit_log, **{"id": name, **plain, **given})
        await api.here.execute(insert(table).values(values))


async def ids(api: Api, token: str = "admin", **params: Any) -> list[str]:
    return [one["id"] for one in await api.data(token, "/audit-log", **params)]


async def some_entries(api: Api) -> None:
    await api.here.execute(delete(audit_log))
    await note(
        api, "renamed", minutes=3, subject_kind="contact", subject_id="ann",
        before={"name": "Ann"}, after={"name": "Anne"}, request_id="r1",
    )  # fmt: skip
    await note(api, "merged", minutes=2, actor_id="olu", actor_name="Olu", action="contact.merged")
    await note(api, "elsewhere", minutes=1, website_id=OTHER, actor_id="olu")
    await note(api, "invited", website_id=None, action="user.invited")


async def test_an_entry_tells_who_did_what_to_what_and_what_changed(api: Api) -> None:
    await some_entries(api)
    entry = (await api.data("admin", "/audit-log"))[0]
    assert entry == {
        "id": "renamed", "at": "2026-03-02T09:03:00.000Z", "website_id": WEBSITE,
        "actor_kind": "user", "actor_id": "mira", "actor_name": "Mira",
        "action": "contact.edited", "subject_kind": "contact", "subject_id": "ann",
        "before": {"name": "Ann"}, "after": {"name": "Anne"}, "request_id": "r1",
    }  # fmt: skip


async def test_what_the_api_itself_changed_stands_in_its_audit_log(api: Api) -> None:
    started = await api.ask("admin", "POST", "/syncs", json={"kind": "full"})
    entry = (await api.data("admin", "/audit-log"))[0]
    assert (entry["action"], entry["actor_kind"], entry["actor_id"], entry["subject_id"]) == (
        "sync.started", "token", "admin", started.json()["id"],
    )  # fmt: skip


async def test_only_admins_read_the_audit_log_and_only_of_their_websites(api: Api) -> None:
    await some_entries(api)
    for role in ("viewer", "member", "viewer-all", "member-all", "viewer-none"):
        is_problem(await api.get(role, "/audit-log"), 403)
    assert await ids(api, "admin") == ["renamed", "merged"]
    assert await ids(api, "admin-all") == ["renamed", "merged", "elsewhere", "invited"]
    assert await ids(api, "admin-none") == []
    # A website that the token does not see does not exist, and no filter tells otherwise.
    for token in ("admin", "admin-none"):
        is_problem(await api.get(token, f"/audit-log?website={OTHER}"), 404)
    assert await ids(api, "admin", who="olu") == ["merged"]
    assert await ids(api, "admin", action="user.invited") == []


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"who": "olu"}, ["merged", "elsewhere"]),
        ({"who": "Olu"}, []),
        ({"action": "contact.edited"}, ["renamed", "elsewhere"]),
        ({"website": OTHER}, ["elsewhere"]),
        ({"website": WEBSITE, "who": "mira"}, ["renamed"]),
        ({"since": "2026-03-02T09:02:00Z"}, ["renamed", "merged"]),
        ({"until": "2026-03-02T09:02:00Z"}, ["elsewhere", "invited"]),
        ({"since": "2026-03-02T10:01:00+01:00", "until": "2026-03-02T09:03:00Z"}, ["merged", "elsewhere"]),
        ({"since": "2027-01-01T00:00:00Z"}, []),
    ],
)  # fmt: skip
async def test_the_audit_log_is_narrowed(
    api: Api, params: dict[str, str], found: list[str]
) -> None:
    await some_entries(api)
    assert await ids(api, "admin-all", **params) == found
    assert await ids(api, "admin-all", limit=1, **params) == found


async def test_entries_noted_between_two_pages_shift_nothing(api: Api) -> None:
    await api.here.execute(delete(audit_log))
    # Many of one moment, as one transaction leaves them.
    await note(api, *(f"now{n}" for n in range(5)), minutes=1)
    await note(api, "old1", "old2")

    async def more_is_done() -> None:
        await note(api, "newer", minutes=2)
        await note(api, "late", minutes=0.5)  # of a transaction that was committed late
        gone = audit_log.c.id.in_(("now4", "now0"))
        await api.here.execute(delete(audit_log).where(gone))

    told = await api.data_around(more_is_done, "admin", "/audit-log", limit=2)
    assert [one["id"] for one in told] == ["now4", "now3", "now2", "now1", "late", "old2", "old1"]


async def test_an_empty_audit_log_is_an_empty_list(api: Api) -> None:
    await api.here.execute(delete(audit_log))
    answer = await api.get("admin-all", "/audit-log")
    assert answer.json() == {"next_cursor": None, "data": []}
    again = await api.get(
        "admin-all", "/audit-log", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert again.status_code == 304


async def test_what_the_audit_log_does_not_understand_is_a_problem(api: Api) -> None:
    await some_entries(api)
    for wrong in ("since=yesterday", "since=2026-03-02T09:00:00", "until=x", "who=%00", "action=%00",
                  "limit=0", f"who={'x' * 301}", f"website={'x' * 65}"):  # fmt: skip
        is_problem(await api.get("admin", f"/audit-log?{wrong}"), 422)
    is_problem(await api.get("admin", "/audit-log?website=nothing"), 404)
    for extreme in ("0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"):
        answer = await api.get("admin", f"/audit-log?since={extreme}")
        assert answer.status_code in {200, 422}, answer.text
    cursor = (await api.get("admin", "/audit-log?limit=1")).json()["next_cursor"]
    for other in (f"cursor={cursor}&who=mira", f"cursor={cursor}&website={WEBSITE}",
                  f"cursor={cursor}&since=2026-01-01T00:00:00Z", "cursor=x"):  # fmt: skip
        is_problem(await api.get("admin", f"/audit-log?{other}"), 400)
    is_problem(await api.get("admin", f"/syncs?cursor={cursor}"), 400)
