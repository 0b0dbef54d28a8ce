"""Refreshing one contact or conversation: a POST, because it costs requests; then the page anew."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from app.errors import NotFound
from app.pages.access import CurrentActor, member
from app.pages.frame import visit
from app.pages.ids import known_id
from app.pages.parts import RefreshNow, refresh_of
from app.pages.security import require_own_request
from app.sync.refresh_now import Kind

router = APIRouter(dependencies=[Depends(require_own_request), Depends(member)])

Refresh = Annotated[RefreshNow, Depends(refresh_of)]
_KINDS: dict[str, Kind] = {"contacts": "contact", "conversations": "conversation"}


@router.post("/contacts/{row_id}/refresh")
async def refresh_contact(
    request: Request, actor: CurrentActor, refresh: Refresh, row_id: str
) -> Response:
    return await _refresh(request, actor, refresh, "contacts", row_id)


@router.post("/conversations/{row_id}/refresh")
async def refresh_conversation(
    request: Request, actor: CurrentActor, refresh: Refresh, row_id: str
) -> Response:
    return await _refresh(request, actor, refresh, "conversations", row_id)


async def _refresh(
    request: Request, actor: CurrentActor, refresh: RefreshNow, folder: str, row_id: str
) -> Response:
    # Read and closed before anything is asked of Crisp.
    async with visit(request) as page:
        frame, website_id = page.frame, page.website_id
    if not known_id(row_id):
        raise NotFound(f"There is no such {_KINDS[folder]} in this website.")
    await refresh(actor, website_id, _KINDS[folder], row_id)
    return RedirectResponse(frame.url(f"/{folder}/{row_id}", refreshed="yes"), status_code=303)
