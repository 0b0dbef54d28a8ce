"""Inviting, roles, grants, links that work once, tokens, and the audit log over all of it (SPEC P4)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select

from app import clock
from app.accounts import team, tokens
from app.accounts.actors import COMMAND, Actor, Forbidden, Role
from app.accounts.audit import audit
from app.accounts.tables import api_tokens, audit_log, password_links, users
from app.db.session import Database
from app.errors import Conflict
from tests.fixtures.people import log_in_as
from tests.pages.conftest import ORIGIN, Stand, pages_app
from tests.pages.rows import OTHER_SITE, SITE, put, small_world

pytestmark = pytest.mark.asyncio

PASSWORD = "heron lake 41 umbrella"


@pytest_asyncio.fixture
async def stranger(db: Database) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=pages_app(db, Stand()))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as opened:
        yield opened


async def user_named(db: Database, email: str) -> str:
    async with db.read() as connection:
        return str(await connection.scalar(select(users.c.id).where(users.c.email == email)))


async def actions(db: Database) -> list[str]:
    async with db.read() as connection:
        query = select(audit_log.c.action).order_by(audit_log.c.at, audit_log.c.id)
        return list((await connection.execute(query)).scalars())


def link_in(page: str) -> str:
    found = re.search(r"/welcome\?link=([\w-]+)", page)
    assert found, "no link is shown"
    return found[1]


async def test_an_invitation_works_once(
    db: Database, client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await put(db, [*small_world(), *small_world(OTHER_SITE, "other-")])
    data = {"email": "New@Acme.example", "name": "New", "role": "viewer", "websites": OTHER_SITE}
    shown = await client.post("/settings/team", data=data)
    assert shown.status_code == 200
    link = link_in(shown.text)
    async with db.read() as connection:
        stored = (await connection.execute(select(password_links))).one()
    assert link not in str(stored)
    user_id = await user_named(db, "new@acme.example")
    assert link not in (await client.get(f"/settings/team/{user_id}")).text  # shown once

    assert "new@acme.example" in (await stranger.get(f"/welcome?link={link}")).text
    both = {"link": link, "new": PASSWORD, "again": PASSWORD}
    for wrong in ({"new": "short"}, {"new": "password1234"}, {"again": "another thing"}):
        assert (await stranger.post("/welcome", data=both | wrong)).status_code == 422
    entered = await stranger.post("/welcome", data=both)
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    page = await stranger.get("/contacts")
    assert page.status_code == 200
    assert "other-Acme Chat" in page.text
    assert (await stranger.get(f"/contacts?website={SITE}")).status_code == 404
    assert (await stranger.post("/welcome", data=both)).status_code == 404
    assert "used already" in (await stranger.get(f"/welcome?link={link}")).text
    for nonsense in ("", "x", "é", "x" * 5000):
        assert (await stranger.get("/welcome", params={"link": nonsense})).status_code == 404


async def test_links_expire_and_replace_each_other(
    db: Database, client: httpx.AsyncClient, stranger: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await put(db, small_world())
    await client.post("/settings/team", data={"email": "new@acme.example"})
    here = f"/settings/team/{await user_named(db, 'new@acme.example')}"
    first = link_in((await client.post(f"{here}/link")).text)
    second = link_in((await client.post(f"{here}/link")).text)
    assert (await stranger.get(f"/welcome?link={first}")).status_code == 404
    assert (await stranger.get(f"/welcome?link={second}")).status_code == 200
    later = clock.now() + timedelta(days=7, seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert (await stranger.get(f"/welcome?link={second}")).status_code == 404


async def test_a_reset_ends_every_login(
    db: Database, client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await put(db, small_world())
    carried = await log_in_as(db, Role.MEMBER, [SITE])
    link = link_in((await client.post(f"/settings/team/{carried.user_id}/link")).text)
    carried.give(stranger)
    assert (await stranger.get("/contacts")).status_code == 200
    stranger.cookies.clear()
    await stranger.post("/welcome", data={"link": link, "new": PASSWORD, "again": PASSWORD})
    stranger.cookies.clear()
    carried.give(stranger)
    assert (await stranger.get("/contacts")).status_code == 303


async def test_what_an_admin_does_with_an_account(
    db: Database, client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await put(db, [*small_world(), *small_world(OTHER_SITE, "other-")])
    carried = await log_in_as(db, Role.VIEWER, [SITE])
    here = f"/settings/team/{carried.user_id}"
    carried.give(stranger)
    assert (await client.post(f"{here}/role", data={"role": "member"})).status_code == 303
    assert "member" in (await stranger.get("/contacts")).text
    both = {"websites": [SITE, OTHER_SITE]}
    assert (await client.post(f"{here}/websites", data=both)).status_code == 303
    assert (await stranger.get(f"/contacts?website={OTHER_SITE}")).status_code == 200
    assert (await client.post(f"{here}/websites", data={})).status_code == 303
    nothing = await stranger.get("/contacts")
    assert nothing.status_code == 403
    assert "No website was granted to you" in nothing.text
    assert (await stranger.get("/settings")).status_code == 200
    gone = {"websites": "5b1c1d9e-2f0a-4f3b-8a7e-0c9d8e7f6a5b"}
    assert (await client.post(f"{here}/websites", data=gone)).status_code == 422
    assert (await client.post(f"{here}/role", data={"role": "owner"})).status_code == 422
    await client.post(f"{here}/disable")
    assert (await stranger.get("/settings")).status_code == 303
    assert (await client.post(f"{here}/link")).status_code == 409
    await client.post(f"{here}/enable")
    assert (await client.post(f"{here}/remove")).headers["location"] == "/settings/team"
    assert (await client.get(here)).status_code == 404
    assert (await client.post(f"{here}/explode")).status_code == 404
    done = await actions(db)
    assert done[-6:] == ["user.role_changed", "user.granted", "user.granted", "user.disabled",
                         "user.enabled", "user.removed"]  # fmt: skip


async def test_the_last_admin_stays(db: Database) -> None:
    async with db.write() as connection:
        user_id, _ = await team.invite(connection, COMMAND, "a@acme.example", "", Role.ADMIN)
    for change in (team.disable, team.remove):
        with pytest.raises(Conflict, match="last admin"):
            async with db.write() as connection:
                await change(connection, COMMAND, user_id)
    with pytest.raises(Conflict, match="last admin"):
        async with db.write() as connection:
            await team.change_role(connection, COMMAND, user_id, Role.VIEWER)
    async with db.write() as connection:  # invited ones cannot log in yet: they do not count
        other, _ = await team.invite(connection, COMMAND, "b@acme.example", "", Role.ADMIN)
        with pytest.raises(Conflict):
            await team.disable(connection, COMMAND, user_id)
        await connection.execute(
            users.update().where(users.c.id == other).values(password_hash="x")
        )
        await team.disable(connection, COMMAND, user_id)


async def test_only_admins_change_the_team(db: Database) -> None:
    for role in (Role.VIEWER, Role.MEMBER):
        actor = Actor("user", "u", "u", role)
        async with db.write() as connection:
            with pytest.raises(Forbidden):
                await team.invite(connection, actor, "x@acme.example", "", Role.ADMIN)
            with pytest.raises(Forbidden):
                await tokens.create_token(connection, actor, "x", "read", None, None)


@pytest.mark.parametrize(
    "email", ["", "nonsense", "a b@acme.example", "two@x.example, three@y.example"]
)
async def test_wrong_invitations_are_said(
    db: Database, client: httpx.AsyncClient, email: str
) -> None:
    await put(db, small_world())
    answer = await client.post("/settings/team", data={"email": email, "name": "Kept"})
    assert answer.status_code == 422
    assert "no e-mail address" in answer.text
    assert 'value="Kept"' in answer.text


async def test_nobody_is_invited_twice(db: Database, client: httpx.AsyncClient) -> None:
    await put(db, small_world())
    await client.post("/settings/team", data={"email": "x@acme.example"})
    again = await client.post("/settings/team", data={"email": "X@ACME.example"})
    assert again.status_code == 409


async def test_ones_own_name_and_password(db: Database, stranger: httpx.AsyncClient) -> None:
    await put(db, small_world())
    async with db.write() as connection:
        _, link = await team.invite(connection, COMMAND, "x@acme.example", "", Role.VIEWER, [SITE])
    await stranger.post("/welcome", data={"link": link, "new": PASSWORD, "again": PASSWORD})
    page = (await stranger.get("/settings/profile")).text
    word = re.search(r'name="csrf" value="(\w+)"', page)
    assert word
    stranger.headers["X-Form-Token"] = word[1]
    assert (await stranger.post("/settings/profile", data={"name": "<b>Xe</b>"})).status_code == 303
    assert "&lt;b&gt;Xe" in (await stranger.get("/settings/profile?saved=name")).text
    new = "quite another 88 thing"
    wrong = {"old": "not it", "new": new, "again": new}
    assert (await stranger.post("/settings/password", data=wrong)).status_code == 422
    before = stranger.cookies["crispsync"]
    done = await stranger.post("/settings/password", data=wrong | {"old": PASSWORD})
    assert done.status_code == 303
    assert stranger.cookies["crispsync"] != before
    assert (await stranger.get("/settings/profile")).status_code == 200
    stranger.cookies.set("crispsync", before, "127.0.0.1")
    assert (await stranger.get("/settings/profile")).status_code == 303


async def test_tokens_are_shown_once_and_end(db: Database, client: httpx.AsyncClient) -> None:
    await put(db, [*small_world(), *small_world(OTHER_SITE, "other-")])
    data = {"name": "Warehouse", "scope": "write", "websites": SITE, "until": "2099-01-31"}
    page = (await client.post("/settings/tokens", data=data)).text
    found = re.search(r"cs_[\w-]{40,}", page)
    assert found
    token = found[0]
    listed = (await client.get("/settings/tokens")).text
    assert token not in listed
    assert token[:9] in listed
    actor = await tokens.actor_of_token(db, token)
    assert actor is not None
    assert (actor.kind, actor.name, actor.role) == ("token", "Warehouse", Role.MEMBER)
    assert actor.website_ids == frozenset({SITE})
    async with db.read() as connection:
        row = (await connection.execute(select(api_tokens))).one()
    assert token not in str(row)
    assert row.last_used_at is not None
    for nonsense in ("", "cs_", "cs_é", token + "x", token[:-1], "x" * 5000, "cs_\x00"):
        assert await tokens.actor_of_token(db, nonsense) is None
    assert (await client.post(f"/settings/tokens/{row.id}/revoke")).status_code == 303
    assert await tokens.actor_of_token(db, token) is None
    assert (await client.post(f"/settings/tokens/{row.id}/revoke")).status_code == 404


async def test_tokens_expire(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async with db.write() as connection:
        soon = clock.now() + timedelta(hours=1)
        token = await tokens.create_token(connection, COMMAND, "x", "read", None, soon)
    actor = await tokens.actor_of_token(db, token)
    assert actor is not None
    assert (actor.role, actor.website_ids) == (Role.VIEWER, None)
    later = clock.now() + timedelta(hours=1, seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert await tokens.actor_of_token(db, token) is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"name": "", "every": "yes"}, "needs a name"),
        ({"name": "x"}, "Choose the websites"),
        ({"name": "x", "every": "yes", "until": "soon"}, "A day is written like"),
        ({"name": "x", "every": "yes", "until": "2020-01-01"}, "expired already"),
    ],
)
async def test_wrong_tokens_are_said(
    db: Database, client: httpx.AsyncClient, data: dict[str, str], words: str
) -> None:
    await put(db, small_world())
    answer = await client.post("/settings/tokens", data=data)
    assert answer.status_code == 422
    assert words in answer.text
    assert "cs_" not in answer.text


async def test_the_audit_log_is_narrowed_paged_and_exported(
    db: Database, client: httpx.AsyncClient
) -> None:
    await put(db, small_world())
    ann = Actor("user", "ann-id", "=Ann", Role.MEMBER)
    async with db.write() as connection:
        for number in range(60):
            await audit(connection, ann, "contact.renamed", website_id=SITE, subject=("contact", f"c{number}"),
                        before={"name": "Old"}, after={"name": "<script>alert(1)</script>"})  # fmt: skip
        await audit(connection, COMMAND, "company.merged", website_id=OTHER_SITE)
    page = (await client.get("/settings/audit?who=ann-id")).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    assert page.count("contact.renamed</td>") == 25
    following = re.search(r'rel="next" href="([^"]+)"', page)
    assert following
    second = (await client.get(following[1].replace("&amp;", "&"))).text
    assert second.count("contact.renamed</td>") == 25
    assert "company.merged</td>" not in (await client.get(f"/settings/audit?of={SITE}")).text
    assert "company.merged</td>" in (await client.get("/settings/audit?action=company.merged")).text
    assert "Nothing fits" in (await client.get("/settings/audit?to=2001-01-01")).text
    assert "A date is written" in (await client.get("/settings/audit?from=May")).text
    answer = await client.get("/settings/audit.csv?who=ann-id")
    assert "attachment" in answer.headers["content-disposition"]
    found = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(found) == 60
    assert {row["actor_name"] for row in found} == {"'=Ann"}
    assert (await actions(db))[-1] == "audit.exported"


async def test_settings_without_any_website(db: Database, client: httpx.AsyncClient) -> None:
    for path in ("", "/profile", "/team", "/tokens", "/audit"):
        assert (await client.get(f"/settings{path}")).status_code == 200
