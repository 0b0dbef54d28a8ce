"""The address of an export, passed on: who may not see the list gets nothing of it (FAILURES case 102)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import delete, insert, update

from app.accounts.actors import COMMAND, Role
from app.accounts.audit import audit
from app.accounts.sessions import end_sessions_of_user
from app.accounts.tables import website_grants
from app.companies.tables import companies
from app.contacts.tables import contacts
from app.conversations.tables import conversations
from app.imports.tables import import_rows, imports
from tests.fixtures.people import Carried, log_in_as
from tests.pages.rows import OTHER_SITE, SITE, row_of
from tests.pages.test_every_route import Crawled, crawling

pytestmark = pytest.mark.asyncio

MARK = "zqx-exported"
SAME_FOR_EVERYBODY = "/imports/sample.csv"


@asynccontextmanager
async def exporting(url: str) -> AsyncIterator[tuple[Crawled, list[str]]]:
    """Every address of the app that gives a file, each with something of SITE in it."""
    async with crawling(url) as crawled:
        async with crawled.db.write() as connection:
            for table, column in (
                (contacts, "name"), (companies, "name"), (conversations, "subject"),
            ):  # fmt: skip
                await connection.execute(
                    update(table).where(table.c.website_id == SITE).values({column: MARK})
                )
            await audit(connection, COMMAND, "contact.edited", website_id=SITE, after={"n": MARK})
            await connection.execute(
                update(imports)
                .where(imports.c.website_id == SITE)
                .values(columns=[{"column": "email"}])
            )
            _, row = row_of(
                import_rows, website_id=SITE, import_id="sheet", line=2, outcome="error", state="planned",
                cells=[MARK], problems=[{"code": "x", "column": 0, "value": MARK, "reason": "r",
                                         "suggestion": ""}],
            )  # fmt: skip
            await connection.execute(insert(import_rows).values(row))
        files = [way for way in crawled.guarded if way.path.endswith(".csv") and not way.changes]
        links = [crawled.filled(way) for way in files if way.path != SAME_FOR_EVERYBODY]
        yield crawled, [f"{link}?website={SITE}" for link in links]


async def given(crawled: Crawled, carried: Carried | None, link: str) -> tuple[int, str]:
    crawled.as_(carried)
    answer = await crawled.client.get(link)
    return answer.status_code, answer.text


async def test_case_102_an_export_link_that_is_passed_on(database_url: str) -> None:
    async with exporting(database_url) as (crawled, links):
        owner = await log_in_as(crawled.db, Role.ADMIN)
        others = [
            await log_in_as(crawled.db, role, sites)
            for role in (Role.VIEWER, Role.MEMBER)
            for sites in ([OTHER_SITE], [])
        ]
        assert len(links) >= 6
        for link in links:
            status, text = await given(crawled, owner, link)
            # Of figures there are none here: nobody wrote lately.
            assert (status, MARK in text or link.startswith("/insights")) == (200, True), link
            for carried in (*others, None):
                status, text = await given(crawled, carried, link)
                assert MARK not in text, link
            assert (status, text) == (303, ""), link


async def test_case_102_a_link_of_somebody_who_may_no_longer(database_url: str) -> None:
    """The right is looked up at each download: a link is no key, and keeps nothing open."""
    async with exporting(database_url) as (crawled, links):
        carried = await log_in_as(crawled.db, Role.MEMBER, [SITE])
        seen = [link for link in links if MARK in (await given(crawled, carried, link))[1]]
        assert len(seen) >= 4
        async with crawled.db.write() as connection:
            await connection.execute(
                delete(website_grants).where(website_grants.c.user_id == carried.user_id)
            )
        for link in seen:
            assert MARK not in (await given(crawled, carried, link))[1], link
        async with crawled.db.write() as connection:
            await end_sessions_of_user(connection, carried.user_id)
        for link in seen:
            assert await given(crawled, carried, link) == (303, ""), link
