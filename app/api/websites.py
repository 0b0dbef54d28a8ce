from __future__ import annotations

from fastapi import APIRouter, Request, Response
from sqlalchemy import select

from app.api.answers import answer
from app.api.caller import Caller, Db
from app.api.problems import errors
from app.errors import NotFound
from app.published.shapes import Shape, Website
from app.websites.tables import websites

router = APIRouter(prefix="/websites", tags=["websites"])
_SHOWN = [websites.c[name] for name in Website.model_fields]


class WebsiteList(Shape):
    data: list[Website]
    next_cursor: None = None


@router.get("", operation_id="listWebsites", response_model=WebsiteList, responses=errors())
async def list_websites(request: Request, db: Db, actor: Caller) -> Response:
    """The websites that this token may see."""
    async with db.read() as connection:
        rows = await connection.execute(
            select(*_SHOWN).order_by(websites.c.connected_at, websites.c.id)
        )
        seen = [Website(**row._asdict()) for row in rows if actor.sees(row.id)]
    return answer(request, WebsiteList(data=seen))


@router.get(
    "/{website_id}", operation_id="getWebsite", response_model=Website, responses=errors(404)
)
async def get_website(request: Request, db: Db, actor: Caller, website_id: str) -> Response:
    async with db.read() as connection:
        query = select(*_SHOWN).where(websites.c.id == website_id.replace("\0", ""))
        row = (await connection.execute(query)).one_or_none() if actor.sees(website_id) else None
    if row is None:
        raise NotFound("There is no website of that id here.")
    return answer(request, Website(**row._asdict()))
