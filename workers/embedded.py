"""The web app with the jobs inside it, for when there is no Redis: one process, one SQLite file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.db.session import Database
from app.main import create_app
from app.settings import get_settings
from app.sync.worker import Worker
from workers.feed import FeedWork
from workers.hooks import HookWork
from workers.imports import ImportWork


def create() -> FastAPI:
    return create_app(get_settings(), working)


@asynccontextmanager
async def working(app: FastAPI, db: Database) -> AsyncIterator[None]:
    """Run a worker as long as the web app runs, and ring it directly."""
    worker = Worker(db, get_settings())

    async def ring() -> None:
        worker.bell.set()

    app.state.ring = ring
    hooks = HookWork(db, worker)
    app.state.hook_bell = hooks.applier.bell.set
    hooks.start()
    imports = ImportWork(db, get_settings())
    app.state.import_bell = imports.worker.bell.set
    imports.start()
    feed = FeedWork(db, get_settings())
    feed.start()
    task = asyncio.create_task(worker.work())
    try:
        yield
    finally:
        worker.stopping.set()
        await feed.stop()
        await imports.stop()
        await hooks.stop()
        await task
        await worker.close()
