"""A file that names somebody who was erased: row by row, and nothing of them stays (SPEC P6, I8)."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.accounts.actors import COMMAND
from app.contacts.tables import contacts
from app.errors import Conflict
from app.imports.downloads import bad_rows_of
from app.imports.steps import ask_again
from app.pages.import_view import view_import
from app.privacy.erase import erase_contact
from app.privacy.sweep import sweep
from tests.beside import contents
from tests.imports.importing import MEMBER, Importing, adds_up, importing
from tests.ingesting import person

ANN = "11111111-aaaa-4aaa-8aaa-111111111111"
MARK = "annabel"
COLUMNS = {"E-mail": "email", "Name": "name", "Phone": "phone"}
# The erased address as it is, written otherwise, twice, and in rows that are bad for other reasons.
ERASED = (
    f"{MARK}@acme.example,{MARK},",
    f"{MARK.upper()}@ACME.example,{MARK},+34651234567",
    f"{MARK}@acme.example,{MARK},not a phone",
    f"{MARK} <{MARK}@acme.example>,{MARK},",
    f'"{MARK}@acme.example; b@acme.example",{MARK},',
    f",mailto:{MARK}@acme.example,",
    f"{MARK}@acme.example,{MARK},,one cell too many",
)
OTHERS = ("bo@acme.example,Bo,", "cy@acme.example,Cy,not a phone", "dee@acme.example,Dee,")
FILE = "\n".join(["E-mail,Name,Phone", OTHERS[0], *ERASED, *OTHERS[1:]]) + "\n"


async def bad_file(site: Importing, import_id: str) -> str:
    row = await site.row(import_id)
    return "".join([part async for part in bad_rows_of(site.db, site.folder, row)])


def bad_lines(text: str) -> list[tuple[str, str, str]]:
    rows = csv.DictReader(io.StringIO(text))
    return [(row["crispsync_line"], row["crispsync_code"], row["E-mail"]) for row in rows]


async def erased(site: Importing) -> None:
    await erase_contact(site.db, COMMAND, str((await site.contact(ANN)).id))
    await sweep(site.db, site.folder)


async def test_each_row_with_an_erased_address_stays_out_and_nothing_of_it_is_kept(
    database_url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with importing(database_url, tmp_path) as site:
        await site.take(person(ANN, email=f"{MARK}@acme.example", person={"nickname": MARK}))
        await erased(site)
        planned = await site.plan(FILE, columns=COLUMNS)
        assert (planned.counts["create"], planned.counts["error"]) == (2, len(ERASED) + 1)
        assert adds_up(planned.counts)
        lines = await site.lines(planned.id)
        for line in range(3, 3 + len(ERASED)):
            row = lines[line]
            assert [problem["code"] for problem in row.problems] == ["erased"], line
            assert (row.outcome, row.cells, row.email_norm) == ("error", None, None)
        assert list(site.folder.iterdir()) == []
        told = [(str(3 + n), "erased", "") for n in range(len(ERASED))]
        told.append(("10", "phone_invalid", "cy@acme.example"))
        assert bad_lines(await bad_file(site, planned.id)) == told

        # The others come in; the one that is refused meanwhile is told, though its file is gone.
        await site.add_by_hand("Dee", "dee@acme.example")
        done = await site.commit(planned)
        assert (done.state, done.counts["created"], done.counts["refused"]) == ("done", 1, 1)
        assert adds_up(done.counts)
        assert (await site.person("bo@acme.example")).name == "Bo"
        told.append(("11", "changed_meanwhile", ""))
        text = await bad_file(site, done.id)
        assert bad_lines(text) == told
        stored = "".join(row for rows in contents(database_url).values() for row in rows)
        logged = "".join(capfd.readouterr())
        assert "import.committed" in stored
        for where in (stored, text, logged):
            assert MARK not in where.lower()


async def test_an_erased_address_does_not_come_in_as_a_value_of_somebody_else(
    database_url: str, tmp_path: Path
) -> None:
    async with importing(database_url, tmp_path) as site:
        await site.take(person(ANN, email=f"{MARK}@acme.example"))
        await erased(site)
        planned = await site.plan(
            "email,name,segments,data.referrer,data.note,ignored\n"
            f"a@x.example,A,,{MARK.upper()}@acme.example,,\n"
            f"b@x.example,B,vip|{MARK}@acme.example,,,\n"
            f"c@x.example,{MARK}@acme.example,,,,\n"
            f"d@x.example,D,,,d@x.example,{MARK}@acme.example\n"
        )
        lines = await site.lines(planned.id)
        assert [row.outcome for row in lines.values()] == ["error", "error", "error", "create"]
        assert {row.problems[0]["code"] for row in list(lines.values())[:3]} == {"erased"}
        await site.commit(planned)
        assert MARK not in str(contents(database_url)).lower()


async def test_who_is_erased_between_plan_and_commit_does_not_come_in(
    database_url: str, tmp_path: Path
) -> None:
    """What would be applied is not any more what somebody saw, so all of it waits for a new plan."""
    async with importing(database_url, tmp_path) as site:
        await site.take(person(ANN, email=f"{MARK}@acme.example", person={"nickname": "Ann"}))
        planned = await site.plan(FILE, columns=COLUMNS)
        assert (await site.lines(planned.id))[3].outcome == "update"
        await erased(site)
        with pytest.raises(Conflict, match="This import is cancelled"):
            await site.commit(planned)
        with pytest.raises(Conflict, match="This import is cancelled"):
            await ask_again(site.db, site.id, planned.id, MEMBER)
        row = await site.row(planned.id)
        assert "upload it again without that row" in row.error
        assert await site.rows(select(contacts)) == []
        assert list(site.folder.iterdir()) == []
        stored: Any = contents(database_url)
        assert MARK not in str(stored).lower()
        assert MARK not in await bad_file(site, planned.id)
        done = await site.run(FILE, columns=COLUMNS)
        assert (done.counts["created"], done.counts["error"]) == (2, len(ERASED) + 1)


async def test_what_came_in_before_an_erasure_cancelled_the_rest_can_be_taken_back(
    database_url: str, tmp_path: Path
) -> None:
    async with importing(database_url, tmp_path) as site:
        planned = await site.plan(f"email\nbo@acme.example\n{MARK}@acme.example\n")
        await site.take(person(ANN, email=f"{MARK}@acme.example", person={"nickname": "Ann"}))
        done = await site.commit(planned)
        assert (done.counts["created"], done.counts["refused"]) == (1, 1)
        await ask_again(site.db, site.id, done.id, MEMBER)
        await site.work()
        await erased(site)
        row = await site.row(done.id)
        assert (row.state, view_import(row).can_undo) == ("cancelled", True)
        undone = await site.undo(done.id)
        assert (undone.state, undone.counts["undone"]) == ("undone", 1)
        assert await site.rows(select(contacts)) == []
