"""`/search`: the best of each kind for one text; each leads to its full list."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from app.db.words import words_of
from app.pages.access import viewer
from app.pages.frame import visit
from app.pages.marks import Marks
from app.pages.text import clean
from app.published import hits

router = APIRouter(dependencies=[Depends(viewer)])


@router.get("/search")
async def search(request: Request) -> Response:
    q = clean(request.query_params.get("q", ""))[:200].strip()
    async with visit(request) as page:
        found = await hits.find(page.connection, page.website_id, q) if q else hits.Found()
    return page.show("search.html", q=q, found=found, rows=hits.ROWS, marks=Marks(words_of(q)))
