from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from app.accounts.audit_entries import ORDER, Wanted, entries_query
from app.api.answers import answer
from app.api.caller import Caller, Db, Text, admin, chosen
from app.api.given import Instant
from app.api.paging import CursorText, Limit, Page, page_of
from app.api.problems import errors
from app.db.keyset import Order
from app.published.shapes import Id, Moment, Shape

router = APIRouter(prefix="/audit-log", tags=["audit log"], dependencies=[Depends(admin)])
ORDERS: Mapping[str, Order] = {"at": ORDER}
Of = Annotated[
    str | None,
    Query(
        alias="website",
        description="Left out: of every website of the token; for a token of all websites, also what "
        "is of none, as users and tokens are.",
        max_length=64,
    ),
]


class Entry(Shape):
    """What a person or a token did."""

    id: Id
    at: Moment
    website_id: str | None = Field(
        description="null: it is about no website.",
        examples=["8c842203-7ed8-4e29-a608-7cf78a7d2fcc"],
    )
    actor_kind: Literal["user", "token", "frame", "command", "system"]
    actor_id: str = Field(examples=["5c0e9a52-7f0c-4a5e-9a0e-6d8a3f0b1c2d"])
    actor_name: str = Field(examples=["mira@support.example"])
    action: str = Field(description="Noun, dot, past participle.", examples=["contact.edited"])
    subject_kind: str | None = Field(examples=["contact"])
    subject_id: str | None = Field(examples=["7d4f3f0e-5ad5-4b0c-9f0c-0d8f6d0c9b1a"])
    before: dict[str, Any] | None = Field(
        description="What changed, field by field.", examples=[{"name": "Ann"}]
    )
    after: dict[str, Any] | None = Field(examples=[{"name": "Ann Example"}])
    request_id: str | None = Field(description="As in the logs.")


class EntryPage(Page):
    data: list[Entry]


@router.get(
    "", operation_id="listAuditLog", response_model=EntryPage, responses=errors(400, 404)
)  # fmt: skip
async def list_entries(
    request: Request,
    db: Db,
    actor: Caller,
    website: Of = None,
    who: Annotated[Text, Query(description="`actor_id`.")] = None,
    action: Text = None,
    since: Annotated[Instant | None, Query(description="Included.")] = None,
    until: Annotated[Instant | None, Query(description="Not included.")] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """Newest first."""
    asked = [who, action, since and since.isoformat(), until and until.isoformat()]
    async with db.read() as connection:
        if website is not None:
            website = await chosen(connection, actor, website)
        wanted = Wanted(who, action, website, since, until)
        query = entries_query(wanted, actor.website_ids)
        scope = {"w": website, "asked": asked}
        page, following = await page_of(connection, query, ORDERS, "-at", cursor, limit, scope)
    shown = [{name: getattr(row, name) for name in Entry.model_fields} for row in page.rows]
    return answer(request, EntryPage(data=[Entry(**one) for one in shown], next_cursor=following))
