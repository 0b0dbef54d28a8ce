"""A person's word about whose a conversation is (SPEC M6), and asking Crisp for one record again (V1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Path, Request, Response
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor
from app.api.answers import IfMatch, answer, require_match
from app.api.caller import Caller, Db, member
from app.api.finding import load_one, website_with
from app.api.given import ID, Given
from app.api.problems import errors
from app.contacts.tables import contacts
from app.conversations.tables import conversations, link_decisions
from app.db.session import Database
from app.edits.links import Decision, decide_link, take_link_back
from app.published.loading import load_contacts, load_conversations
from app.published.shapes import Contact, Conversation, Id, Moment, Shape
from app.websites.rules import lock_website

router = APIRouter()
_d = link_decisions.c


class Word(Given):
    contact_id: str = Field(pattern=ID, examples=["7d4f3f0e-5ad5-4b0c-9f0c-0d8f6d0c9b1a"])
    decision: Decision = Field(
        description="`pin`: it is this contact's, and moves there; `deny`: it is not.",
        examples=["pin"],
    )


class Decided(Shape):
    contact_id: Id
    decision: Literal["pin", "deny"]
    decided_by: str = Field(examples=["mira@support.example"])
    decided_at: Moment


class DecidedList(Shape):
    data: list[Decided]


Work = Callable[[AsyncConnection, str], Awaitable[None]]


async def _changed(
    db: Database, actor: Actor, conversation_id: str, seen: str | None, work: Work
) -> Conversation:
    async def whole(connection: AsyncConnection) -> Conversation:
        found = (connection, actor, conversations, conversation_id, "conversation")
        website_id = await website_with(*found)
        await lock_website(connection, website_id)
        require_match(seen, await load_one(*found, load_conversations))
        await work(connection, website_id)
        return await load_one(*found, load_conversations)

    return await db.transact(whole)


@router.post(
    "/conversations/{conversation_id}/link", operation_id="decideLink",
    response_model=Conversation, responses=errors(404, 412), tags=["conversations"],
    dependencies=[Depends(member)],
)  # fmt: skip
async def decide(
    request: Request,
    db: Db,
    actor: Caller,
    conversation_id: str,
    wanted: Annotated[Word, Body()],
    if_match: IfMatch = None,
) -> Response:
    """No rule overrides it, and no sync. A pin moves the conversation, whoever it was of before."""

    async def work(connection: AsyncConnection, website_id: str) -> None:
        pair = (conversation_id, wanted.contact_id)
        await decide_link(connection, website_id, *pair, wanted.decision, actor)

    return answer(request, await _changed(db, actor, conversation_id, if_match, work))


@router.delete(
    "/conversations/{conversation_id}/link/{contact_id}", operation_id="takeLinkBack",
    response_model=Conversation, responses=errors(404, 412), tags=["conversations"],
    dependencies=[Depends(member)],
)  # fmt: skip
async def take_back(
    request: Request,
    db: Db,
    actor: Caller,
    conversation_id: str,
    contact_id: Annotated[str, Path(pattern=ID)],
    if_match: IfMatch = None,
) -> Response:
    """What was pinned or denied is not any more: the rules decide again about this contact."""

    async def work(connection: AsyncConnection, website_id: str) -> None:
        await take_link_back(connection, website_id, conversation_id, contact_id, actor)

    return answer(request, await _changed(db, actor, conversation_id, if_match, work))


@router.get(
    "/conversations/{conversation_id}/decisions", operation_id="listDecisions",
    response_model=DecidedList, responses=errors(404), tags=["conversations"],
)  # fmt: skip
async def list_decisions(request: Request, db: Db, actor: Caller, conversation_id: str) -> Response:
    """What people said about whose it is."""
    async with db.read() as connection:
        website_id = await website_with(
            connection, actor, conversations, conversation_id, "conversation"
        )
        shown = [_d[name] for name in Decided.model_fields]
        query = select(*shown).where(
            _d.website_id == website_id, _d.conversation_id == conversation_id
        )
        rows = await connection.execute(query.order_by(_d.decided_at, _d.contact_id))
        data = [Decided(**row._asdict()) for row in rows]
    return answer(request, DecidedList(data=data))


@router.post(
    "/conversations/{conversation_id}/refresh", operation_id="refreshConversation",
    response_model=Conversation, responses=errors(404, 409, 502), tags=["conversations"],
    dependencies=[Depends(member)],
)  # fmt: skip
async def refresh_conversation(
    request: Request, db: Db, actor: Caller, conversation_id: str
) -> Response:
    """Ask Crisp for it and its messages now. It costs requests, out of those kept for people."""
    of = (conversations, conversation_id, "conversation")
    return answer(request, await _refreshed(request, db, actor, *of, load_conversations))


@router.post(
    "/contacts/{contact_id}/refresh", operation_id="refreshContact", response_model=Contact,
    responses=errors(404, 409, 502), tags=["contacts"], dependencies=[Depends(member)],
)  # fmt: skip
async def refresh_contact(request: Request, db: Db, actor: Caller, contact_id: str) -> Response:
    """Ask Crisp for it now. It costs requests, out of those kept for people."""
    of = (contacts, contact_id, "contact")
    return answer(request, await _refreshed(request, db, actor, *of, load_contacts))


async def _refreshed(
    request: Request, db: Database, actor: Actor, table: Any, own_id: str, kind: str, load: Any
) -> Any:
    async with db.read() as connection:
        website_id = await website_with(connection, actor, table, own_id, kind)
    await request.app.state.whole.state.refresh(actor, website_id, kind, own_id)
    async with db.read() as connection:
        return await load_one(connection, actor, table, own_id, kind, load)
