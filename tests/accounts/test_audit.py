"""The audit log is written in the transaction of the change: both happen, or neither (SPEC P4)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import structlog
from sqlalchemy import select

from app.accounts.actors import COMMAND, Actor, Forbidden, Role
from app.accounts.audit import audit
from app.accounts.tables import audit_log
from app.db.session import Database, open_database

HERE = "8c842203-7ed8-4e29-a608-7cf78a7d2fcc"
ELSEWHERE = "5b1c1d9e-2f0a-4f3b-8a7e-0c9d8e7f6a5b"


@pytest_asyncio.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    yield opened
    await opened.close()


async def test_an_entry_tells_who_what_when_before_and_after(db: Database) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        async with db.write() as connection:
            await audit(
                connection,
                COMMAND,
                "company.renamed",
                website_id=HERE,
                subject=("company", "c-1"),
                before={"name": "Old"},
                after={"name": "New"},
            )
    async with db.read() as connection:
        entry = (await connection.execute(select(audit_log))).one()
    assert (entry.actor_kind, entry.actor_name, entry.action) == (
        "command",
        "command line",
        "company.renamed",
    )
    assert (entry.before, entry.after, entry.request_id) == (
        {"name": "Old"},
        {"name": "New"},
        "r-1",
    )
    assert entry.at.tzinfo is not None


async def test_an_entry_goes_with_its_change(db: Database) -> None:
    async def change_that_fails() -> None:
        async with db.write() as connection:
            await audit(connection, COMMAND, "company.renamed", website_id=HERE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_that_fails()
    async with db.read() as connection:
        assert (await connection.execute(select(audit_log))).all() == []


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("needed", Role)
def test_a_role_may_do_what_the_ones_below_may(role: Role, needed: Role) -> None:
    actor = Actor("user", "u-1", "u-1", role, frozenset({HERE}))
    assert actor.may(needed, HERE) is (role >= needed)
    assert not actor.may(needed, ELSEWHERE)
    if role >= needed:
        actor.require(needed)
        return
    with pytest.raises(Forbidden, match=f"needs the role {needed.word}"):
        actor.require(needed)


def test_no_list_of_websites_means_every_website() -> None:
    assert COMMAND.may(Role.ADMIN, ELSEWHERE)
