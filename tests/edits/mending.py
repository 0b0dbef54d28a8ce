"""For tests of remedies on a `Site` of tests/ingesting.py."""

from typing import Any

import pytest
from sqlalchemy import select

from app.companies.tables import domain_ties
from app.conversations.tables import link_decisions
from app.edits.effects import look
from app.edits.remedies import remedy
from app.edits.remedies_undo import Changed, take_remedy_back
from app.edits.wishes import Effect, Wish
from app.matching.tables import left_alone
from tests.edits.merging import MIRA, picture
from tests.ingesting import Site


async def effect(site: Site, kind: Any, **wish: Any) -> Effect:
    async with site.db.read() as connection:
        return await look(connection, site.id, Wish(kind, **wish))


async def mended(site: Site, kind: Any, digest: str | None = None, **wish: Any) -> str:
    async with site.db.write() as connection:
        return await remedy(connection, site.id, Wish(kind, **wish), digest, MIRA)


async def undone(site: Site, remedy_id: str, *, rest: bool = False) -> list[str]:
    async with site.db.write() as connection:
        return await take_remedy_back(connection, site.id, remedy_id, MIRA, rest=rest)


async def everything(site: Site) -> dict[str, Any]:
    """All that remedies may write, and what follows from it."""
    decided = await site.rows(select(link_decisions))
    ties = await site.rows(select(domain_ties))
    left = await site.rows(select(left_alone))
    rows = {
        "left": sorted(map(tuple, left)),
        "decided": sorted(map(tuple, decided)),
        "ties": sorted(map(tuple, ties), key=repr),
    }
    return rows | await picture(site)


async def refused(site: Site, remedy_id: str) -> str:
    """The sentence that taking it back is refused with; nothing may change by asking."""
    before = await everything(site)
    with pytest.raises(Changed) as refusal:
        await undone(site, remedy_id)
    assert await everything(site) == before
    return refusal.value.message
