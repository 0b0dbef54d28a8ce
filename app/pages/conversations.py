"""`/conversations` and one conversation with its thread."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from app import clock
from app.accounts.saved_views import views_of
from app.conversations.tables import conversations as table
from app.db.keyset import Cursor, read_cursor
from app.db.together import ask_together
from app.edits.wishes import NO_ADDRESS
from app.errors import NotFound
from app.pages import queries_conversation as one
from app.pages import queries_conversations as many
from app.pages import remedy_words
from app.pages.access import CurrentActor, viewer
from app.pages.facts import session_facts, texts
from app.pages.frame import Visit, visit
from app.pages.ids import known_id
from app.pages.listing import Asked, read_day, read_listing
from app.pages.thread import thread_of
from app.pages.why import why_of
from app.pages.wording import visitor_name
from app.sync.refresh_now import cost_of_conversation

router = APIRouter(dependencies=[Depends(viewer)])

OTHERS_SHOWN = 6
CRISP_INBOX = "https://app.crisp.chat/website/{website}/inbox/{session}/"


@router.get("/conversations")
async def conversation_list(request: Request, actor: CurrentActor) -> Response:
    asked = asked_of(request.query_params)
    async with visit(request) as page:
        found = await many.list_conversations(
            page.connection, page.website_id, asked, page.frame.moments
        )
        views = await views_of(page.connection, actor, page.website_id, "conversations")
    return page.show(
        "conversations.html",
        asked=asked,
        sorts=many.SORTS,
        params=asked.params(many.DEFAULT_SORT),
        views=views,
        found=found,
    )


def asked_of(params: Mapping[str, str]) -> Asked:
    asked = read_listing(params, many.SORTS, many.DEFAULT_SORT, many.FILTERS)
    for name in ("from", "to"):
        if name in asked.chosen and read_day(asked.chosen[name]) is None:
            asked.notices.append("A date is written like 2026-01-31; that one is left out.")
            asked = asked.without(name)
    return asked


@router.get("/conversations/{conversation_id}")
async def conversation(request: Request, conversation_id: str) -> Response:
    async with visit(request) as page:
        row = await _require(page, conversation_id)
        context = await _beside(page, row)
        text = request.query_params.get("at", "")
        cursor = await _place(page, row.id, text)
        thread = await one.read_thread(page.connection, page.website_id, row.id, cursor)
    name = visitor_name(row)
    return page.show(
        "conversation.html",
        row=row,
        name=name,
        why=why_of(row),
        facts=session_facts(row.metadata),
        days=thread_of(thread.rows[::-1], page.frame.moments, name, row.origin),
        thread=thread,
        contact_segments=texts(row.contact_segments),
        observed_at=clock.from_ms(row.observed_ms),
        hooked_at=_told_since(row),
        lost_place=bool(text) and cursor is None,
        waiting_since=None if cursor else waiting_since(row, thread.rows),
        cost=cost_of_conversation(complete=row.messages_complete, messages=row.message_count),
        refreshed="refreshed" in request.query_params,
        remedies=_remedies(row),
        remedy_words=remedy_words,
        in_crisp=CRISP_INBOX.format(website=page.website_id, session=row.session_id),
        **context,
    )


def _remedies(row: Any) -> list[str]:
    """What mends it besides linking it, which has a form of its own."""
    if row.contact_id or row.deleted_at:
        return []
    domain = (row.email or "").strip().rpartition("@")[2].lower() or NO_ADDRESS
    return [kind for kind in remedy_words.offered(row.unmatched_reason, domain) if kind != "link"]


async def _place(page: Visit, conversation_id: str, text: str) -> Cursor | None:
    """`text` is a message's fingerprint, or a place that this page wrote itself."""
    if re.fullmatch(r"-?\d{1,18}", text):
        return await one.place_of(page.connection, page.website_id, conversation_id, int(text))
    return read_cursor(text, one.THREAD_ORDER)


def waiting_since(row: Any, newest_first: Sequence[Any]) -> datetime | None:
    """When the visitor last wrote, if nobody answered that yet (SPEC V8, waiting)."""
    if row.status == "resolved" or row.deleted_at:
        return None
    for message in newest_first:
        if message.direction != "internal" and not message.automated and not message.deleted_at:
            asked: datetime | None = message.sent_at
            return asked if message.direction == "inbound" else None
    return None


def _told_since(row: Any) -> datetime | None:
    """When a hook last told something that no answer of Crisp has shown yet."""
    told_at: datetime | None = row.crisp_updated_at
    if told_at is None or clock.to_ms(told_at) <= max(row.version_ms, row.observed_ms):
        return None
    return told_at


async def _require(page: Visit, conversation_id: str) -> Any:
    row = None
    if known_id(conversation_id):
        row = await one.get_conversation(page.connection, page.website_id, conversation_id)
    if row is None:
        raise NotFound("There is no such conversation in this website.")
    return row


async def _beside(page: Visit, row: Any) -> dict[str, Any]:
    connection, website_id = page.connection, page.website_id
    owners, memberships, decisions = await ask_together(
        connection,
        many.companies_query(website_id, [row.id]),
        one.memberships_query(website_id, row.contact_id or ""),
        one.decisions_query(website_id, row.id),
    )
    others: Sequence[Any] = ()
    if row.contact_id:
        same = (table.c.contact_id == row.contact_id, table.c.id != row.id)
        others = await many.newest_few(connection, website_id, same, OTHERS_SHOWN + 1)
    return {
        "owners": owners,
        "others": others,
        "memberships": memberships,
        "decisions": decisions,
        "neighbours": await one.neighbours(connection, website_id, row),
    }
