"""`/unmatched`: conversations without a contact, in groups with one reason and one remedy each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from app.pages import queries_unmatched as queries
from app.pages.access import viewer
from app.pages.frame import visit

router = APIRouter(dependencies=[Depends(viewer)])

DOMAINS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Group:
    """One reason; `domains` the largest of its domains, `rest` how many conversations the others have."""

    reason: str
    count: int
    latest: Any
    domains: list[Any]
    rest: int


@router.get("/unmatched")
async def unmatched(request: Request) -> Response:
    async with visit(request) as page:
        reasons = await queries.by_reason(page.connection, page.website_id)
        domains = await queries.by_domain(page.connection, page.website_id)
    return page.show("unmatched.html", groups=groups_of(reasons, domains))


def groups_of(reasons: Sequence[Any], domains: Sequence[Any]) -> list[Group]:
    groups = []
    for reason in reasons:
        own = [d for d in domains if d.reason == reason.reason and d.domain][:DOMAINS_SHOWN]
        rest = reason.n - sum(domain.n for domain in own)
        groups.append(Group(reason.reason, reason.n, reason.latest, own, rest))
    return groups
