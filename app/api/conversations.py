from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import false, select

from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, Text, chosen
from app.api.finding import load_one
from app.api.given import Instant
from app.api.messages import Include
from app.api.paging import CursorText, Limit, Page, page_of
from app.api.problems import errors
from app.conversations.tables import conversation_companies, conversations
from app.db.base import AnySelect
from app.db.keyset import Order
from app.db.words import words_of
from app.published.loading import load_conversations
from app.published.searching import has_words, says
from app.published.shapes import Conversation

router = APIRouter(prefix="/conversations", tags=["conversations"])
_c = conversations.c
ORDERS: Mapping[str, Order] = {
    "id": Order(_c.id, _c.id, str, nullable=False),
    "updated_at": Order(_c.crisp_updated_at, _c.id, datetime),
    "created_at": Order(_c.crisp_created_at, _c.id, datetime),
}
Sort = Literal["id", "updated_at", "-updated_at", "created_at", "-created_at"]
Status = Literal["pending", "unresolved", "resolved"]
Since = Annotated[
    Instant | None, Query(description="Crisp's time of the last update, this or later.")
]


Said = Annotated[
    Text,
    Query(
        description="Words of one message; of private notes with `include=notes` only. Words that very "
        "many messages have find the newest of them."
    ),
]


class ConversationPage(Page):
    data: list[Conversation]


@router.get(
    "", operation_id="listConversations", response_model=ConversationPage,
    responses=errors(400, 404),
)  # fmt: skip
async def list_conversations(
    request: Request,
    db: Db,
    actor: Caller,
    website: Asked = None,
    q: Text = None,
    status: Status | None = None,
    contact: Text = None,
    company: Text = None,
    operator: Text = None,
    origin: Text = None,
    updated_since: Since = None,
    text: Said = None,
    include: Include = [],  # noqa: B006  # FastAPI copies it
    sort: Sort = "id",
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """Live conversations. `contact`, `company`: ids. `operator`: the name it is assigned to."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        of = (contact, company, operator, origin)
        query = narrowed(live(website_id), website_id, q, status, of, updated_since)
        query = with_message(query, website_id, text, include)
        asked = [q, status, contact, company, operator, origin]
        since = updated_since.isoformat() if updated_since else None
        said = [text, include] if text is not None else None
        scope = {"w": website_id, "asked": asked, "since": since, "said": said}
        page, following = await page_of(connection, query, ORDERS, sort, cursor, limit, scope)
        ids = [row.id for row in page.rows]
        found = await load_conversations(connection, website_id, ids)
    data = [found[one] for one in ids]
    return answer(request, ConversationPage(data=data, next_cursor=following))


def live(website_id: str) -> AnySelect:
    return select(_c.id).where(_c.website_id == website_id, _c.deleted_at.is_(None))


def narrowed(
    query: AnySelect,
    website_id: str,
    q: str | None,
    status: str | None,
    of: tuple[str | None, str | None, str | None, str | None],
    updated_since: datetime | None,
) -> AnySelect:
    """What the filters of the list leave; `of`: contact, company, operator, origin."""
    contact, company, operator, origin = of
    query = has_words(query, _c.search, q)
    equal = {_c.status: status, _c.contact_id: contact, _c.assigned_to: operator}
    for column, value in {**equal, _c.origin: origin}.items():
        query = query.where(column == value) if value is not None else query
    query = _of_company(query, website_id, company)
    return query if updated_since is None else query.where(_c.crisp_updated_at >= updated_since)


def with_message(
    query: AnySelect, website_id: str, text: str | None, include: Sequence[str]
) -> AnySelect:
    """Those of which one message has every word of `text`; without any word, none."""
    if text is None:
        return query
    words = words_of(text)
    if not words:
        return query.where(false())
    return query.where(_c.id.in_(says(website_id, words, notes="notes" in include)))


def _of_company(query: AnySelect, website_id: str, company_id: str | None) -> AnySelect:
    if company_id is None:
        return query
    link = conversation_companies.c
    own = select(link.conversation_id).where(
        link.website_id == website_id, link.company_id == company_id
    )
    return query.where(_c.id.in_(own))


@router.get(
    "/{conversation_id}", operation_id="getConversation", response_model=Conversation,
    responses=errors(404),
)  # fmt: skip
async def get_conversation(
    request: Request, db: Db, actor: Caller, conversation_id: str
) -> Response:
    async with db.read() as connection:
        found = await load_one(
            connection, actor, conversations, conversation_id, "conversation", load_conversations
        )
    return answer(request, found)
