"""Dropping what has been kept for long enough (SPEC P8), one person's data, and erasing from the page."""

from __future__ import annotations

from datetime import timedelta
from os import utime
from pathlib import Path

import httpx
import orjson
import pytest
from sqlalchemy import func, select, update

from app.accounts.actors import COMMAND, Actor, Forbidden, Role
from app.clock import now
from app.contacts.tables import contacts, erased_identities
from app.imports.tables import imports
from app.privacy.erase import erase_contact
from app.privacy.hand_out import as_json, hand_out
from app.privacy.keeping import look_once
from app.privacy.retention import purge
from app.privacy.tables import purges
from app.settings import Settings
from app.webhooks.apply import apply_waiting
from app.webhooks.tables import inbox_events
from app.websites.connect import mark_uninstalled
from app.websites.tables import websites
from tests.fixtures.people import log_in_as
from tests.hooking import hook, hooked, receive, row_of, sent
from tests.imports.importing import importing
from tests.ingesting import connected, person
from tests.pages.conftest import ORIGIN, Stand, pages_app
from tests.privacy.test_erase import ANN, SESSION, ann_and_bob, counted

OLD = timedelta(days=15)


async def test_raw_hooks_lose_their_body_after_their_days(database_url: str) -> None:
    async with connected(database_url) as site:
        long_ago, lately = now() - OLD, now() - timedelta(days=13)
        rows = [
            row_of(hook("session:set_state", n, session_id="s"), received_at, state=state)
            for n, (received_at, state) in enumerate(
                [(long_ago, s) for s in ("done", "dead", "parked", "new")] + [(lately, "done")]
            )
        ]
        await receive(site.db, *rows)
        settings = Settings(upload_days=0)
        for expected in (3, 0):
            assert await purge(site.db, settings) == {"raw hooks": expected}
        found = {row.id: row for row in await site.rows(select(inbox_events))}
        states = [(found[row["id"]].state, found[row["id"]].body is None) for row in rows]
        assert states == [
            ("done", True), ("dead", True), ("ignored", True), ("new", False), ("done", False),
        ]  # fmt: skip
        # The one that waited is applied, and goes with the next purge.
        await apply_waiting(site.db)
        assert (await purge(site.db, settings))["raw hooks"] == 1
        [told] = await site.rows(select(purges))
        assert (told.kind, told.dropped) == ("raw hooks", 1)


async def test_uploads_and_uninstalled_websites_go_after_their_days(
    database_url: str, tmp_path: Path
) -> None:
    async with importing(database_url, tmp_path) as site:
        await site.plan("E-mail\nbo@x.example\n")
        done = await site.run("E-mail\ncy@x.example\n")
        settings = Settings(uploads_folder=site.folder, uninstalled_days=14)
        assert (await purge(site.db, settings))["uploads"] == 0
        await site.execute(update(imports).values(created_at=now() - timedelta(days=31)))
        assert (await purge(site.db, settings))["uploads"] == 2
        assert list(site.folder.iterdir()) == []
        states = {row.id: row.state for row in await site.rows(select(imports))}
        assert sorted(states.values()) == ["cancelled", "done"]
        assert states[done.id] == "done"

        await site.begin("E-mail\ndi@x.example\n")
        cut_off, coming = site.folder / "cut.csv", site.folder / "coming.csv"
        for path in (cut_off, coming, *site.folder.iterdir()):
            path.touch()
            if path != coming:
                utime(path, (0, 0))
        await purge(site.db, settings)
        assert not cut_off.exists()
        assert len(list(site.folder.iterdir())) == 2

        async with site.db.write() as connection:
            await mark_uninstalled(connection, site.id)
        assert (await purge(site.db, settings))["uninstalled websites"] == 0
        await site.execute(update(websites).values(uninstalled_at=now() - OLD))
        assert (await purge(site.db, settings))["uninstalled websites"] == 1
        assert await counted(site, websites.c.id == site.id) == 0


async def test_erasing_a_website_keeps_the_list_of_erased_people(
    database_url: str, tmp_path: Path
) -> None:
    from app.privacy.website import erase_website

    async with connected(database_url) as site:
        await erase_contact(site.db, COMMAND, await ann_and_bob(site))
        await erase_website(site.db, tmp_path, site.id, COMMAND)
        assert await counted(site, contacts.c.website_id == site.id) == 0
        assert await counted(site, erased_identities.c.website_id == site.id) == 3


async def test_one_persons_data_is_handed_out_whole(database_url: str) -> None:
    async with connected(database_url) as site:
        contact_id = await ann_and_bob(site)
        await hooked(site, sent(SESSION, 3, "by hook", at=2), sent("other", 4, "not hers", at=2))
        told = orjson.loads(as_json(await hand_out(site.db, COMMAND, contact_id)))
        assert [row["crisp_people_id"] for row in told["contacts"]] == [ANN]
        [talk] = told["conversations"]
        assert [message["body"] for message in talk["messages"]] == ["I am Ann", "by hook"]
        assert [one["body"]["data"]["content"] for one in told["web_hooks"]] == ["by hook"]
        assert "Bob" not in str(told)
        with pytest.raises(Forbidden):
            await hand_out(site.db, Actor("user", "m", "m", Role.MEMBER), contact_id)


async def test_the_page_names_what_goes_and_erases_when_told_twice(sqlite_url: str) -> None:
    async with connected(sqlite_url) as site:
        contact_id = await ann_and_bob(site)
        transport = httpx.ASGITransport(app=pages_app(site.db, Stand()))
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            (await log_in_as(site.db, Role.MEMBER, [site.id])).give(client)
            path = f"/contacts/{contact_id}"
            assert "Erase…" not in (await client.get(path)).text
            for refused in (
                await client.get(f"{path}/erase"),
                await client.get(f"{path}/everything.json"),
                await client.post(f"{path}/erase", data={"typed": "erase"}),
            ):
                assert refused.status_code == 403
            (await log_in_as(site.db)).give(client)
            assert "Erase…" in (await client.get(path)).text
            page = (await client.get(f"{path}/erase")).text
            assert "ann@acme.example" in page
            assert "with 1 message<" in page
            told = await client.get(f"{path}/everything.json")
            assert told.headers["content-disposition"].startswith("attachment")
            assert (await client.post(f"{path}/erase", data={"typed": "no"})).status_code == 422
            done = await client.post(f"{path}/erase", data={"typed": "Erase"})
            assert (done.status_code, done.headers["location"]) == (303, "/contacts?erased=yes")
            assert (await client.get(path)).status_code == 404
            assert "Erased, and kept out" in (await client.get("/contacts?erased=yes")).text
        await look_once(site.db, Settings())
        left = select(func.count()).where(erased_identities.c.swept_at.is_(None))
        assert (await site.rows(left))[0][0] == 0


async def test_people_without_anybody_erased_cost_one_lookup(sqlite_url: str) -> None:
    from sqlalchemy import event

    async with connected(sqlite_url) as site:
        asked: list[str] = []
        event.listen(
            site.db.engine.sync_engine,
            "before_cursor_execute",
            lambda *told: asked.append(told[2]) if "erased_identities" in told[2] else None,
        )
        await site.take(*(person(f"p{n}", email=f"p{n}@acme.example") for n in range(20)))
        assert len(asked) == 1
