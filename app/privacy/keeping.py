"""What goes on by itself in every process that works: finishing erasures, dropping what is kept too long."""

from __future__ import annotations

import asyncio
from functools import partial

from app.db.session import Database
from app.db.turns import take_turn
from app.looking import look_again
from app.privacy.retention import purge
from app.privacy.sweep import is_anything_left, sweep
from app.settings import Settings

LOOK_EVERY = 5.0
SWEEP_EVERY = 60.0
"""Of several processes one sweeps, and another goes on with what it left a minute later."""
PURGE_EVERY = 3600.0


async def keep_house(db: Database, settings: Settings, stopping: asyncio.Event) -> None:
    await look_again(partial(look_once, db, settings), "privacy", LOOK_EVERY, stopping)


async def look_once(db: Database, settings: Settings) -> None:
    if await is_anything_left(db) and await take_turn(db, "sweep erased", SWEEP_EVERY):
        await sweep(db, settings.uploads_folder)
    if await take_turn(db, "purge", PURGE_EVERY):
        await purge(db, settings)
