"""Whatever profiles came and whatever was merged: it can be taken back, and both databases agree (SPEC D6)."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from app.accounts.tables import audit_log
from app.companies.tables import companies
from app.contacts.tables import contacts
from app.edits.journal import Kind
from app.errors import Refused
from app.matching.tables import merges
from tests.edits.merging import PICTURED, merged, picture, taken_back
from tests.ingesting import Site, connected, person, talk

FEW = settings(
    max_examples=5,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NAMES = st.sampled_from("abcd")
PROFILES = st.tuples(
    st.just("profile"),
    NAMES,
    st.sampled_from(["a@x.example", "b@x.example", "c@x.example", ""]),
    st.sampled_from(["Acme", "Bees", ""]),
    st.sampled_from(["acme.example", "bees.example", ""]),
)
MERGES = st.tuples(
    st.just("merge"),
    st.sampled_from(["contact", "company"]),
    st.integers(0, 9),
    st.integers(0, 9),
    st.booleans(),
)
UNMERGES = st.tuples(st.just("unmerge"), st.integers(0, 9))
REMOVALS = st.tuples(st.just("removal"), NAMES)


async def empty(site: Site) -> None:
    for table in (audit_log, merges, *reversed(PICTURED)):
        await site.execute(delete(table))


async def do(site: Site, act: tuple[Any, ...], at: int) -> None:
    """One act; a merge that is refused is no act."""
    if act[0] == "profile":
        _, name, email, company_name, domain = act
        company = {"name": company_name, "domain": domain}
        await site.take(
            person(name, at=at, email=email, person={"nickname": f"{name}{at}"},
                   company={key: value for key, value in company.items() if value}),
            talk(f"s{at}", at=at, people_id=name), talk(f"t{at}", at=at, meta={"email": email}),
        )  # fmt: skip
    elif act[0] == "removal":
        await site.remove_person(act[1], seen=at)
    elif act[0] == "merge":
        await _merge(site, act[1], act[2], act[3], whole=act[4])
    else:
        opened = await _open(site)
        if opened:
            await taken_back(site, opened[act[1] % len(opened)])


async def _merge(site: Site, kind: Kind, one: int, other: int, *, whole: bool) -> None:
    table = contacts if kind == "contact" else companies
    rows = await site.rows(select(table.c.id).order_by(table.c.id))
    if not rows:
        return
    pair = rows[one % len(rows)].id, rows[other % len(rows)].id
    try:
        await merged(site, kind, *pair, ["name"] if whole else None)
    except Refused:
        return


async def _open(site: Site) -> list[str]:
    query = select(merges.c.id).where(merges.c.undone_at.is_(None)).order_by(merges.c.number)
    return [row.id for row in await site.rows(query)]


# SPEC D6
@FEW
@given(
    before=st.lists(PROFILES | REMOVALS, min_size=2, max_size=6),
    acts=st.lists(MERGES, min_size=1, max_size=4),
    order=st.randoms(use_true_random=False),
)
async def test_merges_that_are_taken_back_leave_nothing(
    sqlite_url: str, before: list[Any], acts: list[Any], order: random.Random
) -> None:
    async with connected(sqlite_url) as site:
        await empty(site)
        for at, act in enumerate(before):
            await do(site, act, at)
        earlier = await picture(site)
        for act in acts:
            await do(site, act, 0)
        opened = await _open(site)
        order.shuffle(opened)
        for merge_id in opened:
            await taken_back(site, merge_id)
        assert await picture(site) == earlier


MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same ids in the same order, at the same moment: both databases can be compared row by row."""
    numbers = iter(range(1, 1_000_000))
    counting = SimpleNamespace(urandom=lambda size: (next(numbers) * 7919).to_bytes(size, "big"))
    monkeypatch.setattr("app.db.base.os", counting)
    monkeypatch.setattr("app.db.base.clock", SimpleNamespace(now_ms=lambda: 0))
    monkeypatch.setattr("app.clock.now", lambda: MOMENT)


# SPEC D6
@FEW
@given(acts=st.lists(PROFILES | MERGES | UNMERGES | REMOVALS, min_size=4, max_size=12))
async def test_any_order_ends_the_same_on_both_databases(
    sqlite_url: str, migrated_postgres_url: str, tmp_path: Path, acts: list[Any]
) -> None:
    ends = []
    for url in (sqlite_url, migrated_postgres_url):
        with pytest.MonkeyPatch.context() as patched:
            async with connected(url) as site:
                await empty(site)
                _alike(patched)
                for at, act in enumerate(acts):
                    await do(site, act, at)
                ends.append(await picture(site, "created_at", "deleted_at"))
    assert ends[0] == ends[1]
