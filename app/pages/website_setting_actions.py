"""Changing what `/settings/…` shows: each is a call of the layers below, and a redirect or a sentence."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from app.contacts.remap_by_hand import save_mapping
from app.errors import CrispsyncError, NotFound, Refused
from app.pages.access import CurrentActor, admin
from app.pages.frame import Frame, database_of, visit
from app.pages.mapping_form import read_mapping
from app.pages.parts import ring_for_hooks, ring_of, uploads_of
from app.pages.security import require_own_request
from app.pages.website_settings import (
    disconnect_context,
    mapping_context,
    preferences_context,
    settings_of,
    show_connection,
    show_credential,
)
from app.privacy.website import erase_website
from app.sync.access import check_credential, opened_client
from app.sync.connection import pause_connection, resume_connection
from app.sync.runs import request_run
from app.websites.connect import disconnect, require_website_id, save_connected, verify
from app.websites.credential import FIELDS, of_environment, read_credential, store_credential
from app.websites.preferences import change_preferences, read_preferences

router = APIRouter(dependencies=[Depends(require_own_request), Depends(admin)])

Typed = Annotated[str, Form()]


async def typed_of(request: Request) -> dict[str, str]:
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


async def _frame(request: Request) -> Frame:
    async with visit(request) as page:
        return page.frame


def _id_of(frame: Frame) -> str:
    if frame.website is None:
        raise NotFound("No website is connected.")
    return str(frame.website.id)


@router.post("/settings/website")
async def save_preferences(request: Request, actor: CurrentActor) -> Response:
    frame, typed = await _frame(request), await typed_of(request)
    try:
        values = read_preferences(typed)
    except Refused as error:
        async with visit(request) as page:
            context = await preferences_context(page, trouble=error.message)
        return page.show("website_settings.html", error.http_status, **context)
    work = partial(change_preferences, actor=actor, website_id=_id_of(frame), values=values)
    await database_of(request).transact(work)
    return RedirectResponse(frame.url("/settings/website", saved=1), 303)


@router.post("/settings/mapping")
async def change_mapping_of(request: Request, actor: CurrentActor) -> Response:
    frame, typed = await _frame(request), await typed_of(request)
    try:
        chosen = read_mapping(typed)
        work = partial(save_mapping, actor=actor, website_id=_id_of(frame), chosen=chosen)
        changed = await database_of(request).transact(work)
    except Refused as error:
        async with visit(request) as page:
            context = await mapping_context(page, trouble=error.message)
        return page.show("mapping.html", error.http_status, **context)
    return RedirectResponse(frame.url("/settings/mapping", changed=str(changed)), 303)


@router.post("/settings/connection/check")
async def check(request: Request) -> Response:
    """A POST, because it costs requests."""
    return await show_connection(request, live=True)


@router.post("/settings/connection/{what}")
async def change_connection(request: Request, actor: CurrentActor, what: str) -> Response:
    frame, db = await _frame(request), database_of(request)
    website_id = _id_of(frame)
    if what == "pause":
        await pause_connection(db, actor, website_id)
    elif what == "resume":
        await resume_connection(db, actor, website_id)
        ring_for_hooks(request)
    elif what == "first-import":
        run_id = await request_run(db, website_id, "full", started_by=actor.name, actor=actor)
        await ring_of(request)()
        return RedirectResponse(frame.url(f"/syncs/{run_id}"), 303)
    else:
        raise NotFound("A connection can be paused or resumed, and its first import triggered.")
    await ring_of(request)()
    return RedirectResponse(frame.url("/settings/connection"), 303)


@router.post("/settings/connect")
async def connect_website(
    request: Request, actor: CurrentActor, website_id: Typed = ""
) -> Response:
    """Verified with Crisp first; whatever is wrong is a sentence, and nothing is saved (SPEC C3)."""
    settings, db = settings_of(request), database_of(request)
    try:
        wanted = require_website_id(website_id)
        plugin_id = (await read_credential(db, settings)).plugin_id
        async with opened_client(db, settings) as client:
            found = await verify(client, wanted, plugin_id)
    except CrispsyncError as error:
        return await show_connection(request, status=error.http_status, trouble=error.message)
    await save_connected(db, found, actor)
    return RedirectResponse(f"/settings/connection?website={found.website_id}", 303)


@router.post("/settings/disconnect")
async def disconnect_website(
    request: Request, actor: CurrentActor, what: Typed = "", name: Typed = ""
) -> Response:
    frame = await _frame(request)
    website_id = _id_of(frame)
    if what not in {"keep", "erase"}:
        raise Refused("Choose whether the data is kept or erased. Nothing was done.")
    website: Any = frame.website
    if what == "erase" and name.strip() != website.name.strip():
        async with visit(request) as page:
            context = await disconnect_context(
                page, trouble="The name was written differently, so nothing was erased."
            )
        return page.show("disconnect.html", 422, **context)
    db = database_of(request)
    if what == "erase":
        await erase_website(db, uploads_of(request).folder, website_id, actor)
        return RedirectResponse("/", 303)
    await disconnect(db, website_id, actor=actor)
    return RedirectResponse(frame.url("/settings/connection"), 303)


@router.post("/settings/credential")
async def enter_credential(request: Request, actor: CurrentActor) -> Response:
    """Asked of Crisp before it is kept; an empty field leaves what is stored as it is."""
    settings, db = settings_of(request), database_of(request)
    typed = await typed_of(request)
    fixed = of_environment(settings)
    values: dict[str, str] = {
        field: typed[field].strip()
        for field in FIELDS
        if field not in fixed and typed.get(field, "").strip()
    }
    try:
        if typed.get("forget"):
            values = {field: "" for field in FIELDS if field not in fixed}
        elif not values:
            raise Refused("Nothing was entered, so nothing was changed.")
        elif {"identifier", "key"} & values.keys():
            values |= await _checked(request, values)
        await db.transact(lambda c: store_credential(c, settings, actor, values))
    except CrispsyncError as error:
        return await show_credential(request, error.http_status, error.message)
    return RedirectResponse("/settings/credential?saved=1", 303)


async def _checked(request: Request, values: dict[str, str]) -> dict[str, str]:
    """The plugin's id, as Crisp tells it for this credential. Raises Refused, CrispError."""
    if not {"identifier", "key"} <= values.keys():
        raise Refused("Identifier and key belong together: enter both. Nothing was changed.")
    settings, db = settings_of(request), database_of(request)
    told = await check_credential(db, settings, values["identifier"], values["key"])
    if told and values.get("plugin_id", told) != told:
        raise Refused(f"Crisp says this credential is of plugin {told}. Nothing was changed.")
    return {"plugin_id": told} if told else {}
