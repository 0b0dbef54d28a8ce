"""The web app: what its routes need, and their routers; wiring only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from functools import partial

from fastapi import FastAPI

from app.accounts.actors import Actor
from app.accounts.tokens import actor_of_token
from app.alerts.work import alerting
from app.api.app import mount_api
from app.db.session import Database, open_database
from app.garbage import keep_what_is_loaded
from app.jobs import no_bell, ring_redis
from app.pages.parts import Uploads
from app.pages.routes import install
from app.probes.requests import install_request_ids
from app.probes.routes import install_probes, watching_the_loop
from app.settings import Settings, get_settings
from app.sync.access import opened_client
from app.sync.preview import Preview, preview_backfill
from app.sync.refresh_now import Kind, refresh_now
from app.sync.usage import QuotaState, read_quota
from app.vault.store import check_at_start
from app.webhooks.intake import opened_intake
from app.webhooks.receive import hook_routes
from app.websites.business_hours import read_hours

Alongside = Callable[[FastAPI, Database], AbstractAsyncContextManager[None]]


def create() -> FastAPI:
    """For a web process that leaves the jobs to workers (REDIS_URL is set)."""
    return create_app(get_settings())


def create_app(settings: Settings, alongside: Alongside | None = None) -> FastAPI:
    """`alongside` runs as long as the app does, as the embedded worker. Raises Refused."""
    read_hours(settings.business_hours, "UTC")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        db = open_database(settings.database_url)
        try:
            _equip(app, db, settings)
            await check_at_start(db, settings)
            async with (
                watching_the_loop(app),
                alongside(app, db) if alongside else alerting(db, settings),
                opened_intake(db, settings, partial(_ring_for_hooks, app)) as receiver,
            ):
                app.state.hook_receiver = receiver
                keep_what_is_loaded()
                yield
        finally:
            await db.close()

    app = FastAPI(
        title="crispsync", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.router.routes.extend(hook_routes())
    install_probes(app, settings)
    mount_api(app, actor_of_token, settings.api_requests_per_minute)
    install(app)
    install_request_ids(app)
    return app


def _equip(app: FastAPI, db: Database, settings: Settings) -> None:
    """What routes need besides the request."""
    app.state.db = db
    app.state.ring = partial(ring_redis, settings.redis_url) if settings.redis_url else no_bell
    app.state.quota = partial(_quota, db, settings)
    app.state.preview = partial(_preview, db, settings)
    app.state.refresh = partial(_refresh, db, settings)
    app.state.business_hours = settings.business_hours
    app.state.public_url = settings.public_url
    app.state.settings = settings
    app.state.hook_bell = _no_hook_bell
    app.state.uploads = Uploads(settings.uploads_folder, settings.import_max_mb)


def _no_hook_bell() -> None:
    """For a process that only takes hooks: whoever applies them looks every few seconds."""


def _ring_for_hooks(app: FastAPI) -> None:
    """Whoever runs alongside may put a bell of its own there."""
    app.state.hook_bell()


async def _quota(db: Database, settings: Settings) -> QuotaState:
    return await read_quota(db, settings)


async def _refresh(
    db: Database, settings: Settings, actor: Actor, website_id: str, kind: Kind, row_id: str
) -> None:
    async with opened_client(db, settings) as client:
        await refresh_now(db, client, actor, website_id, kind, row_id)


async def _preview(
    db: Database,
    settings: Settings,
    website_id: str,
    window_from: datetime,
    window_to: datetime,
) -> Preview:
    async with opened_client(db, settings) as client:
        return await preview_backfill(client, website_id, window_from, window_to)
