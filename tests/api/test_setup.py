"""What to enter in Crisp's form, over the API: for admins, as the page shows it."""

from __future__ import annotations

from datetime import timedelta

import httpx
from sqlalchemy import insert

from app.crisp.budget import credential_key
from app.crisp.scopes import SCOPES
from app.crisp.tables import scope_outcomes
from app.webhooks.wanted import EVENTS_TO_TICK
from tests.api.conftest import Api, small_app
from tests.api.test_door import is_problem
from tests.ingesting import START
from tests.pages.rows import row_of


async def test_admins_are_told_what_to_enter_and_nobody_else(api: Api) -> None:
    for token in ("viewer", "member", "member-all"):
        is_problem(await api.get(token, "/setup"), 403)
    for token in ("admin", "admin-all", "admin-none"):
        answer = await api.get(token, "/setup")
        told = answer.json()
        assert tuple(told["events"]) == EVENTS_TO_TICK
        assert [one["name"] for one in told["scopes"]] == [one.name for one in SCOPES]
        assert {(one["worked_at"], one["is_refused"]) for one in told["scopes"]} == {(None, False)}
        assert (told["install_url"], told["is_https"]) == (None, False)
        same = {"If-None-Match": answer.headers["etag"]}
        assert (await api.get(token, "/setup", headers=same)).status_code == 304


async def test_what_was_seen_working_is_told_with_the_plugins_own_addresses(api: Api) -> None:
    app = small_app(
        api.here.db,
        public_url="https://sync.acme.example/",
        crisp_identifier="an-identifier",
        crisp_key="a-key",
        crisp_plugin_id="a-plugin",
    )
    works, refused = SCOPES[0].name, SCOPES[1].name
    for scope, worked, no in ((works, 5, 1), (refused, 1, 5)):
        table, row = row_of(
            scope_outcomes, credential=credential_key("an-identifier"), scope=scope,
            worked_at=START + timedelta(minutes=worked), refused_at=START + timedelta(minutes=no),
        )  # fmt: skip
        await api.here.execute(insert(table).values(row))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x.example") as client:
        answer = await client.get("/api/v1/setup", headers={"Authorization": "Bearer admin"})
    told = answer.json()
    assert told["addresses"]["Web hook URL"] == "https://sync.acme.example/webhooks/crisp"
    assert told["is_https"]
    assert told["install_url"] == "https://app.crisp.chat/initiate/plugin/a-plugin/"
    seen = {one["name"]: (one["worked_at"], one["is_refused"]) for one in told["scopes"]}
    assert seen[works] == ("2026-03-02T09:05:00.000Z", False)
    assert seen[refused] == ("2026-03-02T09:01:00.000Z", True)
    assert "a-key" not in answer.text
