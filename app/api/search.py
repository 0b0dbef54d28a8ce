from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, chosen
from app.api.messages import Include
from app.api.problems import errors
from app.db.base import StoredRow
from app.db.words import words_of
from app.published.excerpts import Words
from app.published.hits import KINDS, ROWS, Found, Kind, find
from app.published.shapes import Id, Moment, Shape

router = APIRouter(prefix="/search", tags=["search"])
_LONGEST = 100_000


class Hit(Shape):
    """A record that has every word; of each conversation only its newest such message."""

    kind: Literal["contact", "company", "conversation", "message"]
    id: Id = Field(description="Of the contact or company; of a message, its conversation's.")
    fingerprint: int | None = Field(None, description="Of a message.", examples=[150698569649423])
    title: str | None = Field(
        description="The name; of a conversation or message the subject.",
        examples=["Refund for order 4471"],
    )
    excerpt: str = Field(
        description="The part around the first of the words, in one line; `…` where it is cut.",
        examples=["… where is the refund for my order? …"],
    )
    private: bool = Field(False, description="A note, which only the team sees.")
    at: Moment | None = Field(
        description="Last active, last updated, or sent; null for companies.",
        examples=["2026-03-02T09:00:00.000Z"],
    )
    url: str = Field(
        description="Where the record is.",
        examples=[
            "/api/v1/conversations/7d4f3f0e-5ad5-4b0c-9f0c-0d8f6d0c9b1a/messages/150698569649423"
        ],
    )


class HitList(Shape):
    data: list[Hit]
    more: list[Kind] = Field(
        description="Kinds of which there are more: read them by `q` of their lists, messages by "
        "`/conversations?text=`.",
        examples=[["messages"]],
    )
    next_cursor: None = None


@router.get("", operation_id="search", response_model=HitList, responses=errors(404))
async def search(
    request: Request,
    db: Db,
    actor: Caller,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=200,
            pattern=r"^[^\x00]*$",
            description="Every word of it begins a word of what is found.",
        ),
    ],
    website: Asked = None,
    kinds: Annotated[list[Kind], Query(description="Left out: all.")] = [],  # noqa: B006  # FastAPI copies it
    include: Include = [],  # noqa: B006  # as above
    limit: Annotated[int, Query(ge=1, le=50, description="Rows of each kind.")] = ROWS,
) -> Response:
    """The best of each kind: contacts and conversations newest first, companies by name."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        found = await find(
            connection, website_id, q, kinds or KINDS, limit, notes="notes" in include
        )
    told = HitList(
        data=list(_hits(found, Words(words_of(q)), limit)),
        more=[kind for kind in KINDS if len(getattr(found, kind)) > limit],
    )
    return answer(request, told)


def _hits(found: Found, words: Words, limit: int) -> Iterator[Hit]:
    for kind in KINDS:
        for row in getattr(found, kind)[:limit]:
            yield _SHOWN[kind](row, words)


def _contact(row: StoredRow, words: Words) -> Hit:
    return Hit(
        kind="contact",
        id=row.id,
        title=row.name,
        excerpt=_excerpt(words, row.name, row.email),
        at=row.last_active_at,
        url=f"/api/v1/contacts/{row.id}",
    )


def _company(row: StoredRow, words: Words) -> Hit:
    return Hit(
        kind="company",
        id=row.id,
        title=row.name,
        excerpt=_excerpt(words, row.name, row.domain),
        at=None,
        url=f"/api/v1/companies/{row.id}",
    )


def _conversation(row: StoredRow, words: Words) -> Hit:
    return Hit(
        kind="conversation",
        id=row.id,
        title=row.subject,
        excerpt=_excerpt(words, row.subject, row.nickname, row.email),
        at=row.crisp_updated_at,
        url=f"/api/v1/conversations/{row.id}",
    )


def _message(row: StoredRow, words: Words) -> Hit:
    private = row.type == "note"
    url = f"/api/v1/conversations/{row.id}/messages/{row.fingerprint}"
    return Hit(
        kind="message",
        id=row.id,
        fingerprint=row.fingerprint,
        title=row.subject,
        excerpt=_excerpt(words, row.body),
        private=private,
        at=row.sent_at,
        url=f"{url}?include=notes" if private else url,
    )


_SHOWN: Mapping[Kind, Callable[[StoredRow, Words], Hit]] = {
    "contacts": _contact,
    "companies": _company,
    "conversations": _conversation,
    "messages": _message,
}


def _excerpt(words: Words, *texts: str | None) -> str:
    line = " · ".join(" ".join(text[:_LONGEST].split()) for text in texts if text)
    return words.excerpt(line).written()
