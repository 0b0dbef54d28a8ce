"""`/settings/alerts`: who is told what is wrong, what is open, what could not be told (SPEC V9)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.alerts import hook, targets
from app.alerts.deliver import send_test
from app.alerts.mail import can_mail
from app.alerts.tables import IS_OPEN, alert_messages, alerts
from app.doctor.findings import CAUSES
from app.errors import CrispsyncError, NotFound, Refused
from app.pages.access import CurrentActor, admin
from app.pages.frame import Visit, database_of, look_in
from app.pages.ids import known_id
from app.pages.security import require_own_request
from app.pages.website_settings import settings_of

router = APIRouter(dependencies=[Depends(admin)])
changes = APIRouter(dependencies=[Depends(require_own_request), Depends(admin)])

Typed = Annotated[str, Form()]
ALERTS = "/settings/alerts"
SHOWN = 50


@router.get(ALERTS)
async def alert_settings(request: Request) -> Response:
    async with look_in(request) as page:
        return await _show(page)


@changes.post(ALERTS)
async def add(
    request: Request, actor: CurrentActor, kind: Typed = "", address: Typed = "", of: Typed = ""
) -> Response:
    """An e-mail address, or a web hook, whose secret is then shown once."""
    settings, website_id = settings_of(request), of or None
    address = address.strip()

    async def work(connection: AsyncConnection) -> str:
        if kind == "email":
            await targets.add_email(connection, actor, address, website_id)
            return ""
        return (await targets.add_hook(connection, actor, settings, address, website_id))[1]

    try:
        await _require_website(request, website_id)
        if kind not in {"email", "hook"}:
            raise Refused("Choose an e-mail address or a web hook.")
        if kind == "hook":
            await hook.check(address, private=settings.alerts_to_private)
        secret = await database_of(request).transact(work)
    except CrispsyncError as error:
        typed = {"kind": kind, "address": address[:2000], "of": of}
        async with look_in(request) as page:
            return await _show(page, typed=typed, trouble=error)
    async with look_in(request) as page:
        return await _show(page, secret=secret, good="" if secret else "Saved.")


async def _require_website(request: Request, website_id: str | None) -> None:
    async with look_in(request) as page:
        if website_id is not None and website_id not in {one.id for one in page.frame.websites}:
            raise Refused("That website is not here any more; load the page again.")


@changes.post(ALERTS + "/{target_id}/{what}")
async def change(request: Request, actor: CurrentActor, target_id: str, what: str) -> Response:
    if not known_id(target_id) or what not in {"test", "remove", "enable"}:
        raise NotFound("There is nothing like that to do with alerts.")
    db = database_of(request)
    if what == "test":
        reason = await send_test(db, settings_of(request), actor, target_id)
        async with look_in(request) as page:
            if reason is None:
                return await _show(page, good="The test was sent, and taken by the other side.")
            return await _show(page, trouble=Refused(f"The test did not arrive. {reason}"))
    act = targets.remove_target if what == "remove" else targets.enable_target
    await db.transact(lambda connection: act(connection, actor, target_id))
    return RedirectResponse(ALERTS, 303)


async def _show(
    page: Visit,
    *,
    typed: dict[str, str] | None = None,
    trouble: CrispsyncError | None = None,
    good: str = "",
    secret: str = "",
) -> Response:
    settings = settings_of(page.request)
    return page.show(
        "alerts.html",
        trouble.http_status if trouble else 200,
        targets=await targets.list_targets(page.connection),
        alerts=await _alerts(page.connection),
        failing=await _failing(page.connection),
        causes=CAUSES,
        names={website.id: website.name for website in page.frame.websites},
        can_mail=can_mail(settings),
        remind_hours=settings.alert_remind_hours,
        typed=typed or {"kind": "email", "address": "", "of": ""},
        trouble=trouble.message if trouble else "",
        good=good,
        secret=secret,
    )


async def _alerts(connection: AsyncConnection) -> list[Any]:
    """The open ones, then those that were; the newest first."""
    query = select(alerts).order_by(alerts.c.opened_at.desc())
    now = await connection.execute(query.where(IS_OPEN).limit(SHOWN))
    past = await connection.execute(query.where(alerts.c.resolved_at.is_not(None)).limit(SHOWN))
    return [*now, *past]


async def _failing(connection: AsyncConnection) -> dict[str, Any]:
    """The newest message of each target, where it did not arrive."""
    m = alert_messages.c
    columns = select(m.target_id, m.state, m.attempts, m.error, m.created_at)
    rows = (await connection.execute(columns.order_by(m.created_at.desc()).limit(500))).all()
    newest = {row.target_id: row for row in reversed(rows)}
    return {target_id: row for target_id, row in newest.items() if row.error}
