from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import exists, select

from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, Text, chosen
from app.api.finding import load_one
from app.api.paging import CursorText, Limit, Page, page_of
from app.api.problems import errors
from app.companies.tables import contact_companies
from app.contacts.tables import contact_emails, contacts
from app.db.base import AnySelect
from app.db.json_texts import has_text
from app.db.keyset import Order
from app.normal import normal_address
from app.published.loading import load_contacts
from app.published.searching import has_words
from app.published.shapes import Contact

router = APIRouter(prefix="/contacts", tags=["contacts"])
_c = contacts.c
ORDERS: Mapping[str, Order] = {
    "id": Order(_c.id, _c.id, str, nullable=False),
    "last_active_at": Order(_c.last_active_at, _c.id, datetime),
    "signed_up_at": Order(_c.signed_up_at, _c.id, datetime),
}
Sort = Literal["id", "last_active_at", "-last_active_at", "signed_up_at", "-signed_up_at"]
Source = Literal["crisp", "csv", "api", "manual"]
Deleted = Annotated[
    Literal["no", "yes", "any"], Query(description="Contacts that were removed, or hidden.")
]


class ContactPage(Page):
    data: list[Contact]


@router.get("", operation_id="listContacts", response_model=ContactPage, responses=errors(400, 404))
async def list_contacts(
    request: Request,
    db: Db,
    actor: Caller,
    website: Asked = None,
    q: Text = None,
    email: Text = None,
    company: Text = None,
    source: Source | None = None,
    segment: Text = None,
    deleted: Deleted = "no",
    sort: Sort = "id",
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """`q`: words of names, addresses, phone numbers. `email`: any address of the contact, exactly.
    `company`: the id of a company that it belongs to now. `segment`: its name, exactly.
    """
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        query = select(_c.id).where(_c.website_id == website_id)
        asked = (q, email, company, source, segment, deleted)
        query = narrowed(query, *asked)
        scope = {"w": website_id, "asked": list(asked)}
        page, following = await page_of(connection, query, ORDERS, sort, cursor, limit, scope)
        ids = [row.id for row in page.rows]
        found = await load_contacts(connection, website_id, ids)
    return answer(request, ContactPage(data=[found[one] for one in ids], next_cursor=following))


def narrowed(
    query: AnySelect,
    q: str | None,
    email: str | None,
    company: str | None,
    source: str | None,
    segment: str | None,
    deleted: str,
) -> AnySelect:
    """What the filters of the list leave."""
    query = _with_address(has_words(_with_company(query, company), _c.search, q), email)
    if segment is not None:
        query = query.where(has_text(_c.segments, segment))
    if source is not None:
        query = query.where(_c.source == source)
    if deleted != "any":
        query = query.where(
            _c.deleted_at.is_(None) if deleted == "no" else _c.deleted_at.is_not(None)
        )
    return query


def _with_company(query: AnySelect, company_id: str | None) -> AnySelect:
    if company_id is None:
        return query
    link = contact_companies.c
    same = (link.website_id == _c.website_id, link.contact_id == _c.id)
    return query.where(exists().where(*same, link.company_id == company_id, link.until.is_(None)))


def _with_address(query: AnySelect, email: str | None) -> AnySelect:
    if email is None:
        return query
    held = contact_emails.c
    same = (held.website_id == _c.website_id, held.contact_id == _c.id)
    return query.where(exists().where(*same, held.email_norm == (normal_address(email) or "")))


@router.get(
    "/{contact_id}", operation_id="getContact", response_model=Contact, responses=errors(404)
)
async def get_contact(request: Request, db: Db, actor: Caller, contact_id: str) -> Response:
    async with db.read() as connection:
        found = await load_one(connection, actor, contacts, contact_id, "contact", load_contacts)
    return answer(request, found)
