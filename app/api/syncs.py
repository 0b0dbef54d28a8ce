from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor
from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, admin, chosen
from app.api.finding import website_with
from app.api.given import Instant
from app.api.paging import CursorText, Limit, Page, page_of
from app.api.problems import errors
from app.db.keyset import ByteOrder, Order
from app.published.shapes import Id, Moment, Shape, WebsiteId
from app.sync import runs
from app.sync.tables import sync_failures, sync_runs

router = APIRouter(prefix="/syncs", tags=["syncs"])
_r, _f = sync_runs.c, sync_failures.c
ORDERS: Mapping[str, Order] = {"created_at": Order(_r.created_at, _r.id, datetime, nullable=False)}
FAILURE_ORDERS: Mapping[str, Order] = {
    "kind": Order(ByteOrder(_f.kind), _f.external_id, str, nullable=False)
}
Kind = Literal["full", "incremental", "backfill", "audit"]
State = Literal["queued", "running", "paused", "done", "partial", "failed", "cancelled"]


class Sync(Shape):
    id: Id
    website_id: WebsiteId
    kind: Kind
    state: State
    asked: Literal["pause", "cancel"] | None = Field(description="What the worker was asked to do.")
    started_by: str = Field(examples=["Mira"])
    window_from: Moment | None
    window_to: Moment | None
    requests: int = Field(description="Requests to Crisp so far.")
    counts: dict[str, Any] = Field(
        examples=[
            {"people_done": 120, "conversations_done": 480, "messages_done": 3900, "failed": 0}
        ]
    )
    error: str | None
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    resume_at: Moment | None


class SyncPage(Page):
    data: list[Sync]


class Failure(Shape):
    """A record that could not be kept; the next run tries it again."""

    kind: str = Field(examples=["message"])
    external_id: str = Field(
        examples=["session_36ba3566-9651-4790-afc8-ffedbccc317f/150698569649423"]
    )
    reason: str = Field(examples=["its fingerprint is no 64-bit number"])
    happened_at: Moment


class FailurePage(Page):
    data: list[Failure]


class NewSync(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"kind": "incremental"}]}
    )
    kind: Literal["full", "incremental", "backfill"]
    window_from: Instant | None = Field(None, description="Of a backfill, included.")
    window_to: Instant | None = Field(None, description="Of a backfill, not included.")


async def _load(connection: AsyncConnection, actor: Actor, run_id: str) -> Sync:
    website_id = await website_with(connection, actor, sync_runs, run_id, "sync")
    query = select(*_SHOWN).where(_r.website_id == website_id, _r.id == run_id)
    return Sync(**(await connection.execute(query)).one()._asdict())


_SHOWN = [_r[name] for name in Sync.model_fields]


@router.get("", operation_id="listSyncs", response_model=SyncPage, responses=errors(400, 404))
async def list_syncs(
    request: Request,
    db: Db,
    actor: Caller,
    website: Asked = None,
    kind: Kind | None = None,
    state: State | None = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """Newest first. An audit's `counts` tell how many records were `checked`, `drifted`, `repaired`."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        query = select(*_SHOWN).where(_r.website_id == website_id)
        query = query.where(_r.kind == kind) if kind else query
        query = query.where(_r.state == state) if state else query
        scope = {"w": website_id, "k": kind, "s": state}
        page, following = await page_of(
            connection, query, ORDERS, "-created_at", cursor, limit, scope
        )
    data = [Sync(**row._asdict()) for row in page.rows]
    return answer(request, SyncPage(data=data, next_cursor=following))


@router.post(
    "", operation_id="startSync", status_code=202, response_model=Sync, responses=errors(404, 409),
    dependencies=[Depends(admin)],
)  # fmt: skip
async def start_sync(
    request: Request,
    db: Db,
    actor: Caller,
    wanted: Annotated[NewSync, Body()],
    website: Asked = None,
) -> Response:
    """Queue a run, or attach to the same one that is not finished."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
    run_id = await runs.request_run(
        db,
        website_id,
        wanted.kind,
        started_by=actor.name,
        actor=actor,
        window_from=wanted.window_from,
        window_to=wanted.window_to,
    )
    await request.app.state.whole.state.ring()
    async with db.read() as connection:
        run = await _load(connection, actor, run_id)
    return answer(request, run, 202, {"Location": f"/api/v1/syncs/{run_id}"})


class Window(BaseModel):
    model_config = ConfigDict(extra="forbid")
    window_from: Instant = Field(description="Included.", examples=["2026-01-01T00:00:00Z"])
    window_to: Instant = Field(description="Not included.", examples=["2026-02-01T00:00:00Z"])


class Cost(Shape):
    """What a backfill would cost; `at_least`: there are more conversations than could be counted."""

    conversations: int
    requests: int
    days: float = Field(description="At the share of the day's quota that a sync may use.")
    at_least: bool
    quota_used: int = Field(description="Requests to Crisp today.")
    quota_limit: int
    quota_paused_until: Moment | None


@router.post(
    "/preview", operation_id="previewBackfill", response_model=Cost, responses=errors(404, 502),
    dependencies=[Depends(admin)],
)  # fmt: skip
async def preview(
    request: Request,
    db: Db,
    actor: Caller,
    wanted: Annotated[Window, Body()],
    website: Asked = None,
) -> Response:
    """Asked of Crisp: it costs some requests."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
    state = request.app.state.whole.state
    cost = await state.preview(website_id, wanted.window_from, wanted.window_to)
    quota = await state.quota()
    told = Cost(
        conversations=cost.conversations,
        requests=cost.requests,
        days=cost.days,
        at_least=cost.at_least,
        quota_used=quota.used,
        quota_limit=quota.limit,
        quota_paused_until=quota.paused_until,
    )
    return answer(request, told)


@router.get("/{sync_id}", operation_id="getSync", response_model=Sync, responses=errors(404))
async def get_sync(request: Request, db: Db, actor: Caller, sync_id: str) -> Response:
    async with db.read() as connection:
        return answer(request, await _load(connection, actor, sync_id))


@router.get(
    "/{sync_id}/failures", operation_id="listFailuresOfSync", response_model=FailurePage,
    responses=errors(400, 404),
)  # fmt: skip
async def list_failures(
    request: Request,
    db: Db,
    actor: Caller,
    sync_id: str,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """The records that could not be kept, with the reason."""
    async with db.read() as connection:
        run = await _load(connection, actor, sync_id)
        shown = [_f[name] for name in Failure.model_fields]
        query = select(*shown).where(_f.website_id == run.website_id, _f.run_id == run.id)
        page, following = await page_of(
            connection, query, FAILURE_ORDERS, "kind", cursor, limit, {"r": run.id}
        )
    data = [Failure(**row._asdict()) for row in page.rows]
    return answer(request, FailurePage(data=data, next_cursor=following))


@router.post(
    "/{sync_id}/{what}", operation_id="changeSync", response_model=Sync,
    responses=errors(404, 409), dependencies=[Depends(admin)],
)  # fmt: skip
async def change_sync(
    request: Request,
    db: Db,
    actor: Caller,
    sync_id: str,
    what: Literal["pause", "resume", "cancel"],
) -> Response:
    """Pause, resume or cancel a run that is not finished."""
    async with db.read() as connection:
        run = await _load(connection, actor, sync_id)
    if what == "resume":
        await runs.resume(db, run.website_id, run.id, actor)
        await request.app.state.whole.state.ring()
    else:
        await runs.ask(db, run.website_id, run.id, what, actor)
    async with db.read() as connection:
        return answer(request, await _load(connection, actor, sync_id))
