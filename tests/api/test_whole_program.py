"""What an admin does on the pages, by a token alone, on the whole program with the sandbox as Crisp (SPEC V7, P4).

The tokens are real ones, made as the pages make them: one of scope admin, write and read each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from app.accounts.actors import COMMAND
from app.accounts.tables import audit_log
from app.accounts.tokens import Scope, create_token
from app.contacts.tables import contacts
from app.websites.tables import websites
from tests.alerts.receiving import receiving_hooks
from tests.pages.test_website_settings import Served, served


@dataclass
class Program:
    site: Served
    tokens: dict[str, str]

    async def ask(self, method: str, path: str, as_: str = "admin", **sent: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[as_]}", **sent.pop("headers", {})}
        return await self.site.web.request(method, f"/api/v1{path}", headers=headers, **sent)

    async def done(self, method: str, path: str, **sent: Any) -> Any:
        answer = await self.ask(method, path, **sent)
        assert answer.status_code < 300, (method, path, answer.text)
        return answer.json() if answer.content else None


async def program_of(site: Served) -> Program:
    tokens: dict[str, str] = {}
    scopes: tuple[Scope, ...] = ("read", "write", "admin")
    for scope in scopes:
        async with site.crisp.db.write() as connection:
            tokens[scope] = await create_token(connection, COMMAND, scope, scope, None, None)
    return Program(site, tokens)


async def test_a_website_from_connecting_to_erasing(sqlite_url: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"uploads_folder": tmp_path, "erased_file": tmp_path / "erased.list"}
    async with served(sqlite_url, None, connect=False, **given) as site:
        program = await program_of(site)
        own = site.crisp.website_id
        wanted: dict[str, Any] = {"json": {"website_id": own}}
        assert (await program.ask("POST", "/websites", "write", **wanted)).status_code == 403
        site.crisp.world.faults.add("status", status=401)
        refused = await program.ask("POST", "/websites", **wanted)
        assert (refused.status_code, "rejects" in refused.json()["detail"]) == (502, True)
        site.crisp.world.faults.clear()
        assert (await program.done("POST", "/websites", **wanted))["status"] == "connected"
        window = {"window_from": "2020-01-01T00:00:00Z", "window_to": "2036-01-01T00:00:00Z"}
        cost = await program.done("POST", "/syncs/preview", json=window)
        assert cost["conversations"] == 6
        assert 0 < cost["quota_used"] < cost["quota_limit"]
        backwards = {"window_from": window["window_to"], "window_to": window["window_from"]}
        assert (await program.ask("POST", "/syncs/preview", json=backwards)).status_code == 422
        run = await program.done("POST", "/syncs", json={"kind": "backfill", **window})
        for what, asked in (("pause", "pause"), ("resume", None), ("cancel", None)):
            told = await program.done("POST", f"/syncs/{run['id']}/{what}")
            assert told["asked"] == asked or told["state"] in {"paused", "queued", "cancelled"}
        await site.crisp.run("full")
        person = (await program.done("GET", "/contacts?source=crisp&limit=1"))["data"][0]
        fresh = await program.done("POST", f"/contacts/{person['id']}/refresh", as_="write")
        assert fresh["id"] == person["id"]
        talk = (await program.done("GET", "/conversations?limit=1"))["data"][0]
        await program.done("POST", f"/conversations/{talk['id']}/refresh", as_="write")
        live = await program.done("POST", f"/websites/{own}/findings/live")
        assert "worker_not_running" in {one["cause"] for one in live["data"]}
        assert (await program.done("GET", f"/websites/{own}/findings"))["data"]
        assert (await program.done("POST", f"/websites/{own}/pause"))["status"] == "paused"
        assert (await program.ask("POST", f"/websites/{own}/pause")).status_code == 409
        assert (await program.done("POST", f"/websites/{own}/resume"))["status"] == "connected"
        everything = await program.done("GET", f"/contacts/{person['id']}/everything")
        assert person["email"] in str(everything)
        path = f"/contacts/{person['id']}/erase"
        assert (await program.ask("POST", path, json={"confirm": "yes"})).status_code == 422
        sure: dict[str, Any] = {"json": {"confirm": "erase"}}
        assert (await program.ask("POST", path, "write", **sure)).status_code == 403
        assert (await program.done("POST", path, **sure))["contacts"] == 1
        assert (await program.ask("GET", f"/contacts/{person['id']}")).status_code == 404
        path = f"/websites/{own}/disconnect"
        assert (await program.done("POST", path, json={"data": "keep"}))["erased"] is False
        name = (await program.done("GET", f"/websites/{own}"))["name"]
        wrong = {"data": "erase", "name": "another"}
        assert (await program.ask("POST", path, json=wrong)).status_code == 422
        assert await site.crisp.rows(select(contacts.c.id)) != []
        assert (await program.done("POST", path, json={"data": "erase", "name": name}))["erased"]
        assert await site.crisp.rows(select(websites)) == []


# SPEC C6, D1
async def test_settings_and_mapping_by_a_token(sqlite_url: str) -> None:
    async with served(sqlite_url, None) as site:
        program = await program_of(site)
        await site.crisp.run("full")
        path = f"/websites/{site.crisp.website_id}/settings"
        assert (await program.ask("GET", path, "write")).status_code == 403
        first = await program.ask("GET", path)
        assert first.json()["import_people"] is True
        change = {"import_notes": False, "time_zone": "Europe/Berlin", "import_since": "2026-01-31"}
        match = {"If-Match": first.headers["etag"]}
        now = await program.done("PATCH", path, json=change, headers=match)
        assert (now["import_notes"], now["import_people"]) == (False, True)
        assert now["import_since"] == "2026-01-30T23:00:00.000Z"
        late = await program.ask("PATCH", path, json={"message_days": 30}, headers=match)
        assert late.status_code == 412
        assert (await program.done("PATCH", path, json={"message_days": 30}))["message_days"] == 30
        assert (await program.done("PATCH", path, json={"message_days": None}))[
            "message_days"
        ] is None
        kept = await program.done("PATCH", path, json={})
        for wrong in ({"time_zone": "Mars/Olympus"}, {"message_days": 0}, {"import_since": "1816-01-01"},
                      {"import_people": "yes"}, {"colour": "red"}):  # fmt: skip
            assert (await program.ask("PATCH", path, json=wrong)).status_code == 422, wrong
        assert await program.done("GET", path) == kept, "nothing half saved"
        path = f"/websites/{site.crisp.website_id}/mapping"
        before = await program.done("GET", path)
        assert before["targets"]["email"] == "email"
        there = {"person.employment.title": "attributes.position"}
        told = await program.done("PUT", path, json={"overrides": there})
        assert told["overrides"] == there
        assert told["changed"] > 0
        nonsense = {"overrides": {"person.employment.title": "nonsense"}}
        assert (await program.ask("PUT", path, json=nonsense)).status_code == 422
        back = await program.done("PUT", path, json={"overrides": {}})
        assert back["targets"] == before["targets"]
        actions = select(audit_log.c.action, audit_log.c.actor_kind).where(
            audit_log.c.action.in_(("settings.changed", "mapping.changed"))
        )
        found = {tuple(row) for row in await site.crisp.rows(actions)}
        assert found == {("settings.changed", "token"), ("mapping.changed", "token")}


# SPEC V9
async def test_who_is_told_is_chosen_by_a_token(sqlite_url: str) -> None:
    with receiving_hooks() as hooks:
        async with served(sqlite_url, None, alerts_to_private=True) as site:
            program = await program_of(site)
            mail = {"kind": "email", "address": "mira@support.example"}
            assert (
                await program.ask("POST", "/alerts/targets", "write", json=mail)
            ).status_code == 403
            assert (await program.done("POST", "/alerts/targets", json=mail))["secret"] is None
            hook = {"kind": "hook", "address": hooks.url, "website_id": site.crisp.website_id}
            made = await program.done("POST", "/alerts/targets", json=hook)
            hooks.secret = made["secret"]
            tested = await program.done("POST", f"/alerts/targets/{made['id']}/test")
            assert tested == {"arrived": True, "reason": None}
            assert len(hooks.got) == 1
            hooks.answer = 500
            tested = await program.done("POST", f"/alerts/targets/{made['id']}/test")
            assert (tested["arrived"], "500" in tested["reason"]) == (False, True)
            await program.done("POST", f"/alerts/targets/{made['id']}/enable")
            listed = (await program.done("GET", "/alerts/targets"))["data"]
            assert {one["kind"] for one in listed} == {"email", "hook"}
            assert "whsec" not in str(listed)
            await program.done("DELETE", f"/alerts/targets/{made['id']}")
            assert len((await program.done("GET", "/alerts/targets"))["data"]) == 1
            assert (await program.done("GET", "/alerts"))["data"] == []
            for wrong, status in (
                ({"kind": "email", "address": "nobody"}, 422),
                ({"kind": "hook", "address": "ftp://x.example"}, 422),
                ({**mail, "website_id": "nothing"}, 404),
            ):
                answer = await program.ask("POST", "/alerts/targets", json=wrong)
                assert answer.status_code == status, answer.text
