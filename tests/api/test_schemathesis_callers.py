"""The same questions of whoever may not ask: strangers, old tokens, readers, tokens of another website (issue 4).

Schemathesis makes a few requests of each operation, allowed ones and forbidden ones, about rows that
exist; each caller sends all of them. What is refused is refused as promised, and leaves every table as
it was. The tokens are real ones, of the database.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import pytest
import requests
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from hypothesis import settings
from schemathesis.checks import CHECKS
from sqlalchemy import insert, select, update

from app import clock
from app.accounts.actors import COMMAND, Role
from app.accounts.tables import api_tokens
from app.accounts.tokens import Scope, actor_of_token, create_token, list_tokens, revoke_token
from app.api import caller
from app.api.app import mount_api
from app.companies.tables import companies
from app.db.session import Database, open_database
from app.edits.merges import merge_contacts
from app.edits.tables import remedies
from app.edits.ties import tie_domain
from app.imports.tables import imports
from app.tables import metadata
from tests.api.conftest import OTHER, by_name
from tests.api.test_schemathesis import (
    ALWAYS,
    SETTINGS,
    each_of,
    fill,
    operations_of,
    sent,
    served,
    wrong_ones,
)
from tests.ingesting import WEBSITE, Site, person
from tests.pages import rows
from tests.pages.test_every_route import calls

T = TypeVar("T")
FEW = settings(SETTINGS, max_examples=2)
# What the document cannot say of a body: of three fields, one.
GIVEN: dict[str, Any] = {"tieDomain": {"body": {"domain": "left.example", "ignore": True}}}
# These are about no website.
OF_EVERYBODY = {"listWebsites", "getSampleFile"}
NEEDS = {caller.viewer: Role.VIEWER, caller.member: Role.MEMBER, caller.admin: Role.ADMIN}
STRANGERS = (
    None,
    "",
    "cs_",
    "cs_" + "x" * 43,
    "x",
    "\u00e9",
    "Bearer",
    "cs_" + "9" * 4000,
    "a b",
    "'--",
)


@dataclass
class Asked:
    """One request of an operation. `is_right`: the document allows it."""

    case: Any
    operation: str
    role: Role
    is_right: bool


@dataclass
class Stage:
    """The API with real tokens, and the requests that everybody sends."""

    url: str
    address: str
    session: requests.Session
    tokens: dict[str, str]
    asked: list[Asked]

    def told(self, one: Asked, token: str | None) -> tuple[int, str]:
        """The status and the body of the answer, which is as the document says."""
        answer = sent(one.case, self.address, token, self.session)
        checks = CHECKS.get_by_names([*ALWAYS])
        one.case.validate_response(answer, checks=checks)
        return answer.status_code, answer.text

    def status(self, one: Asked, token: str | None) -> int:
        return self.told(one, token)[0]


def tables(url: str) -> dict[str, list[str]]:
    """Every row of every table, but when a token was last used."""

    async def read(db: Database) -> dict[str, list[str]]:
        found = {}
        async with db.read() as connection:
            for table in metadata.sorted_tables:
                columns = [c for c in table.c if c is not api_tokens.c.last_used_at]
                told = await connection.execute(select(*columns))
                found[table.name] = sorted(repr(tuple(row)) for row in told)
        return found

    return with_database(url, read)


def with_database(url: str, work: Callable[[Database], Awaitable[T]]) -> T:
    async def go() -> T:
        db = open_database(url)
        try:
            return await work(db)
        finally:
            await db.close()

    return asyncio.run(go())


async def issue_tokens(db: Database) -> dict[str, str]:
    """By what they are: each is of WEBSITE only, but `elsewhere`, which is of OTHER."""
    scopes: dict[str, tuple[Scope, str]] = {
        "read": ("read", WEBSITE), "write": ("write", WEBSITE), "elsewhere": ("write", OTHER),
        "expired": ("write", WEBSITE), "revoked": ("write", WEBSITE),
    }  # fmt: skip
    tokens = {}
    async with db.write() as connection:
        for name, (scope, website_id) in scopes.items():
            tokens[name] = await create_token(connection, COMMAND, name, scope, [website_id], None)
        ids = {row.name: row.id for row in await list_tokens(connection)}
        await revoke_token(connection, COMMAND, ids["revoked"])
        past = {"expires_at": clock.now() - timedelta(seconds=1)}
        await connection.execute(
            update(api_tokens).where(api_tokens.c.id == ids["expired"]).values(past)
        )
    return tokens


async def add_more(db: Database) -> dict[str, Any]:
    """What `fill` leaves out: an import, a hook, a merge, a remedy and a tie of WEBSITE."""
    site = Site(db)
    await site.take(person("cy", email="cy@cy.example"), person("di", email="di@di.example"))
    cy, di = [(await site.contact(name)).id for name in ("cy", "di")]
    (company,) = await site.rows(select(companies.c.id).where(companies.c.website_id == WEBSITE))
    async with db.write() as connection:
        for table, row in (
            rows.row_of(
                imports, website_id=WEBSITE, id="imp-1", state="done", mode="merge", columns=[],
                layout={"encoding": "utf-8", "separator": ",", "header": True},
            ),
            rows.inbox_event("dead", error="It cannot be applied."),
            rows.row_of(remedies, website_id=WEBSITE, id="rem-1", kind="tie", counts={}),
        ):  # fmt: skip
            await connection.execute(insert(table).values(row))
        merged = await merge_contacts(connection, WEBSITE, cy, di, None, COMMAND)
        await tie_domain(connection, WEBSITE, "tied.example", company.id, COMMAND)
    return {
        "company_id": company.id, "import_id": "imp-1", "merge_id": merged, "what": "cancel",
        "remedy_id": "rem-1", "line": 1, "target_id": "nobody",
        "event_id": rows.inbox_event("dead")[1]["id"], "domain": "tied.example",
    }  # fmt: skip


def needed_roles() -> dict[str, Role]:
    """By operation."""
    api = mount_api(FastAPI(), by_name, 1)
    found = {}
    for route in iter_route_contexts(api.routes):
        if isinstance(route.original_route, APIRoute):
            used = set(calls(route.dependant))
            needed = max(role for call, role in NEEDS.items() if call in used)
            found[str(route.original_route.operation_id)] = needed
    return found


@cache
def questions() -> list[Asked]:
    """Of each operation, made once for all databases."""
    roles = needed_roles()
    api = mount_api(FastAPI(), by_name, 1)
    asked = []
    for operation in operations_of(api.openapi()):
        name = operation.definition.raw["operationId"]
        right = operation.as_strategy(**GIVEN.get(name, {}))
        for strategy, is_right in ((right, True), (wrong_ones(operation), False)):
            cases: list[Any] = []
            each_of(strategy, cases.append, FEW)
            asked += [Asked(case, name, roles[name], is_right) for case in cases]
    assert {one.operation for one in asked} == set(roles)
    return asked


def aimed(asked: list[Asked], ids: dict[str, Any]) -> list[Asked]:
    """The allowed ones at rows of WEBSITE that exist."""
    for one in asked:
        if one.is_right:
            operation = one.case.operation
            one.case.path_parameters = {p.name: ids[p.name] for p in operation.path_parameters}
            if "website" in {p.name for p in operation.query}:
                one.case.query = {**(one.case.query or {}), "website": WEBSITE}
    return asked


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    ids = asyncio.run(fill(database_url)) | with_database(database_url, add_more)
    tokens = with_database(database_url, issue_tokens)
    with served(database_url, actor_of_token) as address, requests.Session() as session:
        yield Stage(database_url, address, session, tokens, aimed(questions(), ids))


def test_who_may_not_ask_changes_nothing(stage: Stage) -> None:
    before = tables(stage.url)
    for of_caller in (of_nobody, of_another_website, of_readers, of_writers):
        of_caller(stage)
        assert tables(stage.url) == before, of_caller.__name__
    # The same requests change something for whom they are allowed to: it is not for nothing.
    for one in stage.asked:
        if one.role is Role.MEMBER:
            assert stage.status(one, stage.tokens["write"]) not in {401, 403}, one.operation
    assert tables(stage.url) != before


def of_nobody(stage: Stage) -> None:
    garbage = itertools.cycle(STRANGERS)
    of_old = itertools.cycle(["expired", "revoked", None])
    for one in stage.asked:
        old = next(of_old)
        token = next(garbage) if old is None else stage.tokens[old]
        assert stage.status(one, token) == 401, (one.operation, old, token)


def of_another_website(stage: Stage) -> None:
    found: dict[str, set[int]] = {}
    wrong = []
    for one in stage.asked:
        status, text = stage.told(one, stage.tokens["elsewhere"])
        assert WEBSITE not in text or WEBSITE in str(one.case.query), one.operation
        if one.is_right and one.operation not in OF_EVERYBODY:
            # 422: what two fields say together is not understood, whatever it is about.
            if status not in ({403} if one.role is Role.ADMIN else {404, 422}):
                wrong.append((one.operation, status, text[:200]))
            found.setdefault(one.operation, set()).add(status)
    assert not wrong
    assert sum(422 in statuses for statuses in found.values()) <= 3


def of_readers(stage: Stage) -> None:
    """What only writers may is forbidden, whatever else is wrong but a body of no JSON; reading changes nothing."""
    wrong = []
    for one in stage.asked:
        status = stage.status(one, stage.tokens["read"])
        if one.role > Role.VIEWER:
            unreadable = isinstance(one.case.body, bytes)
            expected = {403, 422} if unreadable else {403}
        else:
            expected = {200, 400, 422} if one.is_right else {*range(200, 500)}
        if status not in expected:
            wrong.append((one.operation, status, one.case.body))
    assert not wrong


def of_writers(stage: Stage) -> None:
    for one in stage.asked:
        if one.role is Role.ADMIN:
            unreadable = isinstance(one.case.body, bytes)
            status = stage.status(one, stage.tokens["write"])
            assert status in ({403, 422} if unreadable else {403}), one.operation
