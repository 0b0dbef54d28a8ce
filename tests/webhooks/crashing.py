"""The app as a web process, but it dies where the bell rings: after the commit, before the answer."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.db.session import Database
from app.main import create_app
from app.settings import get_settings

EXIT_CODE = 9


def create() -> FastAPI:
    return create_app(get_settings(), _dying)


@asynccontextmanager
async def _dying(app: FastAPI, _db: Database) -> AsyncIterator[None]:
    app.state.hook_bell = _die
    yield


def _die() -> None:
    os._exit(EXIT_CODE)
