from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, chosen
from app.api.cursors import bad_cursor, seal, unseal
from app.api.finding import website_with
from app.api.paging import CursorText, Limit, Page, page_of
from app.api.problems import errors
from app.conversations.tables import conversations, messages
from app.db.base import AnySelect
from app.db.keyset import Order
from app.errors import NotFound
from app.published.loading import load_messages
from app.published.shapes import Message

router = APIRouter(tags=["messages"])
_m = messages.c
ORDERS: Mapping[str, Order] = {"sent_at": Order(_m.sent_at, _m.fingerprint, datetime)}
Include = Annotated[
    list[Literal["notes"]],
    Query(description="`notes`: private notes too, which are left out otherwise."),
]


class MessagePage(Page):
    data: list[Message]


@router.get(
    "/messages", operation_id="listMessages", response_model=MessagePage,
    responses=errors(400, 404),
)  # fmt: skip
async def list_messages(
    request: Request,
    db: Db,
    actor: Caller,
    website: Asked = None,
    include: Include = [],  # noqa: B006  # FastAPI copies it
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """All messages of a website, conversation by conversation."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        query = _wanted(website_id, include)
        keys = tuple_(_m.conversation_id, _m.fingerprint)
        if cursor is not None:
            query = query.where(keys > tuple_(*_after(cursor, website_id, include)))
        rows = await connection.execute(
            query.order_by(_m.conversation_id, _m.fingerprint).limit(limit + 1)
        )
        found = [(row.conversation_id, row.fingerprint) for row in rows]
        data = await _load(connection, website_id, found[:limit])
    following = None
    if len(found) > limit:
        following = seal(website_id, include, *found[limit - 1])
    return answer(request, MessagePage(data=data, next_cursor=following))


def _after(cursor: str, website_id: str, include: Sequence[str]) -> tuple[str, int]:
    of, with_, conversation_id, fingerprint = unseal(cursor, 4)
    good = isinstance(conversation_id, str) and isinstance(fingerprint, int)
    if not good or [of, with_] != [website_id, list(include)]:
        raise bad_cursor()
    return conversation_id, fingerprint


@router.get(
    "/conversations/{conversation_id}/messages", operation_id="listMessagesOfConversation",
    response_model=MessagePage, responses=errors(400, 404),
)  # fmt: skip
async def list_thread(
    request: Request,
    db: Db,
    actor: Caller,
    conversation_id: str,
    include: Include = [],  # noqa: B006  # FastAPI copies it
    sort: Literal["sent_at", "-sent_at"] = "sent_at",
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """The thread as it was written; `-sent_at`: newest first."""
    async with db.read() as connection:
        website_id = await website_with(
            connection, actor, conversations, conversation_id, "conversation"
        )
        query = _wanted(website_id, include).where(_m.conversation_id == conversation_id)
        scope = {"c": conversation_id, "i": include}
        page, following = await page_of(connection, query, ORDERS, sort, cursor, limit, scope)
        keys = [(row.conversation_id, row.fingerprint) for row in page.rows]
        data = await _load(connection, website_id, keys)
    return answer(request, MessagePage(data=data, next_cursor=following))


def _wanted(website_id: str, include: Sequence[str]) -> AnySelect:
    query: AnySelect = select(_m.conversation_id, _m.fingerprint).where(_m.website_id == website_id)
    return query if "notes" in include else query.where(_m.type != "note")


async def _load(
    connection: AsyncConnection, website_id: str, keys: list[tuple[str, int]]
) -> list[Message]:
    found = await load_messages(connection, website_id, keys)
    return [found[key] for key in keys]


@router.get(
    "/conversations/{conversation_id}/messages/{fingerprint}", operation_id="getMessage",
    response_model=Message, responses=errors(404),
)  # fmt: skip
async def get_message(
    request: Request,
    db: Db,
    actor: Caller,
    conversation_id: str,
    fingerprint: Annotated[int, Path(ge=-(1 << 63), lt=1 << 63)],
    include: Include = [],  # noqa: B006  # FastAPI copies it
) -> Response:
    async with db.read() as connection:
        website_id = await website_with(
            connection, actor, conversations, conversation_id, "conversation"
        )
        key = (conversation_id, fingerprint)
        found = (await load_messages(connection, website_id, [key])).get(key)
    if found is None or (found.type == "note" and "notes" not in include):
        raise NotFound("There is no message of that fingerprint in this conversation.")
    return answer(request, found)
