from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from sqlalchemy import func, select

from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, chosen
from app.api.conversations import ORDERS, ConversationPage, Sort, live
from app.api.paging import CursorText, Limit, page_of
from app.api.problems import errors
from app.conversations.tables import conversations
from app.published.loading import load_conversations
from app.published.shapes import Shape

router = APIRouter(prefix="/unmatched", tags=["unmatched"])
_c = conversations.c
Reason = Literal[
    "denied", "ambiguous_email", "contact_removed", "unknown_person", "unknown_email", "no_identity"
]


class ReasonCount(Shape):
    reason: Reason
    conversations: int


class ReasonCounts(Shape):
    data: list[ReasonCount]


@router.get(
    "", operation_id="listUnmatched", response_model=ConversationPage, responses=errors(400, 404)
)
async def list_unmatched(
    request: Request,
    db: Db,
    actor: Caller,
    website: Asked = None,
    reason: Reason | None = None,
    sort: Sort = "id",
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """Conversations without a contact; `link.unmatched_reason` says why."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        query = live(website_id).where(_c.unmatched_reason.is_not(None))
        if reason is not None:
            query = query.where(_c.unmatched_reason == reason)
        scope = {"w": website_id, "r": reason, "u": 1}
        page, following = await page_of(connection, query, ORDERS, sort, cursor, limit, scope)
        ids = [row.id for row in page.rows]
        found = await load_conversations(connection, website_id, ids)
    data = [found[one] for one in ids]
    return answer(request, ConversationPage(data=data, next_cursor=following))


@router.get(
    "/reasons", operation_id="countUnmatched", response_model=ReasonCounts, responses=errors(404)
)
async def count_unmatched(
    request: Request, db: Db, actor: Caller, website: Asked = None
) -> Response:
    """How many conversations have no contact, by reason."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        rows = await connection.execute(
            select(_c.unmatched_reason, func.count().label("n"))
            .where(
                _c.website_id == website_id,
                _c.unmatched_reason.is_not(None),
                _c.deleted_at.is_(None),
            )
            .group_by(_c.unmatched_reason)
            .order_by(func.count().desc(), _c.unmatched_reason)
        )
        counts = [ReasonCount(reason=row.unmatched_reason, conversations=row.n) for row in rows]
    return answer(request, ReasonCounts(data=counts))
