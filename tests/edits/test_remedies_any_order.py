"""Whatever people tie, ignore, make and take back, and whatever is pulled between: links are what the rules say (SPEC M5, M9)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from app.accounts.tables import audit_log
from app.companies.tables import companies, domain_ties
from app.contacts.tables import contacts
from app.conversations.tables import link_decisions
from app.edits.tables import remedies, remedy_rows
from app.edits.ties import release_domain
from app.errors import Refused
from app.matching.link import relink_all
from app.matching.tables import left_alone
from tests.edits.mending import mended, undone
from tests.edits.merging import MIRA, PICTURED, picture
from tests.ingesting import Site, connected, person, talk

FEW = settings(
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
DOMAINS = st.sampled_from(["acme.example", "bees.example"])
NAMES = st.sampled_from("ab")
ACTS = st.one_of(
    st.tuples(st.just("talk"), NAMES, DOMAINS),
    st.tuples(st.just("person"), NAMES, DOMAINS, st.booleans()),
    st.tuples(st.just("removal"), NAMES),
    st.tuples(st.sampled_from(["create", "ignore", "leave", "new company", "release"]), DOMAINS),
    st.tuples(st.sampled_from(["link", "tie"]), DOMAINS, st.integers(0, 5)),
    st.tuples(st.just("undo"), st.integers(0, 5), st.booleans()),
)


async def empty(site: Site) -> None:
    own = (audit_log, remedy_rows, remedies, left_alone, link_decisions, domain_ties)
    for table in (*own, *reversed(PICTURED)):
        await site.execute(delete(table))


async def do(site: Site, act: tuple[Any, ...], at: int) -> None:
    """One act; what is refused is no act."""
    with suppress(Refused):
        await _do(site, act, at)


async def _do(site: Site, act: tuple[Any, ...], at: int) -> None:
    if act[0] == "talk":
        await site.take(talk(f"s{at}", at=at, meta={"email": f"{act[1]}@{act[2]}"}))
    elif act[0] == "person":
        company = {"name": act[2], "domain": act[2]} if act[3] else {"name": "By name"}
        await site.take(person(act[1], at=at, email=f"{act[1]}@{act[2]}", company=company))
    elif act[0] == "removal":
        await site.remove_person(act[1], seen=at)
    elif act[0] in {"create", "ignore", "leave"}:
        await mended(site, act[0], domain=act[1])
    elif act[0] == "new company":
        await mended(site, "tie", domain=act[1], company_name=f"New {at}")
    elif act[0] == "release":
        async with site.db.write() as connection:
            await release_domain(connection, site.id, act[1], MIRA)
    elif act[0] in {"link", "tie"}:
        table = contacts if act[0] == "link" else companies
        rows = await site.rows(select(table.c.id).order_by(table.c.id))
        if rows:
            name = "contact_id" if act[0] == "link" else "company_id"
            await mended(site, act[0], domain=act[1], **{name: rows[act[2] % len(rows)].id})
    else:
        query = select(remedies.c.id).where(remedies.c.undone_at.is_(None))
        rows = await site.rows(query.order_by(remedies.c.number))
        if rows:
            await undone(site, rows[act[1] % len(rows)].id, rest=act[2])


@FEW
@given(acts=st.lists(ACTS, min_size=4, max_size=14))
async def test_every_order_ends_where_matching_from_scratch_ends(
    database_url: str, acts: list[Any]
) -> None:
    async with connected(database_url) as site:
        await empty(site)
        for at, act in enumerate(acts, 1):
            await do(site, act, at)
        now = await picture(site)
        async with site.db.write() as connection:
            await relink_all(connection, site.id)
        assert await picture(site) == now


PULLED = st.tuples(st.just("talk"), NAMES, DOMAINS) | st.tuples(
    st.just("person"), NAMES, DOMAINS, st.booleans()
)
REMEDIES = st.one_of(
    st.tuples(st.sampled_from(["create", "ignore", "leave", "new company"]), DOMAINS),
    st.tuples(st.sampled_from(["link", "tie"]), DOMAINS, st.integers(0, 5)),
)


@FEW
@given(
    pulled=st.lists(PULLED, min_size=2, max_size=8), done=st.lists(REMEDIES, min_size=1, max_size=5)
)
async def test_remedies_taken_back_the_last_first_leave_nothing(
    sqlite_url: str, pulled: list[Any], done: list[Any]
) -> None:
    async with connected(sqlite_url) as site:
        await empty(site)
        for at, act in enumerate(pulled, 1):
            await do(site, act, at)
        before = await picture(site)
        for act in done:
            await do(site, act, 50)
        rows = await site.rows(select(remedies.c.id).order_by(remedies.c.number.desc()))
        for row in rows:
            assert await undone(site, row.id) == []
        assert await picture(site) == before
        assert await site.rows(select(link_decisions)) == []
        assert await site.rows(select(domain_ties)) == []
        assert await site.rows(select(left_alone)) == []
