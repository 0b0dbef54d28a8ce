"""Whole imports on both databases: plan, commit, matching, refused rows, repair, undo (SPEC I6 to I12)."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from app import clock
from app.accounts.actors import Actor, Role
from app.accounts.tables import audit_log
from app.companies.tables import companies
from app.contacts.tables import contacts, custom_attributes
from app.errors import Conflict, Refused
from app.imports.begin import begin_import, change_layout
from app.imports.layout import Layout
from app.imports.reader import Reader
from app.imports.setup import columns_of_import
from app.imports.steps import (
    Choice,
    ask_again,
    ask_commit,
    ask_plan,
    ask_undo,
    cancel,
    forget_files,
    undo_some,
)
from app.imports.tables import import_rows, imports
from app.imports.work import claim_import, one_import
from tests.edits.merging import merged, taken_back
from tests.imports.importing import MEMBER, adds_up, importing
from tests.ingesting import ms, person, talk

FILE = """E-mail,First name,Last name,Phone,Company,Website,Country,Segments,data.plan,data.seats
ada@acme.example,Ada,Lovelace,+34 651 23 45 67,Acme,https://acme.example,DE,vip|beta,pro,5
bo@x.example,,,,,,Allemagne,,free,
,No,Address,,,,,,,
ADA@acme.example,Again,,,,,,,,
cy@x.example,Cy,,not a phone,,,Atlantis,,pro,many
"""


async def test_a_plan_tells_each_row_and_a_commit_applies_it(
    database_url: str, tmp_path: Path
) -> None:
    async with importing(database_url, tmp_path) as site:
        planned = await site.plan(FILE)
        assert (planned.state, adds_up(planned.counts)) == ("planned", True)
        lines = await site.lines(planned.id)
        assert [lines[n].outcome for n in (2, 3, 4, 5, 6)] == [
            "create", "create", "error", "error", "error",
        ]  # fmt: skip
        assert lines[2].changes["fields"]["phone"] == [None, "+34651234567"]
        assert [p["code"] for p in lines[3].problems] == ["country_converted"]
        assert "line 2" in lines[5].problems[0]["reason"]  # SPEC I8
        assert {p["code"] for p in lines[6].problems} == {
            "phone_invalid", "country_unknown", "number_invalid",
        }  # fmt: skip
        assert await site.rows(select(contacts)) == []

        done = await site.commit(planned)
        assert (done.state, done.counts["created"], adds_up(done.counts)) == ("done", 2, True)
        ada, bo = await site.person("ada@acme.example"), await site.person("bo@x.example")
        assert (ada.name, ada.phone, ada.source) == ("Ada Lovelace", "+34651234567", "csv")
        assert ada.attributes == {
            "company_name": "Acme", "country": "DE", "plan": "pro", "seats": 5,
        }  # fmt: skip
        assert ada.segments == ["beta", "vip"]
        assert ada.segment_sources == {"beta": ["csv"], "vip": ["csv"]}
        assert (bo.name, bo.attributes["country"]) == ("Bo", "DE")
        assert bo.field_sources["name"]["source"] == "inferred"  # SPEC I4
        assert ada.field_sources["phone"]["by"] == done.id  # SPEC V1
        kinds = {row.key: row.type for row in await site.rows(select(custom_attributes))}
        assert kinds == {"plan": "text", "seats": "integer"}
        actions = [row.action for row in await site.rows(select(audit_log))]
        assert {"import.begun", "import.committed"} <= set(actions)


async def test_the_same_file_twice_is_unchanged(database_url: str, tmp_path: Path) -> None:
    async with importing(database_url, tmp_path) as site:
        await site.run(FILE)
        before = await site.everything()
        again = await site.run(FILE)
        assert (again.counts["unchanged"], again.counts["error"]) == (2, 3)
        assert await site.everything() == before


async def test_conversations_find_their_contact_at_once(database_url: str, tmp_path: Path) -> None:
    async with importing(database_url, tmp_path) as site:  # SPEC I12, M2, M5
        await site.take(
            talk("t1", meta={"email": "Ada@Acme.example"}),
            talk("t2", meta={"email": "bo@x.example"}),
        )
        assert (await site.conversation("t1")).unmatched_reason == "unknown_email"
        await site.run(FILE)
        found = await site.conversation("t1")
        ada = await site.person("ada@acme.example")
        assert (found.contact_id, found.match_rule) == (ada.id, "email")
        assert await site.companies_of_talk("t1") == ["Acme"]


async def test_addresses_that_two_contacts_share_are_errors(
    database_url: str, tmp_path: Path
) -> None:
    async with importing(database_url, tmp_path) as site:  # SPEC M4
        await site.add_by_hand("One", "ada@acme.example")
        await site.add_by_hand("Two", "ada@acme.example")
        two = await site.add_by_hand("Three", "cy@x.example", "cy2@x.example")
        planned = await site.plan(
            "email,name\nada@acme.example,A\ncy@x.example,C\ncy2@x.example,C2\n"
        )
        lines = await site.lines(planned.id)
        assert [lines[n].outcome for n in (2, 3, 4)] == ["error", "update", "error"]
        assert lines[2].problems[0]["code"] == "ambiguous_address"
        assert lines[4].problems[0]["code"] == "duplicate_contact"
        await site.commit(planned)
        assert (await site.person("cy2@x.example")).id == two


async def test_what_a_pull_says_and_a_file_says_do_not_fight(
    database_url: str, tmp_path: Path
) -> None:
    async with importing(database_url, tmp_path) as site:  # SPEC D7
        told = {"nickname": "Ada", "phone": "1"}
        await site.take(person("p", email="a@x.example", person=told, segments=["crisp-own"]))
        await site.run(
            "email,name,phone,segments\na@x.example,Ada King,+34651234567,crisp-own|own\n"
        )
        await site.take(person("p", 5, email="a@x.example", person=told, segments=[], notepad="x"))
        row = await site.contact("p")
        assert (row.name, row.phone) == ("Ada King", "+34651234567")
        assert row.segments == ["crisp-own", "own"]
        changed = {"nickname": "Ada", "phone": "2"}
        await site.take(person("p", 9, email="a@x.example", person=changed, segments=[]))
        row = await site.contact("p")
        assert (row.name, row.phone) == ("Ada King", "2")
        assert "phone" not in row.field_sources


async def test_a_crisp_profile_adopts_an_imported_contact(
    database_url: str, tmp_path: Path
) -> None:
    async with importing(database_url, tmp_path) as site:  # SPEC M4
        done = await site.run("email,data.plan\na@x.example,pro\n")
        await site.take(person("p", email="a@x.example", person={"nickname": "Ada"}))
        row = await site.contact("p")
        assert (row.name, row.attributes, row.source) == ("Ada", {"plan": "pro"}, "csv")
        undone = await site.undo(done.id)
        assert undone.counts["kept"] == 1  # Crisp knows it: it stays, without what the file said
        assert (await site.contact("p")).attributes == {}
        assert (await site.contact("p")).name == "Ada"


async def test_rows_whose_contact_changed_meanwhile_are_refused(
    database_url: str, tmp_path: Path
) -> None:
    async with importing(database_url, tmp_path) as site:  # SPEC I7
        await site.take(person("p", email="a@x.example", person={"nickname": "Ada"}))
        text = "email,phone\na@x.example,+34651234567\nb@x.example,+34651234568\nc@x.example,\n"
        planned = await site.plan(text)
        await site.take(person("p", 5, email="a@x.example", person={"nickname": "Anna"}))
        await site.add_by_hand("B", "b@x.example")
        done = await site.commit(planned)
        assert (done.counts["refused"], done.counts["created"]) == (2, 1)
        lines = await site.lines(done.id)
        assert lines[2].state == lines[3].state == "refused"
        assert lines[2].problems[0]["code"] == "changed_meanwhile"
        assert (await site.contact("p")).phone is None

        await ask_again(site.db, site.id, done.id, MEMBER)
        await site.work()
        again = await site.row(done.id)
        assert (again.state, again.counts["update"], adds_up(again.counts)) == ("planned", 2, True)
        done = await site.commit(again)
        assert (done.counts["refused"], done.counts["updated"]) == (0, 2)
        assert (await site.contact("p")).phone == "+34651234567"
        with pytest.raises(Refused, match="nothing to plan again"):
            await ask_again(site.db, site.id, done.id, MEMBER)
        await site.undo(done.id)
        assert (await site.contact("p")).phone is None


async def test_last_activity_does_not_refuse_rows_that_do_not_tell_it(
    database_url: str, tmp_path: Path
) -> None:
    async with importing(database_url, tmp_path) as site:
        await site.take(person("p", email="a@x.example"))
        planned = await site.plan("email,phone\na@x.example,+34651234567\n")
        await site.take(person("p", 5, email="a@x.example", active={"last": ms(5)}))
        assert (await site.commit(planned)).counts["updated"] == 1


async def test_plans_are_hashed_and_expire(database_url: str, tmp_path: Path) -> None:
    async with importing(database_url, tmp_path) as site:
        planned = await site.plan("email\na@x.example\n")
        with pytest.raises(Conflict, match="not the plan that you saw"):
            await ask_commit(site.db, site.id, planned.id, "0" * 32, MEMBER)
        late = clock.now() - timedelta(minutes=1)
        await site.execute(one_import(site.id, planned.id).values(expires_at=late))
        with pytest.raises(Conflict, match="older than a day"):
            await site.commit(planned)
        await ask_again(site.db, site.id, planned.id, MEMBER)
        await site.work()
        assert (await site.commit(await site.row(planned.id))).counts["created"] == 1


async def test_a_viewer_may_not_import(sqlite_url: str, tmp_path: Path) -> None:
    viewer = Actor("user", "v", "viewer", Role.VIEWER)
    async with importing(sqlite_url, tmp_path) as site:
        planned = await site.plan("email\na@x.example\n")
        with pytest.raises(Exception, match="needs the role member"):
            await ask_commit(site.db, site.id, planned.id, planned.plan_hash, viewer)
        with pytest.raises(Exception, match="needs the role member"):
            await ask_undo(site.db, site.id, planned.id, viewer)


async def test_bad_rows_are_repaired_and_add_up(database_url: str, tmp_path: Path) -> None:
    from app.imports.downloads import bad_rows_of

    async with importing(database_url, tmp_path) as site:  # SPEC I8
        first = await site.run(FILE)
        text = "".join([part async for part in bad_rows_of(site.db, site.folder, first)])
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [row["crispsync_line"] for row in rows] == ["4", "5", "6"]
        assert rows[0]["crispsync_code"] == "email_missing"
        assert rows[2]["Phone"] == "not a phone"
        assert rows[2]["crispsync_column"] == "Phone | Country | data.seats"

        rows[0]["E-mail"] = "dee@x.example"
        rows[2] |= {"Phone": "", "Country": "FR", "data.seats": "7"}
        repaired = io.StringIO()
        writer = csv.DictWriter(repaired, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        second = await site.run(repaired.getvalue())
        assert second.repairs == first.id
        # The third says something of Ada, who exists now: it was no new row, and is none any more.
        assert (second.counts["created"], second.counts["updated"]) == (2, 1)
        assert (await site.row(first.id)).counts["repaired"] == 3
        await site.undo(second.id)
        assert (await site.row(first.id)).counts["repaired"] == 0
        left = "".join([part async for part in bad_rows_of(site.db, site.folder, first)])
        assert left == text


async def test_undo_takes_back_what_nobody_changed_since(database_url: str, tmp_path: Path) -> None:
    async with importing(database_url, tmp_path) as site:  # SPEC I10
        await site.take(
            person("p", email="bo@x.example", person={"nickname": "Bo"}),
            talk("t", meta={"email": "ada@acme.example"}),
        )
        before = await site.everything()
        done = await site.run(FILE)
        undone = await site.undo(done.id)
        assert (undone.state, undone.counts["undone"], undone.counts["kept"]) == ("undone", 2, 0)
        assert await site.everything() == before


async def test_undo_keeps_and_reports_what_others_changed(
    database_url: str, tmp_path: Path
) -> None:
    async with importing(database_url, tmp_path) as site:  # SPEC I10
        await site.take(person("p", email="a@x.example", person={"nickname": "Ada", "phone": "1"}))
        text = "email,name,phone,company\na@x.example,Ada King,+34651234567,Acme\nb@x.example,B,,Acme\n"
        done = await site.run(text)
        await site.take(
            person("p", 5, email="a@x.example", person={"nickname": "Anna", "phone": "1"})
        )
        await site.execute(
            update(contacts)
            .where(contacts.c.email == "b@x.example")
            .values(avatar="https://x.example")
        )
        undone = await site.undo(done.id)
        assert (undone.counts["undone"], undone.counts["kept"]) == (0, 2)
        row = await site.contact("p")
        assert (row.name, row.phone) == ("Anna", "1")
        lines = await site.lines(done.id)
        assert (lines[2].problems[0]["code"], lines[2].problems[0]["column"]) == (
            "changed_since", "name",
        )  # fmt: skip
        assert "avatar" in lines[3].problems[0]["reason"]
        kept = await site.person("b@x.example")
        assert (kept.name, kept.avatar) == (None, "https://x.example")
        assert await site.rows(select(companies)) == []


async def test_undo_keeps_a_contact_into_which_another_was_merged(
    database_url: str, tmp_path: Path
) -> None:
    async with importing(database_url, tmp_path) as site:
        await site.take(person("ben", email="ben@b.example"), talk("s", people_id="ben"))
        done = await site.run("email,name\nada@acme.example,Ada\n")
        ada = await site.person("ada@acme.example")
        ben = (await site.contact("ben")).id
        merge_id = await merged(site, "contact", ben, ada.id)
        undone = await site.undo(done.id)
        assert (undone.counts["undone"], undone.counts["kept"]) == (0, 1)
        assert (await site.lines(done.id))[2].problems[0]["code"] == "merged"
        kept = await site.person("ada@acme.example")
        assert (kept.id, kept.name, kept.deleted_at) == (ada.id, "Ada", None)
        assert (await site.conversation("s")).contact_id == ada.id
        await taken_back(site, merge_id)
        assert await site.owner("s") == "ben"


async def test_undo_by_row(database_url: str, tmp_path: Path) -> None:
    async with importing(database_url, tmp_path) as site:
        done = await site.run("email,company\na@x.example,Acme\nb@x.example,Other\n")
        assert await undo_some(site.db, site.id, done.id, [3], MEMBER) == 1
        assert [row.name for row in await site.rows(select(companies))] == ["Acme"]
        assert [row.email for row in await site.rows(select(contacts))] == ["a@x.example"]
        assert (await site.row(done.id)).counts["undone"] == 1
        with pytest.raises(Refused, match="undone already"):
            await undo_some(site.db, site.id, done.id, [3], MEMBER)
        await site.undo(done.id)
        assert await site.rows(select(contacts)) == []


async def test_companies_are_made_found_and_replaced(database_url: str, tmp_path: Path) -> None:
    head = "email,company,website,company description\n"
    async with importing(database_url, tmp_path) as site:  # SPEC D6, M3
        await site.take(
            person("p", email="a@x.example", company={"name": "Acme"}),
            talk("t", 0, people_id="p"),
        )
        first = await site.run(
            f"{head}a@x.example,Acme,acme.example,Makes anvils\nb@x.example,,acme.example,Other words\n"
        )
        row = (await site.rows(select(companies)))[0]
        assert (row.name, row.domain) == ("Acme", "acme.example" if first else None)
        assert row.attributes == {"description": "Makes anvils"}
        again = await site.plan(f"{head}a@x.example,Acme,acme.example,Makes anvils\n")
        assert again.counts == {"rows": 1, "unchanged": 1}
        await site.run(f"{head}b@x.example,Beta,,\n")
        assert await site.company_names() == ["Acme", "Beta"]
        b = await site.person("b@x.example")
        assert b.attributes["company_name"] == "Beta"
        await site.run(f"{head}a@x.example,Beta,,\n")
        # One more company: the earlier conversation is its as well.
        assert await site.companies_of_talk("t") == ["Acme", "Beta"]


async def test_the_first_row_that_names_a_company_describes_it(
    database_url: str, tmp_path: Path
) -> None:
    """Also where rows name it in two ways; a row that is skipped decides nothing."""
    file = (
        "email,company,website,company description\n"
        "a@x.example,Acme,acme.example,Anvils\nb@x.example,Acme,,Other\n"
    )
    async with importing(database_url, tmp_path) as site:
        await site.run(file)
        (acme,) = await site.rows(select(companies))
        assert acme.attributes == {"description": "Anvils"}
        assert (await site.plan(file)).counts == {"rows": 2, "unchanged": 2}
        other = file.replace("Anvils", "More").replace("a@x", "new@x")
        await site.run(other, "update-only")
        (acme,) = await site.rows(select(companies))
        assert acme.attributes == {"description": "Other"}


async def test_modes_and_a_segment_for_all(database_url: str, tmp_path: Path) -> None:
    text = "email,name,data.plan\na@x.example,,\nb@x.example,B,pro\n"
    async with importing(database_url, tmp_path) as site:  # SPEC I6
        await site.run("email,name,data.plan\na@x.example,Ada,free\n")
        planned = await site.plan(text, "create-only")
        assert (planned.counts["create"], planned.counts["skip"]) == (1, 1)
        planned = await site.plan(text, "update-only")
        assert (planned.counts["update"], planned.counts["skip"]) == (1, 1)
        assert (await site.plan(text, "fill-empty")).counts["unchanged"] == 1
        await site.run(text, "overwrite", segment="spring")
        row = await site.person("a@x.example")
        assert (row.name, row.attributes, row.segments) == (None, {}, ["spring"])


async def test_attributes_keep_their_type(database_url: str, tmp_path: Path) -> None:
    async with importing(database_url, tmp_path) as site:  # SPEC I3
        await site.run("email,data.seats\na@x.example,5\n")
        columns = {"email": "email", "data.seats": {"to": "data.seats", "type": "date"}}
        with pytest.raises(Refused, match="seats is of the type integer here"):
            await site.plan("email,data.seats\na@x.example,6\n", columns=columns)


@pytest.mark.parametrize("state", ["planning", "committing", "undoing"])
async def test_a_killed_import_goes_on_where_it_stopped(
    database_url: str, tmp_path: Path, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("plan", "chunks", "undo"):
        monkeypatch.setattr(f"app.imports.{module}.CHUNK", 7)
    rows = "".join(f"p{n}@x.example,P {n}\n" for n in range(40)) + "p3@x.example,Again\n"
    async with importing(database_url, tmp_path) as site:  # SPEC I9
        before = await site.everything()
        import_id = await site.begin(f"email,name\n{rows}")
        row = await site.row(import_id)
        choice = Choice(columns_of_import(row), "merge", {})

        async def step(name: str) -> Any:
            if name == state:
                await stop_in_the_middle(site, import_id)
            await site.work()
            return await site.row(import_id)

        await ask_plan(site.db, site.id, import_id, choice, MEMBER)
        planned = await step("planning")
        assert planned.counts == {"rows": 41, "create": 40, "error": 1}
        await ask_commit(site.db, site.id, import_id, planned.plan_hash, MEMBER)
        done = await step("committing")
        assert done.counts["created"] == 40
        assert len(await site.rows(select(contacts))) == 40
        await ask_undo(site.db, site.id, import_id, MEMBER)
        undone = await step("undoing")
        assert undone.counts["undone"] == 40
        assert await site.everything() == before


async def stop_in_the_middle(site: Any, import_id: str) -> None:
    """As kill -9 leaves it: some chunks are written, the lease runs out later."""
    from app.imports import worker

    held = await claim_import(site.db, site.folder, "killed", 10, import_id)
    assert held is not None
    real, saved = type(held).save, 0

    async def save(self: Any, connection: Any, **values: Any) -> None:
        nonlocal saved
        saved += 1
        if saved > 3:
            raise asyncio.CancelledError
        await real(self, connection, **values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(held), "save", save)
        with pytest.raises(asyncio.CancelledError):
            await worker._STEPS[held.row.state](held)
    assert await claim_import(site.db, site.folder, "other", 10, import_id) is None
    await site.execute(one_import(site.id, import_id).values(lease_until_ms=0))


async def test_whoever_lost_the_lease_writes_nothing(database_url: str, tmp_path: Path) -> None:
    from app.imports.worker import execute

    async with importing(database_url, tmp_path) as site:  # FAILURES case 34
        import_id = await site.begin("email\na@x.example\n")
        choice = Choice(columns_of_import(await site.row(import_id)), "merge", {})
        await ask_plan(site.db, site.id, import_id, choice, MEMBER)
        late = await claim_import(site.db, site.folder, "paused", 10)
        await site.execute(one_import(site.id, import_id).values(lease_until_ms=0))
        await site.work()
        planned = await site.row(import_id)
        assert late is not None
        await execute(late)
        assert (await site.row(import_id)).plan_hash == planned.plan_hash
        assert len(await site.lines(import_id)) == 1


async def test_case_053_a_row_that_the_database_refuses_spoils_only_itself(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with importing(database_url, tmp_path) as site:
        planned = await site.plan("email,name\na@x.example,A\nb@x.example,B\nc@x.example,C\n")
        lines = await site.lines(planned.id)
        # No cell can hold it; a plan that somebody spoiled can.
        bad = {**lines[3].changes, "fields": {"name": [None, 5]}}
        await site.execute(update(import_rows).where(import_rows.c.line == 3).values(changes=bad))
        done = await site.commit(planned)
        assert (done.counts["created"], done.counts["refused"]) == (2, 1)
        assert (await site.lines(done.id))[3].problems[0]["code"] == "refused_by_database"


async def test_a_file_that_is_gone_ends_in_a_sentence(sqlite_url: str, tmp_path: Path) -> None:
    async with importing(sqlite_url, tmp_path) as site:
        import_id = await site.begin("email\na@x.example\n")
        row = await site.row(import_id)
        (site.folder / row.file).unlink()
        await ask_plan(
            site.db, site.id, import_id, Choice(columns_of_import(row), "merge", {}), MEMBER
        )
        await site.work()
        failed = await site.row(import_id)
        assert (failed.state, failed.error) == (
            "failed", "The file of this import is kept no longer: upload it again.",
        )  # fmt: skip


async def test_cancelling_forgets_the_file(sqlite_url: str, tmp_path: Path) -> None:
    async with importing(sqlite_url, tmp_path) as site:
        planned = await site.plan("email\na@x.example\n")
        await cancel(site.db, site.folder, site.id, planned.id, MEMBER)
        assert (await site.row(planned.id)).state == "cancelled"
        assert list(site.folder.iterdir()) == []
        with pytest.raises(Refused):
            await site.begin("PK\x03\x04")
        assert list(site.folder.iterdir()) == []


async def test_another_layout_suggests_anew(sqlite_url: str, tmp_path: Path) -> None:
    async with importing(sqlite_url, tmp_path) as site:
        import_id = await site.begin("email;name\na@x.example;K\xf6ln\n".encode("cp1252"))
        assert (await site.row(import_id)).layout["encoding"] == "cp1252"
        other = Layout("cp1252", ",", header=True)
        await change_layout(site.db, site.folder, site.id, import_id, other, MEMBER)
        assert [c["column"] for c in (await site.row(import_id)).columns] == ["email;name"]
        assert isinstance(Reader(site.folder / (await site.row(import_id)).file, other).size, int)


async def test_planning_leaves_the_loop_free(sqlite_url: str, tmp_path: Path) -> None:
    rows = "".join(f"p{n}@x.example,P {n},+3465123{n % 10000:04d}\n" for n in range(6000))
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            await asyncio.sleep(0.01)
            longest = max(longest, loop.time() - begun)

    async with importing(sqlite_url, tmp_path) as site:  # FAILURES case 86
        started = asyncio.get_running_loop().time()
        watching = asyncio.create_task(watch())
        await site.plan(f"email,name,phone\n{rows}")
        watching.cancel()
        assert longest < (asyncio.get_running_loop().time() - started) * 0.6


async def test_starting_over_with_a_wrong_website(sqlite_url: str, tmp_path: Path) -> None:
    from app.imports.uploads import store_copy

    path = tmp_path / "x.csv"
    path.write_text("email\na@x.example\n")
    async with importing(sqlite_url, tmp_path) as site:
        stored = store_copy(site.folder, path, 1)
        other = "1f0f5b8e-3c55-4c0a-9a5d-6f2f9d1f7a11"
        with pytest.raises(Refused, match="not connected"):
            await begin_import(site.db, site.folder, other, stored, MEMBER)
        assert await site.rows(select(imports)) == []


async def test_erasing_a_website_forgets_its_files(sqlite_url: str, tmp_path: Path) -> None:
    async with importing(sqlite_url, tmp_path) as site:
        await site.begin("email\na@x.example\n")
        await site.plan("email\nb@x.example\n")
        await forget_files(site.db, site.folder, site.id)
        assert list(site.folder.iterdir()) == []
