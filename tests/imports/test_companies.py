"""Files of companies: planned, committed, taken back, and out again (SPEC I6, I7, I10, I12, D6, D7)."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from app import clock
from app.accounts.actors import COMMAND, Actor, Role
from app.companies.tables import companies, company_aliases, contact_companies
from app.contacts import lists
from app.edits.companies import edit_company, make_company
from app.edits.merges import merge_companies
from app.edits.three_way import Change
from app.errors import Refused
from app.imports.begin import change_layout
from app.imports.company_export import company_lines
from app.imports.downloads import bad_rows_of
from app.imports.mappings import save_mapping, saved_mappings
from app.imports.setup import columns_of_import, layout_of_import
from app.imports.steps import undo_some
from app.privacy.erase import erase_contact
from app.privacy.sweep import sweep
from app.settings import get_settings
from tests.fixtures.program import SECRET_KEY
from tests.imports.importing import MEMBER, Importing, adds_up, differences, importing
from tests.ingesting import person

HEAD = "company_name,company_url,company_description,other_names,other_domains,data.plan"
FILE = f"""{HEAD}
Acme,https://www.acme.example/about,"Anvils, and more",Acme Inc|Acme Ltd,acme.test,pro
Beta,,,,,free
,gamma.example,,,,
"""


@pytest_asyncio.fixture
async def site(database_url: str, tmp_path: Path) -> AsyncIterator[Importing]:
    async with importing(database_url, tmp_path) as opened:
        yield opened


async def run(site: Importing, content: str, mode: str = "merge", **told: Any) -> Any:
    return await site.run(content, mode, kind="companies", **told)


async def stored(site: Importing) -> dict[str, Any]:
    """Name to domain, attributes and what it goes by."""
    rows = await site.rows(select(companies).where(companies.c.deleted_at.is_(None)))
    names: dict[str, Any] = {}
    for row in rows:
        aliases = await site.rows(
            select(company_aliases.c.kind, company_aliases.c.value).where(
                company_aliases.c.company_id == row.id
            )
        )
        told = (row.name, row.domain, tuple(sorted(row.attributes.items())))
        names[row.id] = (*told, tuple(sorted(tuple(alias) for alias in aliases)))
    return dict(sorted(names.items(), key=lambda one: repr(one[1])))


async def seen(site: Importing) -> list[Any]:
    return list((await stored(site)).values())


async def exported(site: Importing) -> str:
    return "".join([line async for line in company_lines(site.db, site.id)])


async def codes(site: Importing, import_id: str) -> dict[int, list[str]]:
    lines = await site.lines(import_id)
    return {n: [one["code"] for one in row.problems or ()] for n, row in lines.items()}


async def test_companies_come_in_with_all_they_go_by(site: Importing) -> None:
    done = await run(site, FILE)
    assert (done.state, done.counts["created"]) == ("done", 3)
    assert adds_up(done.counts)
    assert await seen(site) == [
        (
            "Acme", "acme.example", (("description", "Anvils, and more"), ("plan", "pro")),
            (
                ("domain", "acme.example"), ("domain", "acme.test"), ("name", "acme"),
                ("name", "acme inc"), ("name", "acme ltd"),
            ),
        ),
        ("Beta", None, (("plan", "free"),), (("name", "beta"),)),
        ("gamma.example", "gamma.example", (), (("domain", "gamma.example"),)),
    ]  # fmt: skip
    sources = (await site.rows(select(companies.c.field_sources)))[0].field_sources
    assert {one["source"] for one in sources.values()} == {"csv"}


async def test_people_that_crisp_tells_of_later_belong_to_them(site: Importing) -> None:
    await run(site, FILE)
    await site.take(
        person("p1", email="a@x.example", company={"name": "ACME  inc"}),
        person("p2", email="b@x.example", company={"name": "A", "domain": "acme.test"}),
    )
    rows = await site.rows(
        select(companies.c.name).join(
            contact_companies, contact_companies.c.company_id == companies.c.id
        )
    )
    assert len(rows) == 2
    assert len(await stored(site)) == 3, "no company is made twice"


async def test_the_same_file_again_changes_nothing(site: Importing) -> None:
    await run(site, FILE)
    before = await site.everything()
    for mode in ("merge", "overwrite", "fill-empty", "update-only"):
        again = await site.plan(FILE, mode, kind="companies")
        assert again.counts["unchanged"] == 3, mode
    skipped = await site.plan(FILE, "create-only", kind="companies")
    assert skipped.counts["skip"] == 3
    assert await site.everything() == before


# SPEC I12
async def test_an_export_makes_the_same_companies_again(site: Importing) -> None:
    await run(site, FILE)
    await run(
        site, 'company_name,company_url,data.code\n"=Delta ""D""",,007\nAcme,acme2.example,\n'
    )
    text = await exported(site)
    assert "'=Delta" in text, "defused"
    assert (await site.plan(text, kind="companies")).counts["unchanged"] == 5
    before = await seen(site)
    await site.execute(delete(companies))
    done = await run(site, text)
    assert (done.counts["created"], done.counts.get("error", 0)) == (5, 0)
    assert await seen(site) == before
    assert await exported(site) == text or sorted(await exported(site)) == sorted(text)


NAMES = st.sampled_from(["", "Acme", "Beta, Inc", "=1+1", "Ünï | Co", '"Q"', "'tis", "two  spaces"])
COMPANIES = st.lists(
    st.tuples(
        NAMES,
        st.sampled_from(["", "one.example", "www.two.example", "three.example"]),
        NAMES,
        st.lists(st.sampled_from(["Acme Group", "x|y", "=z", "Zeta"]), max_size=2, unique=True),
        st.lists(st.sampled_from(["five.example", "six.example"]), max_size=2, unique=True),
        st.sampled_from(["", "5", "007", "yes", "1.50", "2026-01-31"]),
    ),
    min_size=1,
    max_size=6,
)


# SPEC I8, I12
@settings(
    max_examples=8,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=COMPANIES)
async def test_whatever_companies_there_are_come_back_the_same(
    site: Importing, rows: list[tuple[Any, ...]]
) -> None:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*HEAD.split(",")[:5], "data.code"])
    for *cells, names, domains, code in rows:
        writer.writerow([*cells, lists.joined(names, "|"), lists.joined(domains, "|, "), code])
    await site.execute(delete(companies))
    done = await run(site, out.getvalue())
    assert adds_up(done.counts), done.counts
    before, file = await seen(site), await exported(site)
    again = await site.plan(file, kind="companies")
    assert again.counts.get("unchanged", 0) == len(before) == again.counts["rows"]
    undone = await site.undo(done.id)
    assert await seen(site) == [], undone.error
    back = await run(site, file)
    assert back.counts.get("created", 0) == len(before), await codes(site, back.id)
    assert [one[0::3] for one in await seen(site)] == [one[0::3] for one in before]


async def test_what_cannot_be_a_company_stays_out_with_its_reason(site: Importing) -> None:
    await run(site, "company_name,company_url\nHeld,held.example\nBare,\n")
    long = "|".join(f"n{n}" for n in range(201))
    planned = await site.plan(
        "company_name,company_url,other_names,other_domains\n"
        ",,Nameless,\n"
        "Nowhere,not a domain,,\n"
        "New,new.example,Bare,\n"
        "New2,new2.example,,held.example\n"
        "Bare,,,\n"
        "BARE,,,\n"
        "One,one.example,Uno,\n"
        "Two,two.example,UNO,\n"
        f"Long,,{long},\n"
        "Wide,,,,,,x\n",
        kind="companies",
    )
    assert {line: found for line, found in (await codes(site, planned.id)).items() if found} == {
        2: ["company_missing"],
        3: ["url_invalid"],
        4: ["alias_taken"],
        5: ["alias_taken"],
        7: ["duplicate_company"],
        9: ["duplicate_company"],
        10: ["too_long"],
        11: ["too_many_cells"],
    }
    assert adds_up(planned.counts)
    done = await site.commit(planned)
    assert (done.counts["created"], done.counts["error"]) == (1, 8)


async def test_two_companies_may_have_one_name_when_each_has_a_domain(site: Importing) -> None:
    done = await run(site, "company_name,company_url\nAcme,one.example\nAcme,two.example\n")
    assert done.counts["created"] == 2
    assert [row[:2] for row in await seen(site)] == [
        ("Acme", "one.example"), ("Acme", "two.example"),
    ]  # fmt: skip
    third = await site.plan("company_name,company_url\nAcme,three.example\n", kind="companies")
    assert third.counts["create"] == 1


async def test_a_domain_is_told_of_a_company_known_by_name(site: Importing) -> None:
    await site.take(person("p", email="a@x.example", company={"name": "Acme"}))
    done = await run(site, "company_name,company_url\nACME,acme.example\n")
    assert (done.counts.get("created", 0), done.counts["updated"]) == (0, 1)
    assert [row[:2] for row in await seen(site)] == [("ACME", "acme.example")]


MODES = {
    "merge": ("New", (("description", "old"), ("size", "9"))),
    "overwrite": ("New", (("size", "9"),)),
    "fill-empty": ("Old", (("description", "old"), ("plan", "a"), ("size", "9"))),
    "create-only": ("Old", (("description", "old"), ("plan", "a"))),
    "update-only": ("New", (("description", "old"), ("size", "9"))),
}


# SPEC I6
@pytest.mark.parametrize("mode", MODES)
async def test_the_modes_do_to_companies_what_they_do_to_contacts(
    site: Importing, mode: str
) -> None:
    await run(site, f"{HEAD}\nOld,old.example,old,,,a\n")
    await run(
        site,
        "company_name,company_url,company_description,data.plan,data.size\n"
        "New,old.example,,,9\nOther,,,b,\n",
        mode,
        columns={
            "company_name": "company_name", "company_url": "company_url",
            "company_description": "company_description", "data.plan": "data.plan",
            "data.size": "data.size",
        },
    )  # fmt: skip
    found = {row[1]: (row[0], row[2]) for row in await seen(site)}
    attributes = tuple(sorted(dict(found["old.example"][1]).items()))
    assert (found["old.example"][0], attributes) == MODES[mode]
    assert (None in found) == (mode != "update-only")


# SPEC D7
async def test_what_a_person_wrote_stays_but_in_overwrite(site: Importing) -> None:
    await run(site, f"{HEAD}\nAcme,acme.example,,,,a\n")
    (company_id,) = await stored(site)
    hand = Actor("user", "u2", "noor@support.example", Role.MEMBER)
    told = {"name": Change("Acme Group"), "attributes.plan": Change("gold")}
    await site.db.transact(lambda c: edit_company(c, site.id, company_id, told, hand))
    text = f"{HEAD}\nACME,acme.example,said,,,b\n"
    planned = await site.plan(text, kind="companies")
    assert await codes(site, planned.id) == {2: ["kept_by_hand", "kept_by_hand"]}
    await site.commit(planned)
    assert [row[:3] for row in await seen(site)] == [
        ("Acme Group", "acme.example", (("description", "said"), ("plan", "gold")))
    ]
    await run(site, text, "overwrite")
    assert [row[:3] for row in await seen(site)] == [
        ("ACME", "acme.example", (("description", "said"), ("plan", "b")))
    ]


# SPEC I7
async def test_rows_whose_company_changed_meanwhile_are_refused_and_planned_again(
    site: Importing,
) -> None:
    await run(site, "company_name,company_url\nAcme,acme.example\nBeta,\n")
    planned = await site.plan(
        "company_name,company_url,company_description,other_names\n"
        "Acme,acme.example,one,\nBeta,,two,Bee\nNew,new.example,three,\n",
        kind="companies",
    )
    await site.execute(
        update(companies).where(companies.c.name == "Acme").values(attributes={"description": "x"})
    )
    told = {"name": "Newer", "domain": "new.example"}
    await site.db.transact(lambda c: make_company(c, site.id, told, MEMBER))
    told = {"name": "Bee"}
    await site.db.transact(lambda c: make_company(c, site.id, told, MEMBER))
    done = await site.commit(planned)
    assert done.counts["refused"] == 3
    assert await codes(site, done.id) == {
        2: ["changed_meanwhile"], 3: ["alias_taken"], 4: ["alias_taken"],
    }  # fmt: skip
    assert not any("two" in str(row) or "three" in str(row) for row in await seen(site))


async def test_an_undo_leaves_everything_as_it_was(site: Importing) -> None:
    await site.take(person("p", email="a@x.example", company={"name": "Acme"}))
    before = await site.everything()
    done = await run(site, FILE.replace("Beta", "Delta"))
    assert (done.counts["created"], done.counts["updated"]) == (2, 1)
    undone = await site.undo(done.id)
    assert (undone.state, undone.counts["undone"], undone.counts["kept"]) == ("undone", 3, 0)
    assert not differences(before, await site.everything())


async def describe(site: Importing, company_id: str, text: str) -> None:
    told = {"attributes.description": Change(text)}
    await site.db.transact(lambda c: edit_company(c, site.id, company_id, told, MEMBER))


# SPEC I10
async def test_an_undo_tells_what_stays_because_others_changed_it(site: Importing) -> None:
    await run(site, "company_name,company_url\nEpsilon,epsilon.example\n")
    done = await run(
        site,
        "company_name,company_url,company_description\n"
        "Used,used.example,u\nChanged,changed.example,c\nFree,,f\nOwned,,o\nKnown,,k\n"
        "Epsilon,epsilon.example,e\n",
    )
    await site.take(
        person("p", email="a@x.example", company={"name": "Used", "domain": "used.example"})
    )
    ids = {row[0]: company_id for company_id, row in (await stored(site)).items()}
    await describe(site, ids["Changed"], "otherwise")
    await describe(site, ids["Epsilon"], "another")
    await site.execute(
        update(companies).where(companies.c.name == "Owned").values(owner_id="op", owner_name="Op")
    )
    told = {"names": Change("Known as\nKennt")}
    await site.db.transact(lambda c: edit_company(c, site.id, ids["Known"], told, MEMBER))
    undone = await site.undo(done.id)
    assert (undone.counts["undone"], undone.counts["kept"]) == (1, 5)
    assert await codes(site, done.id) == {
        2: ["company_used"], 3: ["company_changed"], 4: [], 5: ["company_used"],
        6: ["company_changed"], 7: ["changed_since"],
    }  # fmt: skip
    left = {row[0] for row in await seen(site)}
    assert left == {"Used", "Changed", "Owned", "Known", "Epsilon"}


async def test_a_company_that_was_merged_into_is_no_longer_taken_back(site: Importing) -> None:
    done = await run(site, "company_name\nWinner\n")
    await run(site, "company_name\nLoser\n")
    ids = {row[0]: company_id for company_id, row in (await stored(site)).items()}
    await site.db.transact(
        lambda c: merge_companies(c, site.id, ids["Loser"], ids["Winner"], None, MEMBER)
    )
    undone = await site.undo(done.id)
    assert (undone.counts["undone"], undone.counts["kept"]) == (0, 1)
    assert "Loser" not in {row[0] for row in await seen(site)}


async def test_one_row_is_taken_back_by_itself(site: Importing) -> None:
    done = await run(site, FILE)
    assert await undo_some(site.db, site.id, done.id, [3], MEMBER) == 1
    assert [row[0] for row in await seen(site)] == ["Acme", "gamma.example"]


async def test_removed_companies_do_not_come_back_through_a_file(site: Importing) -> None:
    await run(site, FILE)
    await site.execute(
        update(companies).where(companies.c.name == "Beta").values(deleted_at=clock.now())
    )
    planned = await site.plan("company_name\nBeta\n", kind="companies")
    assert await codes(site, planned.id) == {2: ["company_removed"]}
    assert "Beta" not in await exported(site)


async def test_attributes_keep_the_type_that_is_stored(site: Importing) -> None:
    told = {"code": "1.50", "seats": 5, "ratio": 0.5, "vip": True, "tags": ["a", "b|c"]}
    await run(site, "company_name\nAcme\nBeta\n")
    await site.execute(update(companies).where(companies.c.name == "Acme").values(attributes=told))
    text = await exported(site)
    again = await site.plan(text, kind="companies")
    assert again.counts["unchanged"] == 2, await site.lines(again.id)
    done = await run(site, text.replace("Beta" + "," * 9, "Beta,,,,,2.50,3,7,a,no"))
    assert done.counts["updated"] == 1, (text, await site.lines(done.id))
    assert [row[2] for row in await seen(site)][1] == (
        ("code", "2.50"), ("ratio", 3), ("seats", 7), ("tags", ["a"]), ("vip", False),
    )  # fmt: skip


async def test_a_file_is_of_one_kind(site: Importing) -> None:
    with pytest.raises(Refused, match="contacts or companies"):
        await site.begin(FILE, kind="people")
    with pytest.raises(Refused, match="choose companies as what its rows are"):
        await site.plan(FILE)
    with pytest.raises(Refused, match="Company name or Company URL"):
        await site.plan("email\na@x.example\n", kind="companies")
    with pytest.raises(Refused, match="no segments"):
        await site.plan(FILE, kind="companies", segment="vip")
    import_id = await site.begin(FILE)
    row = await site.row(import_id)
    assert {column.to for column in columns_of_import(row)} >= {"company_name", None}
    layout = layout_of_import(row)
    await change_layout(site.db, site.folder, site.id, import_id, layout, MEMBER, "companies")
    row = await site.row(import_id)
    assert [column.to for column in columns_of_import(row)] == HEAD.split(",")


async def test_mappings_are_of_one_kind(site: Importing) -> None:
    row = await site.row(await site.begin(FILE, kind="companies"))
    columns = columns_of_import(row)
    await save_mapping(site.db, site.id, "Firms", columns, {}, MEMBER, "companies")
    async with site.db.read() as connection:
        assert await saved_mappings(connection, site.id, "contacts") == []
        (kept,) = await saved_mappings(connection, site.id, "companies")
    assert kept.kind == "companies"


# SPEC I8
async def test_bad_rows_repaired_count_in_the_first_file(site: Importing) -> None:
    done = await run(site, "company_name,company_url\nAcme,nonsense\nBeta,\n")
    text = "".join([line async for line in bad_rows_of(site.db, site.folder, done)])
    repaired = await site.plan(text.replace("Acme,nonsense", "Acme,acme.example"))
    assert repaired.kind == "companies"
    await site.commit(repaired)
    assert (await site.row(done.id)).counts["repaired"] == 1
    assert [row[0] for row in await seen(site)] == ["Acme", "Beta"]


# SPEC P6
async def test_a_row_that_names_somebody_who_was_erased_stays_out_of_everything(
    site: Importing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", SECRET_KEY)
    get_settings.cache_clear()
    await site.take(person("p", email="gone@x.example"))
    await erase_contact(site.db, COMMAND, str((await site.contact("p")).id))
    await sweep(site.db, site.folder)
    planned = await site.plan(
        "company_name,company_url,owner\n"
        "Acme,acme.example,gone@x.example\nBeta,nonsense,Gone <gone@x.example>\nGamma,,\n",
        kind="companies",
    )
    assert await codes(site, planned.id) == {2: ["erased"], 3: ["erased"], 4: []}
    assert "gone@" not in str(await site.lines(planned.id))
    assert planned.file is None
    done = await site.commit(planned)
    assert (done.counts["created"], done.counts["error"]) == (1, 2)
