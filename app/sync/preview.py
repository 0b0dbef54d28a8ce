"""What a backfill would cost, before it is started (SPEC S3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app import clock
from app.crisp.client import CrispClient
from app.crisp.errors import Permanent
from app.crisp.paging import PER_PAGE, Page, find_last_page, page_of
from app.errors import Refused


@dataclass(frozen=True, slots=True)
class Preview:
    """`conversations` is a lower bound when `at_least`: Crisp refused pages that deep. `days` at the
    share of the day's quota that a sync may use.
    """

    conversations: int
    requests: int
    days: float
    at_least: bool


async def preview_backfill(
    client: CrispClient, website_id: str, window_from: datetime, window_to: datetime
) -> Preview:
    """Ask Crisp how many conversations were last updated in the window. Raises CrispsyncError."""
    if window_from >= window_to:
        raise Refused("A backfill goes from an earlier to a later date: from is not before to.")
    params: dict[str, str | int] = {
        "per_page": PER_PAGE,
        "include_empty": 1,
        "order_date_updated": 1,
        "filter_date_start": clock.iso_ms(clock.to_ms(window_from)),
        "filter_date_end": clock.iso_ms(clock.to_ms(window_to) - 1),
    }
    refused = False

    async def fetch(number: int) -> Page:
        nonlocal refused
        try:
            answer = await client.get(
                f"website/{website_id}/conversations/{number}",
                params,
                website_id=website_id,
                purpose="interactive",
            )
        except Permanent:
            if number == 1:
                raise
            refused = True
            return Page(number, [], more=False, asked_ms=0)
        return page_of(number, answer)

    last = await find_last_page(fetch)
    count = (last.number - 1) * PER_PAGE + len(last.items)
    requests = count + last.number
    share = client.budget.limit * 0.8
    return Preview(count, requests, requests / max(1.0, share), refused)
