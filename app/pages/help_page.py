"""`/help`: the keys and the words of the pages."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from app.pages.access import viewer
from app.pages.frame import visit
from app.pages.wording import REASONS

router = APIRouter(dependencies=[Depends(viewer)])

PLACES = (
    ("o", "/", "Overview"),
    ("c", "/contacts", "Contacts"),
    ("f", "/companies", "Companies (firms)"),
    ("v", "/conversations", "Conversations"),
    ("u", "/unmatched", "Unmatched"),
    ("i", "/imports", "Imports"),
    ("s", "/syncs", "Syncs"),
    ("e", "/events", "Events"),
    ("t", "/settings", "Settings"),
)
"""After `g`: the same letters as in the navigation's data-key."""


@router.get("/help")
async def show_help(request: Request) -> Response:
    async with visit(request) as page:
        return page.show("help.html", places=PLACES, reasons=REASONS)
