"""`/unmatched`: conversations without a contact, in groups that are settled one by one or as a whole."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from app.db.keyset import read_cursor
from app.edits.ties import require_domain
from app.edits.wishes import NO_ADDRESS
from app.errors import NotFound
from app.matching.rules import REASONS
from app.pages import queries_remedies, remedy_words
from app.pages import queries_unmatched as queries
from app.pages.access import viewer
from app.pages.frame import visit
from app.pages.ids import known_id
from app.pages.text import clean

router = APIRouter(dependencies=[Depends(viewer)])

ROWS = 50


@router.get("/unmatched")
async def unmatched(request: Request) -> Response:
    async with visit(request) as page:
        connection, website_id = page.connection, page.website_id
        groups, settled = await queries.read_groups(connection, website_id)
        latest = await queries_remedies.latest_remedies(
            connection, website_id, queries_remedies.LATEST
        )
    done_id = request.query_params.get("done", "")
    return page.show(
        "unmatched.html",
        groups=groups,
        settled=settled,
        latest=latest,
        just_done=next((row for row in latest if row.id == done_id and not row.undone_at), None),
        words=remedy_words,
    )


@router.get("/unmatched/group")
async def group(request: Request, reason: str = "", domain: str = "") -> Response:
    """`domain`: `-` for those without an address; left out: whatever the address."""
    async with visit(request) as page:
        if reason not in REASONS:
            raise NotFound("There is no such group of conversations.")
        own = domain if domain in {"", NO_ADDRESS} else require_domain(clean(domain))
        found = (reason, own or None)
        cursor = read_cursor(request.query_params.get("cursor", ""), queries.PLACES)
        rows = await queries.read_group(page.connection, page.website_id, found, cursor, ROWS)
        count = await queries.count_group(page.connection, page.website_id, *found)
        done_id = request.query_params.get("done", "")
        just_done = None
        if known_id(done_id):
            just_done = await queries_remedies.get_remedy(page.connection, page.website_id, done_id)
    return page.show(
        "unmatched_group.html",
        reason=reason,
        domain=own,
        params={"reason": reason, "domain": own},
        title=remedy_words.group_title(*found),
        rows=rows,
        count=count,
        kinds=remedy_words.offered(*found),
        words=remedy_words,
        just_done=just_done if just_done is not None and not just_done.undone_at else None,
    )
