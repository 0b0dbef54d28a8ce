"""Comparing with Crisp's list of websites, at start and every half hour, one process at a time (SPEC C4)."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from app.db.session import Database
from app.db.turns import give_turn_back, take_turn
from app.errors import CrispsyncError, Refused
from app.sync.worker import Worker
from app.websites.credential import read_credential
from app.websites.subscriptions import Compared, compare

log = structlog.get_logger(__name__)

TURN = "compare websites"
EVERY = 30 * 60.0
AT_START = 60.0
"""Several processes that start together compare once."""
AFTER_TROUBLE = 5 * 60.0
LOOK_EVERY = 20.0


async def keep_comparing(db: Database, worker: Worker, stopping: asyncio.Event) -> None:
    every = AT_START
    while not stopping.is_set():
        try:
            await compare_in_turn(db, worker, every)
        except CrispsyncError as error:
            log.warning("websites.not_compared", error=type(error).__name__)
        except Exception:  # the loop outlives whatever one look brings
            log.exception("websites.stumbled")
        every = EVERY
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY):
                await stopping.wait()


async def compare_in_turn(db: Database, worker: Worker, every: float) -> Compared | None:
    """None when it is not our turn, or there is no credential to ask with."""
    try:
        client = await worker.client()
    except Refused:
        return None
    if not await take_turn(db, TURN, every):
        return None
    try:
        plugin_id = (await read_credential(db, worker.settings)).plugin_id
        done = await compare(db, worker.settings, client, plugin_id)
    except CrispsyncError:
        await give_turn_back(db, TURN, AFTER_TROUBLE, EVERY)
        raise
    for website_id in done.appeared:
        log.info("website.appeared", website_id=website_id)
    for website_id in done.gone:
        log.info("website.gone", website_id=website_id)
    return done
