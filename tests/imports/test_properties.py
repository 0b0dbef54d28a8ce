"""What holds for every file, whatever stood in the database before (SPEC I6 to I10).

CRISPSYNC_IMPORT_EXAMPLES asks for more examples than the suite has time for.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from app.contacts.tables import contacts
from app.errors import Refused
from app.imports.columns import ColumnMap
from app.imports.setup import columns_of_import
from app.imports.steps import Choice, ask_plan
from app.matching.link import relink_all
from tests.imports.importing import MEMBER, Importing, adds_up, differences, importing
from tests.ingesting import person, talk

EXAMPLES = int(os.environ.get("CRISPSYNC_IMPORT_EXAMPLES", "6"))
SOME = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
HEAD = "email,name,phone,company,website,company description,segments,data.plan,data.seats,country"
# Addresses of contacts that are there, new ones, twice the same, none, and no addresses.
CELLS = (
    st.sampled_from(["a@x.example", "b@x.example", "A@x.example", "new@x.example", "two@x.example",
                     "b2@x.example", "shared@x.example", "", "nonsense"]),
    st.sampled_from(["", "Ada", "Bo", "=1+1"]),
    st.sampled_from(["", "+34651234567", "12"]),
    st.sampled_from(["", "Acme", "Beta", "Acme Ltd"]),
    st.sampled_from(["", "acme.example", "beta.example"]),
    st.sampled_from(["", "Anvils", "Other"]),
    st.sampled_from(["", "vip", "vip|beta", "own"]),
    st.sampled_from(["", "pro", "free"]),
    st.sampled_from(["", "5", "07"]),
    st.sampled_from(["", "DE", "Germany", "Nowhere"]),
)  # fmt: skip
FILES = st.lists(st.tuples(*CELLS), min_size=1, max_size=6).map(
    lambda rows: "\n".join([HEAD, *(",".join(row) for row in rows)]) + "\n"
)
MODES = st.sampled_from(["merge", "overwrite", "fill-empty", "create-only", "update-only"])


@pytest_asyncio.fixture
async def site(database_url: str, tmp_path: Path) -> AsyncIterator[Importing]:
    async with importing(database_url, tmp_path) as opened:
        await opened.take(
            person("a", email="a@x.example", person={"nickname": "Ada"}, segments=["own", "vip"],
                   company={"name": "Acme"}),
            talk("t1", meta={"email": "new@x.example"}),
            talk("t2", people_id="a"),
            talk("t3", meta={"email": "b@x.example"}),
        )  # fmt: skip
        await opened.add_by_hand("Bo", "b@x.example", "b2@x.example", attributes={"plan": "pro"})
        await opened.add_by_hand("One", "shared@x.example")
        await opened.add_by_hand("Two", "shared@x.example")
        async with opened.db.write() as connection:
            await relink_all(connection, opened.id)
        yield opened


@SOME
@given(file=FILES, mode=MODES)
async def test_import_then_undo_is_as_before(site: Importing, file: str, mode: str) -> None:
    before = await site.everything()
    planned = await site.plan(file, mode)
    assert adds_up(planned.counts)
    assert await site.everything() == before
    lines = await site.lines(planned.id)
    done = await site.commit(planned)
    assert adds_up(done.counts)
    after = await site.lines(done.id)
    for line, row in lines.items():  # plan then commit equals plan
        assert after[line].outcome == row.outcome
        assert after[line].state == (
            "applied" if row.outcome in {"create", "update"} else "planned"
        )
    assert done.counts["created"] == planned.counts.get("create", 0)
    assert done.counts["updated"] == planned.counts.get("update", 0)
    undone = await site.undo(done.id)
    assert undone.counts.get("kept", 0) == 0
    assert differences(before, await site.everything()) == []


@SOME
@given(file=FILES, mode=MODES)
async def test_undo_leaves_unrelated_edits(site: Importing, file: str, mode: str) -> None:
    done = await site.run(file, mode)
    edited = await site.everything()
    avatar = f"https://x.example/{done.id}"
    await site.execute(
        update(contacts).where(contacts.c.crisp_people_id == "a").values(avatar=avatar)
    )
    await site.undo(done.id)
    row = await site.contact("a")
    assert row.avatar == avatar
    await site.execute(
        update(contacts).where(contacts.c.crisp_people_id == "a").values(avatar=None)
    )
    assert (await site.contact("a")).name == "Ada"
    assert edited


@SOME
@given(file=FILES, mode=st.sampled_from(["merge", "overwrite", "fill-empty"]))
async def test_the_same_file_again_is_unchanged(site: Importing, file: str, mode: str) -> None:
    first = await site.run(file, mode)
    again = await site.run(file, mode)
    bad = again.counts.get("error", 0)
    assert bad == first.counts.get("error", 0)
    assert again.counts.get("unchanged", 0) == again.counts["rows"] - bad, await site.lines(
        again.id
    )
    await site.undo(first.id)


@settings(max_examples=EXAMPLES * 2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(min_size=1, max_size=300)
    | st.text(max_size=200).map(lambda text: f"email,x\n{text}".encode("utf-8", "replace"))
)
async def test_any_bytes_become_a_plan_or_a_sentence(site: Importing, content: bytes) -> None:
    with suppress(Refused):
        import_id = await site.begin(content)
        row = await site.row(import_id)
        told = [ColumnMap(c.column) for c in columns_of_import(row)]
        first = [ColumnMap(c.column, "email") for c in told[:1]]
        choice = Choice([*first, *told[1:]], "merge", {})
        await ask_plan(site.db, site.id, import_id, choice, MEMBER)
        await site.work()
        planned: Any = await site.row(import_id)
        assert planned.state == "planned"
        assert adds_up(planned.counts)
