"""Logging in and out: who gets a session, how long it lives, what ends it (SPEC P4, FAILURES 94 to 96)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select, update

from app import clock
from app.accounts.actors import COMMAND, Role
from app.accounts.login import make_first_user
from app.accounts.passwords import hash_password
from app.accounts.sessions import (
    end_sessions_of_user,
    find_session,
    hash_token,
    open_frame_session,
)
from app.accounts.tables import audit_log, sessions, users
from app.accounts.users import add_user
from app.db.session import Database
from app.pages.doors import safe_next
from tests.fixtures.people import log_in_as
from tests.pages.conftest import ORIGIN, Stand, pages_app
from tests.pages.rows import SITE, put, small_world

pytestmark = pytest.mark.asyncio

EMAIL, PASSWORD = "ann@acme.example", "heron lake 41 umbrella"
PUBLIC = "https://sync.acme.example"
WRONG = "That address and password do not belong together."


@asynccontextmanager
async def visitor(
    db: Database, origin: str = ORIGIN, address: str = "192.0.2.7"
) -> AsyncIterator[httpx.AsyncClient]:
    app = pages_app(db, Stand())
    app.state.public_url = PUBLIC
    transport = httpx.ASGITransport(app=app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url=origin) as client:
        yield client


async def ann(db: Database, role: Role = Role.ADMIN) -> str:
    async with db.write() as connection:
        return await add_user(
            connection, COMMAND, EMAIL, "Ann", role, await hash_password(PASSWORD)
        )


async def try_login(
    client: httpx.AsyncClient, password: str = PASSWORD, email: str = EMAIL, **more: str
) -> httpx.Response:
    return await client.post("/login", data={"email": email, "password": password, **more})


async def test_logging_in_leads_where_one_was_going(db: Database) -> None:
    await put(db, small_world())
    await ann(db)
    async with visitor(db) as client:
        sent = await client.get("/contacts?q=a&size=50")
        assert sent.status_code == 303
        assert sent.headers["location"] == "/login?next=/contacts%3Fq%3Da%26size%3D50"
        page = await client.get(sent.headers["location"])
        assert 'name="next" value="/contacts?q=a&amp;size=50"' in page.text
        assert page.headers["cache-control"] == "private, no-store"
        entered = await try_login(client, email=" Ann@ACME.example ", next="/contacts?q=a&size=50")
        assert (entered.status_code, entered.headers["location"]) == (303, "/contacts?q=a&size=50")
        assert "Ann Example" in (await client.get(entered.headers["location"])).text
        assert (await client.get("/login")).headers["location"] == "/"
        assert (await client.get("/login?next=//evil.example")).headers["location"] == "/"


async def test_case_095_a_new_id_at_login_and_none_after_logout(db: Database) -> None:
    await put(db, small_world())
    await ann(db)
    async with visitor(db) as client:
        client.cookies.set("crispsync", "fixed-by-a-stranger", "127.0.0.1")
        await try_login(client)
        first = client.cookies["crispsync"]
        assert first != "fixed-by-a-stranger"
        await try_login(client)
        second = client.cookies["crispsync"]
        assert second != first
        async with db.read() as connection:
            found = await find_session(connection, second, "login")
            stored = (await connection.execute(select(sessions.c.id_hash))).scalars().all()
        assert found is not None
        assert second not in stored
        assert hash_token(second) in stored
        assert (await client.post("/logout")).status_code == 403  # without what its form carries
        left = await client.post("/logout", data={"csrf": found.form_token})
        assert (left.status_code, left.headers["location"]) == (303, "/login")
        assert left.headers["clear-site-data"] == '"cache"'
        client.cookies.set("crispsync", second, "127.0.0.1")  # a copy somebody kept
        assert (await client.get("/")).status_code == 303
        client.cookies.set("crispsync", first, "127.0.0.1")
        assert (await client.get("/")).status_code == 200  # the other login goes on


@pytest.mark.parametrize(
    ("column", "ago", "alive"),
    [
        ("seen_at", timedelta(hours=7, minutes=59), True),
        ("seen_at", timedelta(hours=8, minutes=1), False),
        ("created_at", timedelta(days=6, hours=23), True),
        ("created_at", timedelta(days=7, minutes=1), False),
    ],
)
async def test_case_095_idle_and_absolute_ends(
    db: Database, column: str, ago: timedelta, alive: bool
) -> None:
    await put(db, small_world())
    carried = await log_in_as(db)
    async with db.write() as connection:
        await connection.execute(update(sessions).values({column: clock.now() - ago}))
    async with visitor(db) as client:
        carried.give(client)
        assert ((await client.get("/contacts")).status_code == 200) is alive


async def test_use_begins_the_idle_time_anew(db: Database) -> None:
    await put(db, small_world())
    carried = await log_in_as(db)
    async with db.write() as connection:
        await connection.execute(update(sessions).values(seen_at=clock.now() - timedelta(hours=7)))
    async with visitor(db) as client:
        carried.give(client)
        await client.get("/contacts")
    async with db.read() as connection:
        seen = await connection.scalar(select(sessions.c.seen_at))
    assert seen is not None
    assert clock.now() - seen < timedelta(minutes=1)


@pytest.mark.parametrize("how", ["disabled", "removed", "ended"])
async def test_case_095_sessions_end_at_once(db: Database, how: str) -> None:
    await put(db, small_world())
    carried = await log_in_as(db)
    async with visitor(db) as client:
        carried.give(client)
        assert (await client.get("/contacts")).status_code == 200
        async with db.write() as connection:
            mine = users.c.id == carried.user_id
            if how == "disabled":
                await connection.execute(update(users).where(mine).values(disabled_at=clock.now()))
            elif how == "removed":
                await connection.execute(users.delete().where(mine))
            else:
                await end_sessions_of_user(connection, carried.user_id)
        assert (await client.get("/contacts")).status_code == 303


async def test_case_096_strangers_are_limited_and_the_owner_is_not(db: Database) -> None:
    await put(db, small_world())
    await ann(db)
    async with visitor(db) as owner, visitor(db, address="198.51.100.9") as stranger:
        await try_login(owner)
        for _ in range(10):
            answer = await try_login(stranger, "guess")
            assert (answer.status_code, WRONG in answer.text) == (401, True)
        for _ in range(3):
            blocked = await try_login(stranger)  # even the right one: nothing is looked at
            assert blocked.status_code == 429
            assert "Too many tries. Wait 15 minutes" in blocked.text
        owner.cookies.delete("crispsync")
        assert (await try_login(owner)).status_code == 303  # its browser is known
        async with visitor(db, address="203.0.113.5") as elsewhere:
            assert (await try_login(elsewhere)).status_code == 429


async def test_case_096_an_address_is_limited_over_all_accounts(db: Database) -> None:
    await put(db, small_world())
    async with visitor(db, address="2001:db8:1:2::7") as stranger:
        for number in range(50):
            assert (await try_login(stranger, "x", f"u{number}@acme.example")).status_code == 401
        assert (await try_login(stranger, "x", "another@acme.example")).status_code == 429
    async with visitor(db, address="2001:db8:1:2:ffff::1") as neighbour:  # of the same /64
        assert (await try_login(neighbour, "x", "another@acme.example")).status_code == 429
    async with visitor(db, address="2001:db8:1:3::7") as other:
        assert (await try_login(other, "x", "another@acme.example")).status_code == 401


async def test_case_096_many_at_once_are_no_way_around(db: Database) -> None:

    await put(db, small_world())
    await ann(db)
    async with visitor(db) as stranger:
        answers = await asyncio.gather(*(try_login(stranger, f"guess {n}") for n in range(25)))
    codes = [answer.status_code for answer in answers]
    assert codes.count(401) == 10
    assert codes.count(429) == 15


async def test_case_096_a_block_ends_and_is_not_prolonged(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:

    await put(db, small_world())
    await ann(db)
    async with visitor(db) as client:
        for _ in range(12):
            await try_login(client, "guess")
        later = clock.now() + timedelta(minutes=15, seconds=1)
        monkeypatch.setattr(clock, "now", lambda: later)
        assert (await try_login(client)).status_code == 303


async def test_case_096_unknown_and_disabled_accounts_look_the_same(db: Database) -> None:
    await put(db, small_world())
    user_id = await ann(db)
    async with db.write() as connection:
        await connection.execute(
            update(users).where(users.c.id == user_id).values(disabled_at=clock.now())
        )
        await add_user(connection, COMMAND, "new@acme.example", "", Role.VIEWER)  # no password yet
    async with visitor(db) as client:
        pages = [
            (await try_login(client, email=email)).text.replace(email, "")
            for email in (EMAIL, "new@acme.example", "nobody@acme.example", "no address at all")
        ]
    assert len(set(pages)) == 1
    assert WRONG in pages[0]


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "",
     "\\\\evil.example", "/\t/evil.example", "/x\r\nSet-Cookie: a=b", "contacts", "/login",
     "/logout", "/" + "x" * 3000, "/\u202ex"],
)  # fmt: skip
async def test_next_leads_nowhere_else(wanted: str) -> None:
    assert safe_next(wanted) == "/"


async def test_next_leads_to_pages() -> None:
    for wanted in ("/", "/contacts?q=a%20b&website=1", "/conversations/x?page=2"):
        assert safe_next(wanted) == wanted


async def test_case_094_cookies_on_https_and_on_this_machine(db: Database) -> None:
    await put(db, small_world())
    await ann(db)
    async with visitor(db, PUBLIC) as client:
        secure = (await try_login(client)).headers.get_list("set-cookie")
        assert len(secure) == 2
        for cookie in secure:
            assert cookie.startswith("__Host-crispsync")
            for part in ("Path=/", "HttpOnly", "SameSite=Lax", "Secure"):
                assert part in cookie.split("; ")
            assert "Domain" not in cookie
        page = await client.get("/contacts")
        assert page.status_code == 200
        assert page.headers["strict-transport-security"] == "max-age=31536000"
        # What a sister host or plain http could set does not count here.
        client.cookies.set("crispsync", client.cookies.get("__Host-crispsync") or "")
        client.cookies.delete("__Host-crispsync")
        assert (await client.get("/contacts")).status_code == 303
    async with visitor(db) as client:
        plain = (await try_login(client)).headers.get_list("set-cookie")
        assert [cookie.partition("=")[0] for cookie in plain] == ["crispsync", "crispsync-browser"]
        assert not any("Secure" in cookie for cookie in plain)


async def test_case_094_a_frame_session_opens_nothing_but_its_pages(db: Database) -> None:
    await put(db, small_world())
    async with db.write() as connection:
        token = await open_frame_session(connection, SITE)
    async with visitor(db) as client:
        for name in ("crispsync", "crispsync-frame"):
            client.cookies.set(name, token)
        for path in ("/", "/contacts", "/contacts/ann", "/syncs"):
            assert (await client.get(path)).status_code == 303
        assert (await client.get("/plugin/nowhere")).status_code == 404
        client.cookies.clear()
        assert (await client.get("/plugin/nowhere")).status_code == 401
        carried = await log_in_as(db)
        carried.give(client)
        client.cookies.set("crispsync-frame", carried.token)
        assert (await client.get("/plugin/nowhere")).status_code == 401
    async with db.read() as connection:
        found = await find_session(connection, token, "frame")
    assert found is not None
    assert (found.actor.kind, found.actor.role) == ("frame", Role.ADMIN)
    assert found.actor.website_ids == frozenset({SITE})


async def test_case_094_forms_are_made_for_a_session(db: Database) -> None:
    await put(db, small_world())
    mine, other = await log_in_as(db), await log_in_as(db)
    stand = Stand()
    transport = httpx.ASGITransport(app=pages_app(db, stand))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        client.cookies.set("crispsync", mine.token)
        assert f'name="csrf" value="{mine.form_token}"' in (await client.get("/syncs")).text
        for token in ("", "x", "é", other.form_token, mine.token):
            data = {"kind": "full", "csrf": token}
            answer = await client.post("/syncs", data=data)
            assert answer.status_code == 403
            assert "earlier login" in answer.text
        assert (await client.post("/syncs", json={"kind": "full"})).status_code == 403
        assert stand.asked == []
        data = {"kind": "full", "csrf": mine.form_token}
        assert (await client.post("/syncs", data=data)).status_code == 303
    assert len(stand.asked) == 1


async def test_login_itself_is_not_for_other_sites(db: Database) -> None:
    await ann(db)
    async with visitor(db) as client:
        data = {"email": EMAIL, "password": PASSWORD}
        headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert (await client.post("/login", data=data, headers=headers)).status_code == 403
        assert not client.cookies


async def test_strangers_with_forms_and_streams(db: Database) -> None:
    await put(db, small_world())
    async with visitor(db) as client:
        sent = await client.post("/syncs", data={"kind": "full"})
        assert sent.headers["location"] == "/login?ended=1"
        assert "nothing was done" in (await client.get("/login?ended=1")).text
        stream = {"Accept": "text/event-stream"}
        assert (await client.get("/syncs/run/events", headers=stream)).status_code == 401


async def test_the_first_user_is_made_once(db: Database) -> None:
    async with visitor(db) as client:
        assert "Nobody can log in yet" in (await client.get("/login")).text
        invented = await make_first_user(db, None, None)
        assert invented is not None
        assert await make_first_user(db, EMAIL, PASSWORD) is None
        assert (await try_login(client)).status_code == 401
        assert (await try_login(client, invented, "admin@localhost")).status_code == 303
    async with db.read() as connection:
        actions = (await connection.execute(select(audit_log.c.action))).scalars().all()
    assert actions == ["user.added", "session.opened"]
