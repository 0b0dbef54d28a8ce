"""Who is told when something is wrong, and what is (SPEC V9)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import ConfigDict, Field, JsonValue
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor, Forbidden
from app.alerts import hook, targets
from app.alerts.deliver import send_test
from app.alerts.tables import IS_OPEN, alerts
from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, admin, chosen, known_id
from app.api.given import Given
from app.api.paging import CursorText, Limit, Page, page_of
from app.api.problems import errors
from app.db.base import StoredRow
from app.db.keyset import Order
from app.errors import NotFound, Refused
from app.published.shapes import Id, Moment, Shape
from app.settings import Settings

_MAIL: JsonValue = {"kind": "email", "address": "mira@support.example"}
router = APIRouter(prefix="/alerts", tags=["alerts"], dependencies=[Depends(admin)])
_a = alerts.c
ORDERS: Mapping[str, Order] = {"opened_at": Order(_a.opened_at, _a.id, datetime, nullable=False)}


class Target(Shape):
    """`website_id` null: told of every website. Of an https address only the host is shown."""

    id: Id
    website_id: str | None
    kind: Literal["email", "hook"]
    address: str = Field(examples=["mira@support.example"])
    disabled: str | None = Field(description="Why nothing is sent there any more.")
    created_by: str = Field(examples=["Mira"])
    created_at: Moment


class TargetList(Shape):
    data: list[Target]
    next_cursor: None = None


class NewTarget(Given):
    """Of a website, or, without one, of all: that needs a token that sees every website."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_MAIL]})
    kind: Literal["email", "hook"]
    address: str = Field(max_length=2000)
    website_id: str | None = Field(None, max_length=64)


class MadeTarget(Target):
    secret: str | None = Field(description="Of a web hook, to check its signatures; shown once.")


class Tested(Shape):
    arrived: bool
    reason: str | None


class Alert(Shape):
    id: Id
    website_id: str | None
    cause: str = Field(examples=["hooks_not_arriving"])
    evidence: str = Field(examples=["The last hook arrived 3 hours ago."])
    opened_at: Moment
    resolved_at: Moment | None


class AlertPage(Page):
    data: list[Alert]


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.whole.state.settings
    return settings


def _may(actor: Actor, website_id: str | None) -> bool:
    """What is of every website is for tokens that see every one."""
    return actor.website_ids is None if website_id is None else actor.sees(website_id)


def _shown(row: StoredRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in Target.model_fields}


async def _target(connection: AsyncConnection, actor: Actor, target_id: str) -> StoredRow:
    """Raises NotFound."""
    row = await targets.require_target(connection, target_id) if known_id(target_id) else None
    if row is None or not _may(actor, row.website_id):
        raise NotFound("There is no such target of alerts (any more).")
    return row


@router.get("", operation_id="listAlerts", response_model=AlertPage, responses=errors(400, 404))
async def list_alerts(
    request: Request,
    db: Db,
    actor: Caller,
    website: Asked = None,
    state: Literal["open", "resolved"] | None = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """Of a website; newest first."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        query = select(*(_a[name] for name in Alert.model_fields))
        query = query.where(_a.website_id == website_id)
        if state is not None:
            query = query.where(IS_OPEN if state == "open" else _a.resolved_at.is_not(None))
        scope = {"w": website_id, "a": state or "any"}
        page, following = await page_of(
            connection, query, ORDERS, "-opened_at", cursor, limit, scope
        )
    data = [Alert(**row._asdict()) for row in page.rows]
    return answer(request, AlertPage(data=data, next_cursor=following))


@router.get(
    "/targets", operation_id="listAlertTargets", response_model=TargetList, responses=errors()
)
async def list_targets(request: Request, db: Db, actor: Caller) -> Response:
    async with db.read() as connection:
        rows = await targets.list_targets(connection)
    data = [Target.model_validate(_shown(row)) for row in rows if _may(actor, row.website_id)]
    return answer(request, TargetList(data=data))


@router.post(
    "/targets", operation_id="addAlertTarget", status_code=201, response_model=MadeTarget,
    responses=errors(404),
)  # fmt: skip
async def add(
    request: Request, db: Db, actor: Caller, wanted: Annotated[NewTarget, Body()]
) -> Response:
    """Web hooks are signed as Standard Webhooks are; the secret is in this answer only."""
    settings, website_id = _settings(request), wanted.website_id
    address = wanted.address.replace("\0", "").strip()
    if website_id is None and not _may(actor, None):
        raise Forbidden("Name the website: this token does not see every one.")
    if wanted.kind == "hook":
        await hook.check(address, private=settings.alerts_to_private)

    async def work(connection: AsyncConnection) -> MadeTarget:
        if website_id is not None:
            await chosen(connection, actor, website_id)
        secret = None
        if wanted.kind == "email":
            made = await targets.add_email(connection, actor, address, website_id)
        else:
            made, secret = await targets.add_hook(connection, actor, settings, address, website_id)
        row = await targets.require_target(connection, made)
        return MadeTarget.model_validate({**_shown(row), "secret": secret})

    return answer(request, await db.transact(work), 201)


@router.delete(
    "/targets/{target_id}", operation_id="removeAlertTarget", status_code=204,
    response_class=Response, responses=errors(404),
)  # fmt: skip
async def remove(db: Db, actor: Caller, target_id: str) -> Response:
    async def work(connection: AsyncConnection) -> None:
        await _target(connection, actor, target_id)
        await targets.remove_target(connection, actor, target_id)

    await db.transact(work)
    return Response(status_code=204)


@router.post(
    "/targets/{target_id}/enable", operation_id="enableAlertTarget", response_model=Target,
    responses=errors(404),
)  # fmt: skip
async def enable(request: Request, db: Db, actor: Caller, target_id: str) -> Response:
    """Send there again."""

    async def work(connection: AsyncConnection) -> StoredRow:
        await _target(connection, actor, target_id)
        await targets.enable_target(connection, actor, target_id)
        return await targets.require_target(connection, target_id)

    return answer(request, Target.model_validate(_shown(await db.transact(work))))


@router.post(
    "/targets/{target_id}/test", operation_id="testAlertTarget", response_model=Tested,
    responses=errors(404),
)  # fmt: skip
async def test(request: Request, db: Db, actor: Caller, target_id: str) -> Response:
    """Send something there now."""
    async with db.read() as connection:
        await _target(connection, actor, target_id)
    try:
        reason = await send_test(db, _settings(request), actor, target_id)
    except Refused as refused:
        reason = refused.message
    return answer(request, Tested(arrived=reason is None, reason=reason))
