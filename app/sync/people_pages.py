"""Pages of people: asking for one, and keeping what it brought."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from app import clock
from app.crisp import translate
from app.crisp.client import refuse_path_part
from app.crisp.errors import CrispError, Gone
from app.crisp.paging import PER_PAGE, Fetch, Page, end_when_gone, end_when_refused
from app.records import Batch, ContactRecord, Rejected
from app.sync.pull import Pull, Step, split_rejected


def fetch_people(pull: Pull, from_ms: int | None, to_ms: int | None) -> Fetch:
    params: dict[str, str | int] = {
        "per_page": PER_PAGE,
        "sort_field": "created_at",
        "sort_order": "descending",
    }
    if from_ms:
        params["filter_date_start"] = clock.iso_ms(from_ms)
    if to_ms:
        params["filter_date_end"] = clock.iso_ms(to_ms)
    fetch = end_when_gone(lambda number: pull.get_page("people/profiles", number, params))
    return end_when_refused(fetch)


async def save_people(
    pull: Pull,
    page: Page,
    *also: Step,
    direct: bool = False,
    checkpoint: Mapping[str, Any] | None = None,
    counted: int | None = None,
) -> None:
    """`counted` where a page's rows do not all count, or do not count for the first time."""
    records, rejected = split_rejected(
        [translate.contact(item, page.asked_ms, direct=direct) for item in page.items]
    )
    if pull.rules.import_custom_data:
        records, failed = await _with_custom_data(pull, records)
        rejected += failed
    await pull.save(
        Batch(pull.website_id, contacts=records),
        *also,
        rejected=rejected,
        checkpoint=checkpoint,
        counts={"people_done": len(records) if counted is None else counted},
    )


async def _with_custom_data(
    pull: Pull, records: list[ContactRecord]
) -> tuple[list[ContactRecord], list[Rejected]]:
    """One request a person, so only where it is switched on (SPEC C6)."""

    async def one(record: ContactRecord) -> ContactRecord | Rejected:
        try:
            answer = await pull.get(f"people/data/{refuse_path_part(record.people_id)}")
        except Gone:
            return record
        except CrispError as error:
            if error.reason or error.status:
                return Rejected("contact", record.people_id, error.message)
            raise
        data = translate.custom_data(answer.data)
        return ContactRecord(
            record.people_id, record.fields, record.raw, record.version, record.segments, data
        )

    return split_rejected(await asyncio.gather(*(one(record) for record in records)))
