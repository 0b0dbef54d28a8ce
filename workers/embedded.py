"""The web app with the jobs inside it, for when there is no Redis: one process, one SQLite file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.db.session import Database
from app.main import create_app
from app.settings import get_settings
from workers.works import Works


def create() -> FastAPI:
    return create_app(get_settings(), working)


@asynccontextmanager
async def working(app: FastAPI, db: Database) -> AsyncIterator[None]:
    """Run all works as long as the web app runs, and ring them directly."""
    works = Works(db, get_settings())

    async def ring() -> None:
        works.worker.bell.set()

    app.state.ring = ring
    app.state.hook_bell = works.hooks.applier.bell.set
    app.state.import_bell = works.imports.worker.bell.set
    works.start()
    try:
        yield
    finally:
        await works.stop()
