"""Rows that stay out leave as a file, and come in again repaired (SPEC I8, P5)."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest_asyncio
from sqlalchemy import update

from app.imports.bad_rows import ADDED
from app.imports.begin import change_layout
from app.imports.columns import ColumnMap
from app.imports.downloads import bad_rows_of
from app.imports.layout import Layout
from app.imports.setup import columns_of_import
from app.imports.steps import Choice, ask_again, ask_plan, undo_some
from app.imports.tables import import_rows
from app.pages.import_view import view_import
from app.spreadsheet import defused, undefused
from tests.imports.importing import MEMBER, Importing, adds_up, differences, importing

NAMES = {
    "E-mail": "email", "Name": "name", "Phone": "phone", "Avatar": "avatar", "City": "city",
    "Country": "country", "Since": "created", "Zone": "time_zone", "Speaks": "locales",
    "Firm": "company_name", "Site": "company_url", "Tags": "segments",
    "@seats": {"to": "data.seats", "type": "integer"},
    "rate": {"to": "data.rate", "type": "decimal"},
    "vip": {"to": "data.vip", "type": "yes_no"},
    "born": {"to": "data.born", "type": "date"},
    "plan": {"to": "data.plan", "type": "choice", "choices": "free|pro"},
    "=note": "data.note",
}  # fmt: skip
GOOD = {"E-mail": "good@x.example", "Name": "Good"}
# Each with the codes and columns that the plan has for it, and what one of the suggestions says.
BAD: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("email_missing", "E-mail", "", {"Name": "=1+1", "=note": "'=2+2"}),
    ("email_invalid", "E-mail", "Write b@x.example.", {"E-mail": "Bo <b@x.example>"}),
    ("email_several", "E-mail", "Keep a@x.example.", {"E-mail": "a@x.example; b@x.example"}),
    ("phone_invalid", "Phone", "+34651234567", {"Phone": "+1 2"}),
    ("url_invalid", "Avatar", "https://", {"Avatar": "javascript:alert(1)"}),
    ("url_invalid", "Site", "https://acme.example", {"Site": "nowhere"}),
    ("too_long", "City", "Shorten it.", {"City": "x" * 301}),
    ("too_long", "Tags", "separator of segments", {"Tags": "x" * 101}),
    ("country_unknown", "Country", "Did you mean DE?", {"Country": "Germny"}),
    ("date_invalid", "Since", "2020-04-03 or 2020-03-04", {"Since": "03.04.2020"}),
    ("time_zone_unknown", "Zone", "Europe/Paris", {"Zone": "Mars/Olympus"}),
    ("locale_invalid", "Speaks", "en-GB|fr-FR", {"Speaks": "en|!"}),
    ("number_invalid", "@seats", "digits only", {"@seats": "many"}),
    ("leading_zero", "@seats", "holds codes", {"@seats": "007"}),
    ("number_too_big", "@seats", "Make the column text.", {"@seats": "9007199254740993"}),
    ("number_invalid", "rate", "Write 1234.50.", {"rate": "1.234,50"}),
    ("yes_no_invalid", "vip", "Write yes or no.", {"vip": "perhaps"}),
    ("date_invalid", "born", "2026-01-31", {"born": "2026-02-30"}),
    ("choice_unknown", "plan", "Choose free, pro.", {"plan": "gold"}),
    ("phone_invalid | country_unknown", "Phone | Country", "US", {"Phone": "-1", "Country": "@x"}),
    ("duplicate_address", "E-mail", "Remove this row, or that one.", {"E-mail": "GOOD@x.example"}),
    ("ambiguous_address", "E-mail", "Merge them", {"E-mail": "both@x.example"}),
    ("duplicate_contact", "E-mail", "Remove this row", {"E-mail": "two2@x.example"}),
)  # fmt: skip


def file_of(rows: Sequence[Mapping[str, str]], names: Sequence[str] = tuple(NAMES)) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


async def bad_file(site: Importing, import_id: str) -> str:
    row = await site.row(import_id)
    return "".join([part async for part in bad_rows_of(site.db, site.folder, row)])


def read(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(text)))


def values(row: Mapping[str, str], names: Sequence[str] = tuple(NAMES)) -> list[str]:
    """What an import reads in its cells."""
    return [undefused(row[defused(name)]) for name in names]


@pytest_asyncio.fixture
async def site(database_url: str, tmp_path: Path) -> AsyncIterator[Importing]:
    async with importing(database_url, tmp_path) as opened:
        await opened.add_by_hand("One", "both@x.example")
        await opened.add_by_hand("Two", "both@x.example")
        await opened.add_by_hand("Three", "two1@x.example", "two2@x.example")
        yield opened


async def test_each_bad_row_leaves_with_what_the_plan_says_and_its_own_cells(
    site: Importing,
) -> None:
    """SPEC I8, P5"""
    wrong = [{"E-mail": f"p{n}@x.example"} | bad for n, (*_, bad) in enumerate(BAD)]
    wrong[0] |= {"E-mail": ""}
    rows = [GOOD, {"E-mail": "two1@x.example"}, *wrong]
    planned = await site.plan(file_of(rows), columns=NAMES)
    assert (planned.counts["error"], adds_up(planned.counts)) == (len(BAD), True)
    lines = await site.lines(planned.id)
    text = await bad_file(site, planned.id)
    left = read(text)
    assert list(left[0]) == [*(defused(name) for name in NAMES), *ADDED]
    for (code, column, advice, _), cells, row in zip(BAD, wrong, left, strict=True):
        plan = lines[int(row["crispsync_line"])]
        told = {
            name: " | ".join(p[name] for p in plan.problems if p[name])
            for name in ("column", "code", "reason", "suggestion")
        }
        assert row["crispsync_import"] == planned.id
        assert {name: undefused(row[f"crispsync_{name}"]) for name in told} == told
        assert (told["code"], told["column"], bool(told["reason"])) == (code, column, True)
        assert advice in told["suggestion"], told
        assert values(row) == [undefused(cells.get(name, "")) for name in NAMES]
        # SPEC P5: nothing that a spreadsheet program would run.
        assert all(not cell or cell[0] not in "=+-@" for cell in row.values()), row


async def test_rows_that_cannot_be_read_leave_with_what_can(site: Importing) -> None:
    """SPEC I8: what is too much for the columns stands behind them, to be put where it belongs."""
    content = b"email,note\na@x.example,fine\n" + f"b@x.example,{'x' * 100_001}\n".encode()
    import_id = await site.begin(content + b"c@x.example,K\xf6ln\nd@x.example,one,two,=three\n")
    await change_layout(site.db, site.folder, site.id, import_id, Layout(), MEMBER)
    columns = columns_of_import(await site.row(import_id))
    await ask_plan(site.db, site.id, import_id, Choice(columns, "merge", {}), MEMBER)
    await site.work()
    left = list(csv.reader(io.StringIO(await bad_file(site, import_id))))
    code = left[0].index("crispsync_code")
    assert [(row[code], row[:2], row[2 + len(ADDED) :]) for row in left[1:]] == [
        ("too_long", ["", ""], []),
        ("unreadable", ["c@x.example", "K\ufffdln"], []),
        ("too_many_cells", ["d@x.example", "one"], ["two", "'=three"]),
    ]


async def test_refused_rows_leave_with_the_cells_of_the_file(site: Importing) -> None:
    """SPEC I7, I8: a plan keeps no cells of rows that were good."""
    rows = [{"E-mail": f"{name}@x.example", "Name": "=1+1", "=note": "'=2"} for name in "abc"]
    planned = await site.plan(file_of(rows), columns=NAMES)
    bad = {"email": "b@x.example", "fields": {"name": [None, 5]}}
    await site.execute(update(import_rows).where(import_rows.c.line == 3).values(changes=bad))
    await site.add_by_hand("A", "a@x.example")
    done = await site.commit(planned)
    left = read(await bad_file(site, done.id))
    assert [(row["crispsync_line"], row["crispsync_code"]) for row in left] == [
        ("2", "changed_meanwhile"), ("3", "refused_by_database"),
    ]  # fmt: skip
    assert [values(row)[:2] for row in left] == [
        ["a@x.example", "=1+1"], ["b@x.example", "=1+1"],
    ]  # fmt: skip
    assert [values(row)[-1] for row in left] == ["=2", "=2"]
    # The file may be gone by then; which rows they were is still told.
    (site.folder / done.file).unlink()
    lines = [(row["crispsync_line"], row["E-mail"]) for row in read(await bad_file(site, done.id))]
    assert lines == [("2", ""), ("3", "")]


HEAD = "E-mail,@phone,note,note\n"
FIVE = (
    HEAD + "good@x.example,,,\n" + "".join(f"bad{n},not a phone,=1+{n},second\n" for n in range(5))
)


async def five_bad_rows(site: Importing) -> Any:
    """The import, and its bad rows."""
    import_id = await site.begin(FIVE)
    columns = [
        ColumnMap("E-mail", "email"), ColumnMap("@phone", "phone"), ColumnMap("note", "data.first"),
        ColumnMap("note", "data.second"),
    ]  # fmt: skip
    await ask_plan(site.db, site.id, import_id, Choice(columns, "merge", {}), MEMBER)
    await site.work()
    return await site.commit(await site.row(import_id))


def mended(text: str, *numbers: int) -> str:
    """The file of bad rows with the address and the phone of these repaired."""
    rows = list(csv.reader(io.StringIO(text)))
    for row in rows[1:]:
        if row[0] in {f"bad{n}" for n in numbers}:
            row[:2] = [f"{row[0]}@x.example", "'+34651234567"]
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


async def totals(site: Importing, import_id: str) -> tuple[int, int, int]:
    """Errors, repaired, and rows that can be downloaded."""
    counts = (await site.row(import_id)).counts
    assert adds_up(counts)
    return counts["error"], counts.get("repaired", 0), len(read(await bad_file(site, import_id)))


async def test_a_repair_of_some_rows_counts_in_the_first_import_until_it_is_undone(
    site: Importing,
) -> None:
    """SPEC I8, I10"""
    first = await five_bad_rows(site)
    assert await totals(site, first.id) == (5, 0, 5)
    before = await site.everything()
    file = mended(await bad_file(site, first.id), 0, 2, 4)

    second = await site.run(file)
    assert second.repairs == first.id
    assert (second.counts["created"], second.counts["error"]) == (3, 2)
    assert await totals(site, first.id) == (5, 3, 2)
    # Also columns of one name and such as look like a formula are mapped as they were.
    row = await site.person("bad2@x.example")
    assert (row.attributes, row.phone) == ({"first": "=1+2", "second": "second"}, "+34651234567")
    left = read(await bad_file(site, second.id))
    assert [(one["E-mail"], undefused(one["crispsync_column"])) for one in left] == [
        ("bad1", "E-mail | @phone"), ("bad3", "E-mail | @phone"),
    ]  # fmt: skip
    assert {one["crispsync_import"] for one in left} == {second.id}

    again = await site.run(file)
    assert (again.counts["unchanged"], again.counts["error"]) == (3, 2)
    assert await totals(site, first.id) == (5, 3, 2)

    # What found everything as it should be has nothing to take back.
    await site.undo(again.id)
    assert await totals(site, first.id) == (5, 3, 2)
    await undo_some(site.db, site.id, second.id, [2], MEMBER)
    assert await totals(site, first.id) == (5, 2, 3)
    await site.undo(second.id)
    assert await totals(site, first.id) == (5, 0, 5)
    assert differences(before, await site.everything()) == []


async def test_a_repair_of_a_repair_counts_in_both(site: Importing) -> None:
    """SPEC I8: a formula stays the same through every round."""
    first = await five_bad_rows(site)
    second = await site.run(mended(await bad_file(site, first.id), 0, 2, 4))
    third = await site.run(mended(await bad_file(site, second.id), 1))
    assert third.repairs == second.id
    assert await totals(site, second.id) == (2, 1, 1)
    assert await totals(site, first.id) == (5, 4, 1)
    assert (await site.person("bad1@x.example")).attributes["first"] == "=1+1"
    fourth = await site.run(mended(await bad_file(site, third.id), 3))
    assert (await site.person("bad3@x.example")).attributes["first"] == "=1+3"
    assert [await totals(site, one.id) for one in (first, second, third)] == [
        (5, 5, 0), (2, 2, 0), (1, 1, 0),
    ]  # fmt: skip
    await site.undo(third.id)
    assert [await totals(site, one.id) for one in (first, second)] == [(5, 4, 1), (2, 1, 1)]
    await site.undo(fourth.id)
    await site.undo(second.id)
    assert [await totals(site, one.id) for one in (first, second)] == [(5, 0, 5), (2, 0, 2)]


async def test_what_two_files_repaired_stays_repaired_while_one_of_them_stands(
    site: Importing,
) -> None:
    first = await five_bad_rows(site)
    file = await bad_file(site, first.id)
    second = await site.run(mended(file, 0, 1))
    other = await site.run(mended(file, 0, 1).replace("second", "otherwise"))
    assert other.counts["updated"] == 2
    assert await totals(site, first.id) == (5, 2, 3)
    await site.undo(other.id)
    assert await totals(site, first.id) == (5, 2, 3)
    await site.undo(second.id)
    assert await totals(site, first.id) == (5, 0, 5)


async def test_refused_rows_are_repaired_by_a_file_or_planned_again(site: Importing) -> None:
    """SPEC I7, I8: each bad row counts once, whichever way it came in."""
    planned = await site.plan(HEAD + "a@x.example,,,\nb@x.example,,,\nnobody,,,\n")
    await site.add_by_hand("A", "a@x.example")
    await site.add_by_hand("B", "b@x.example")
    first = await site.commit(planned)
    assert (first.counts["refused"], first.counts["error"]) == (2, 1)
    lines = (await bad_file(site, first.id)).splitlines(keepends=True)
    repair = await site.run("".join(lines[:2]))
    assert repair.repairs == first.id
    assert view_import(await site.row(first.id)).problems == 2
    await ask_again(site.db, site.id, first.id, MEMBER)
    await site.work()
    done = await site.commit(await site.row(first.id))
    counts = done.counts
    assert (counts["error"], counts["refused"], counts["repaired"]) == (1, 1, 1)
    assert adds_up(counts)
    assert view_import(done).problems == len(read(await bad_file(site, done.id))) == 1
