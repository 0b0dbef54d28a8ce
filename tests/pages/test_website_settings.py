"""Settings, connection, Crisp's form, credential and Crisp's frame, on the whole app with the sandbox as Crisp."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import insert, select, text

from app.accounts.actors import Role
from app.accounts.tables import audit_log
from app.contacts.outside import outside_file, read_outside
from app.contacts.tables import contacts
from app.imports.tables import imports
from app.main import create_app
from app.pages.crisp_frame import CRISP_APP
from app.pages.rendering import HERE
from app.settings import Settings
from app.websites.connect import disconnect
from app.websites.credential import read_credential
from app.websites.tables import websites
from tests.fixtures.people import log_in_as
from tests.fixtures.program import SECRET_KEY
from tests.fixtures.routes import share_routes
from tests.pages.rows import inbox_event, row_of
from tests.pulling import Crispsync, sandbox_and_crispsync

PUBLIC = "https://sync.acme.example"
OTHERS = ((2, 2, True),)


@dataclass
class Served:
    crisp: Crispsync
    app: FastAPI
    settings: Settings
    web: httpx.AsyncClient

    async def post(self, path: str, page: str | None = None, **typed: str) -> httpx.Response:
        """As the form on `page` sends it."""
        found = re.search(r'name="csrf" value="([^"]+)"', (await self.web.get(page or path)).text)
        assert found is not None, page or path
        return await self.web.post(path, data={"csrf": found[1], **typed})

    async def website(self) -> Any:
        query = select(websites).where(websites.c.id == self.crisp.website_id)
        return (await self.crisp.rows(query))[0]


@asynccontextmanager
async def served(
    url: str, role: Role | None = Role.ADMIN, *, connect: bool = True, **given: Any
) -> AsyncIterator[Served]:
    async with sandbox_and_crispsync(
        url, people=6, conversations=6, others=OTHERS, connect=connect
    ) as crisp:
        values: dict[str, Any] = {
            "database_url": url,
            "secret_key": SecretStr(SECRET_KEY),
            "crisp_api_url": crisp.url,
            "crisp_identifier": crisp.world.identifier,
            "crisp_key": SecretStr(crisp.world.key),
            "crisp_plugin_id": crisp.world.plugin_id,
            "public_url": PUBLIC,
            # As the client of the test: its grants are parts of a day of this size.
            "crisp_daily_quota": 1_000_000,
            **given,
        }
        settings = Settings(**values)
        app = share_routes(create_app(settings), "whole")
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url=PUBLIC) as web,
        ):
            if role is not None:
                session = (await log_in_as(crisp.db, role)).token
                web.cookies.set("__Host-crispsync", session)
            yield Served(crisp, app, settings, web)


# SPEC C6
async def test_what_is_imported_is_changed_and_audited(database_url: str) -> None:
    async with served(database_url) as site:
        page = (await site.web.get("/settings/website")).text
        assert "Costs one request per person" in page
        typed = {"import_people": "1", "depth": "date", "since": "2026-01-31", "time_zone": "Europe/Berlin"}  # fmt: skip
        assert (await site.post("/settings/website", **typed)).status_code == 303
        row = await site.website()
        assert (row.import_people, row.import_conversations, row.import_notes) == (
            True,
            False,
            False,
        )
        assert row.import_since.isoformat() == "2026-01-30T23:00:00+00:00"
        assert row.time_zone == "Europe/Berlin"
        (entry,) = await site.crisp.rows(
            select(audit_log).where(audit_log.c.action == "settings.changed")
        )
        assert entry.before["import_conversations"] is True
        assert "import_people" not in entry.before, "only what changed"
        for wrong in (
            {"time_zone": "Mars/Olympus"}, {"depth": "days", "days": "-1"}, {"depth": "x"},
            {"depth": "days", "days": "9" * 30}, {"depth": "date", "since": "2026-02-30"},
        ):  # fmt: skip
            assert (await site.post("/settings/website", **wrong)).status_code == 422
        assert await site.website() == row, "nothing half saved"


# SPEC P8
async def test_how_long_text_is_kept_is_chosen_and_told(sqlite_url: str) -> None:
    async with served(sqlite_url) as site:
        chosen = {"texts": "days", "text_days": "90"}
        assert (await site.post("/settings/website", **chosen)).status_code == 303
        assert (await site.website()).message_days == 90
        assert 'value="90"' in (await site.web.get("/settings/website")).text
        assert (await site.post("/settings/website")).status_code == 303
        assert (await site.website()).message_days == 90, "a form that does not ask changes nothing"
        for wrong in ({"texts": "days", "text_days": "0"}, {"texts": "days"}, {"texts": "x"}):
            refused = await site.post("/settings/website", **wrong)
            assert refused.status_code == 422, wrong
        assert (await site.website()).message_days == 90
        assert (await site.post("/settings/website", texts="always")).status_code == 303
        assert (await site.website()).message_days is None


# SPEC D1
async def test_a_mapping_is_applied_to_what_is_stored(database_url: str) -> None:
    async with served(database_url) as site:
        assert await site.crisp.run("full") == "done"
        page = (await site.web.get("/settings/mapping")).text
        assert "Examples from" in page
        asked = site.crisp.world.counters.total
        done = await site.post("/settings/mapping", **{"to:person.phone": "attributes.mobile"})
        assert done.status_code == 303
        stored = await site.crisp.rows(select(contacts.c.phone, contacts.c.attributes))
        assert all(row.phone is None for row in stored)
        assert any("mobile" in row.attributes for row in stored)
        assert site.crisp.world.counters.total == asked, "without asking Crisp"
        for wrong in ("attributes.Not Good", "nothing", "=1+1"):
            bad = await site.post("/settings/mapping", **{"to:person.phone": wrong})
            assert bad.status_code == 422


# SPEC C3, C7, C9, T2
async def an_upload(site: Served, file: Path) -> None:
    """A file of an import that was never carried out."""
    await asyncio.to_thread(file.write_text, "email\nann@acme.example\n")
    given = {"state": "uploaded", "mode": "merge"}
    _, row = row_of(imports, website_id=site.crisp.website_id, file=file.name, **given)
    async with site.crisp.db.write() as connection:
        await connection.execute(imports.insert().values(row))


async def test_a_connection_is_made_paused_resumed_and_ended(
    database_url: str, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"uploads_folder": tmp_path, "erased_file": tmp_path / "erased.list"}
    async with served(database_url, connect=False, **given) as site:
        first = await site.post("/settings/connect", "/settings/connection", website_id="acme")
        assert first.status_code == 422
        assert "Settings, Website settings" in first.text
        site.crisp.world.faults.add("status", status=401)
        refused = await site.post(
            "/settings/connect", "/settings/connection", website_id=site.crisp.website_id
        )
        assert refused.status_code == 502
        assert "rejects" in refused.text
        assert await site.crisp.rows(select(websites)) == []
        site.crisp.world.faults.clear()
        done = await site.post(
            "/settings/connect", "/settings/connection", website_id=site.crisp.website_id
        )
        assert done.status_code == 303
        page = (await site.web.get("/settings/connection")).text
        assert "app.crisp.chat/initiate/plugin/" in page, "the install link is always there"
        for question in ("Contacts are not importing?", "Conversations are not showing?", "Real-time updates are missing?"):  # fmt: skip
            assert question in page
        where = "/settings/connection"
        for what, status in (("pause", "paused"), ("resume", "connected")):
            assert (await site.post(f"{where}/{what}", where)).status_code == 303
            assert (await site.website()).status == status
        assert (
            (await site.post(f"{where}/first-import", where))
            .headers["location"]
            .startswith("/syncs/")
        )
        asked = await site.post(f"{where}/check", where)
        assert "No process works" in asked.text
        gone = await site.post("/settings/disconnect", what="erase", name="another")
        assert gone.status_code == 422
        assert (await site.post("/settings/disconnect", what="keep")).status_code == 303
        assert (await site.website()).status == "disconnected"
        name = (await site.website()).name
        assert (
            "This goes, and nothing brings it back"
            in (await site.web.get("/settings/disconnect")).text
        )
        await an_upload(site, tmp_path / "theirs")
        assert (await site.post("/settings/disconnect", what="erase", name=name)).status_code == 303
        assert await site.crisp.rows(select(websites)) == []
        assert not (tmp_path / "theirs").exists()
        listed = read_outside(outside_file(site.settings))
        assert listed.websites.keys() == {site.crisp.website_id}, "a restored backup is told"


# SPEC H2
async def test_crisps_form_is_told_with_what_was_seen(sqlite_url: str) -> None:
    async with served(sqlite_url) as site:
        page = (await site.web.get("/settings/setup")).text
        for wanted in (
            f"{PUBLIC}/webhooks/crisp", f"{PUBLIC}/plugin/settings", f"{PUBLIC}/plugin/callback",
            "website:people:profiles", "message:send", "never", "initiate/plugin/",
        ):  # fmt: skip
            assert wanted in page


# SPEC H2
async def test_a_hook_that_is_parked_until_the_first_import_counts_as_arrived(
    sqlite_url: str,
) -> None:
    async with served(sqlite_url) as site:
        table, parked = inbox_event(1, event="session:removed", state="parked", error=None)
        async with site.crisp.db.write() as connection:
            await connection.execute(insert(table).values(parked))
        page = (await site.web.get("/settings/setup")).text
        told = dict(re.findall(r"<code>([a-z:_]+)</code></th><td><span class=\"(\w+)\"", page))
        assert (told["session:removed"], told["people:bind:session"]) == ("because", "quiet")


# SPEC P2
async def test_a_credential_is_checked_before_it_is_kept(database_url: str) -> None:
    none: dict[str, Any] = {"crisp_identifier": None, "crisp_key": None, "crisp_plugin_id": None}
    async with served(database_url, **none) as site:
        world, path = site.crisp.world, "/settings/credential"
        wrong = await site.post(path, identifier=world.identifier, key="0" * 64)
        assert wrong.status_code == 422
        assert "Crisp does not know this identifier and key" in wrong.text
        assert "CRISP_KEY" not in wrong.text
        assert (await site.post(path, identifier=world.identifier)).status_code == 422
        assert (await read_credential(site.crisp.db, site.settings)).key is None
        good = await site.post(
            path, identifier=world.identifier, key=world.key, signing_secrets="one,two"
        )
        assert good.status_code == 303
        found = await read_credential(site.crisp.db, site.settings)
        assert (found.key, found.plugin_id) == (world.key, world.plugin_id)
        assert found.signing_secrets == (b"one", b"two")
        assert world.key not in (await site.web.get(path)).text
        assert (await site.post(path, forget="1")).status_code == 303
        assert (await read_credential(site.crisp.db, site.settings)).identifier is None


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
async def test_settings_are_for_admins(sqlite_url: str, role: Role) -> None:  # SPEC P4
    async with served(sqlite_url, role) as site:
        for path in ("website", "mapping", "connection", "setup", "credential", "disconnect"):
            assert (await site.web.get(f"/settings/{path}")).status_code == 403


# SPEC C5; FAILURES cases 92, 93, 94
async def test_case_093_the_token_becomes_a_session_and_leaves_the_address(
    database_url: str,
) -> None:
    async with served(database_url, None) as site:
        main = site.crisp.world.main
        query = {"website_id": main.website_id, "token": main.token}
        entered = await site.web.get("/plugin/settings", params=query)
        assert (entered.status_code, entered.headers["location"]) == (303, "/plugin/website")
        assert main.token not in entered.text
        cookie = entered.headers["set-cookie"]
        for part in ("__Host-", "Secure", "HttpOnly", "Path=/", "SameSite=None", "Partitioned"):
            assert part in cookie
        page = await site.web.get("/plugin/website")
        assert page.status_code == 200
        assert f"frame-ancestors {CRISP_APP}" in page.headers["content-security-policy"]
        assert page.headers["referrer-policy"] == "no-referrer"
        done = await site.post("/plugin/website", import_people="1", depth="everything")
        assert done.status_code == 303
        assert (await site.website()).import_conversations is False
        started = await site.post("/plugin/website/sync", "/plugin/website", kind="full")
        assert started.status_code == 303
        assert "Full sync" in (await site.web.get("/plugin/website")).text
        forged = await site.web.post("/plugin/website", data={"import_people": "1"})
        assert forged.status_code == 403, "without the form's token nothing changes"
        assert (await site.post("/plugin/website", time_zone="Mars/X")).status_code == 422
        await disconnect(site.crisp.db, main.website_id)
        assert (await site.web.get("/plugin/website")).status_code == 401, "its sessions ended"


async def test_case_091_a_framed_session_may_do_nothing_else(sqlite_url: str) -> None:
    async with served(sqlite_url, None) as site:
        main, other = list(site.crisp.world.sites.values())[:2]
        await site.crisp.connect(other.website_id)
        query = {"website_id": main.website_id, "token": main.token}
        assert (await site.web.get("/plugin/settings", params=query)).status_code == 303
        foreign = await site.web.get("/plugin/website", params={"website": other.website_id})
        assert foreign.status_code == 404
        allowed = {"/plugin/website", "/plugin/settings", "/plugin/callback", "/login"}
        for route in site.app.routes:
            path, methods = getattr(route, "path", ""), getattr(route, "methods", None) or set()
            if "GET" not in methods or path in allowed or path.startswith(("/api", "/healthz", "/readyz", "/metrics")):  # fmt: skip
                continue
            answer = await site.web.get(re.sub(r"\{[^}]*\}", "x", path))
            assert answer.status_code in {303, 401, 403, 404, 405}, path
            if answer.status_code == 303:
                assert answer.headers["location"].startswith("/login"), path
            assert "app.crisp.chat" not in answer.headers["content-security-policy"], "case 92"


async def test_a_wrong_token_is_refused_and_burns_no_quota(database_url: str) -> None:
    async with served(database_url, None) as site:
        main, other = list(site.crisp.world.sites.values())[:2]
        right = {"website_id": main.website_id, "token": main.token}
        assert (await site.web.get("/plugin/settings", params=right)).status_code == 303
        before = site.crisp.world.counters.total
        for number in range(20):
            wrong = {"website_id": main.website_id, "token": f"guess-{number}-é"}
            assert (await site.web.get("/plugin/settings", params=wrong)).status_code == 403
            unknown = {**wrong, "website_id": f"00000000-0000-4000-8000-0000000000{number:02d}"}
            assert (await site.web.get("/plugin/settings", params=unknown)).status_code == 403
            crossed = {"website_id": other.website_id, "token": main.token}
            assert (await site.web.get("/plugin/settings", params=crossed)).status_code == 403
        assert site.crisp.world.counters.total - before <= 3
        for nonsense in (
            {},
            {"website_id": "x"},
            {"website_id": main.website_id, "token": "t" * 5000},
        ):
            assert (await site.web.get("/plugin/settings", params=nonsense)).status_code == 403
        assert (await site.web.get("/plugin/settings", params=right)).status_code == 303


async def test_case_101_a_forged_callback_does_nothing(sqlite_url: str) -> None:
    async with served(sqlite_url, None, connect=False) as site:
        other = "5b1c1d9e-2f0a-4f3b-8a7e-0c9d8e7f6a5b"
        for _ in range(2):
            answer = await site.web.get("/plugin/callback", params={"crisp_website_id": other})
            assert answer.status_code == 200
            assert other not in answer.text
            assert "set-cookie" not in answer.headers
        assert await site.crisp.rows(select(websites)) == []
        assert await site.crisp.rows(text("SELECT 1 FROM sessions")) == []


def test_case_100_no_script_listens_to_messages() -> None:
    scripts = list(HERE.rglob("*.js"))
    assert scripts
    for file in [*scripts, *HERE.rglob("*.html")]:
        written = file.read_text()
        assert "postMessage" not in written
        assert not re.search(r"addEventListener\(\s*[\"']message", written)
        assert "onmessage" not in written
    for framed in (
        "outside.html",
        "framed_website.html",
        "framed_word.html",
        "preferences_form.html",
    ):
        assert "<script" not in (HERE / "templates" / framed).read_text()
