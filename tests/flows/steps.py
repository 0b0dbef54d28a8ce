"""Steps that several of these stories take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import stamina
from sqlalchemy import update

from app.clock import EPOCH
from app.sandbox.counters import Asked
from app.sandbox.faults import Fault
from app.sandbox.world import World
from app.sync.leases import Claim
from app.sync.pull import Pull
from app.sync.tables import sync_runs
from app.websites.rules import require_website, rules_of
from tests.pulling import Crispsync

CONVERSATIONS = "/website/{website_id}/conversations/{page}"
PEOPLE = "/website/{website_id}/people/profiles/{page}"
MESSAGES = "/website/{website_id}/conversation/{session_id}/messages"
CONVERSATION = "/website/{website_id}/conversation/{session_id}"
MESSAGE = "/website/{website_id}/conversation/{session_id}/message/{fingerprint}"
PROFILE = "/website/{website_id}/people/profile/{people_id}"
PEOPLE_DATA = "/website/{website_id}/people/data/{people_id}"


@contextmanager
def retries_without_waiting() -> Iterator[None]:
    """As many tries as ever, with no pause between them."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@contextmanager
def before_answers(world: World, route: str, action: Callable[[str], None]) -> Iterator[None]:
    """Something happens in Crisp just before each answer of this route; it is told the address."""
    strike = world.faults.strike

    def act(template: str, target: str) -> dict[str, Fault]:
        if template == route:
            action(target)
        return strike(template, target)

    with patch.object(world.faults, "strike", act):
        yield


async def until(condition: Callable[[], Any], seconds: float = 30) -> None:
    """Wait for what another process or task does; fails when it does not happen."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def pull_of(crisp: Crispsync, held: Claim) -> Pull:
    """A run at work, to take its steps one by one."""
    async with crisp.db.read() as connection:
        rules = await rules_of(connection, held.website_id)
        website = await require_website(connection, held.website_id)
    return Pull(crisp.db, crisp.client, held, rules, website)


async def end_pause(crisp: Crispsync) -> None:
    """As if the time until the parked run goes on had passed."""
    async with crisp.db.write() as connection:
        await connection.execute(
            update(sync_runs).where(sync_runs.c.resume_at.is_not(None)).values(resume_at=EPOCH)
        )


async def website_row(crisp: Crispsync) -> Any:
    async with crisp.db.read() as connection:
        return await require_website(connection, crisp.website_id)


def asked(crisp: Crispsync, route: str) -> int:
    """How many requests the sandbox got for a route since its counters were reset."""
    return int(crisp.world.counters.by_route[route])


def asked_for(crisp: Crispsync, route: str) -> list[Asked]:
    """The same, one by one; `world.counters.keep_log` must be on."""
    return [one for one in crisp.world.counters.log if one.route == route]
