"""Erasing a person and keeping them out, through the writer, the hooks and the audit log (SPEC P6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from app.accounts.actors import COMMAND, Actor, Forbidden, Role
from app.accounts.audit import audit
from app.accounts.tables import audit_log
from app.contacts.erased import find_erased
from app.contacts.tables import contact_emails, contacts, erased_identities
from app.conversations.tables import conversations, messages
from app.errors import NotFound, Refused
from app.ingest import ingest_edits
from app.privacy.erase import erase_address, erase_contact
from app.privacy.sweep import sweep
from app.records import ContactEdit
from app.sync.tables import audit_findings
from app.webhooks.tables import inbox_events
from tests.hooking import hook, hooked, sent
from tests.imports.importing import importing
from tests.ingesting import Site, connected, person, said, talk
from tests.pulling import sandbox_and_crispsync

ANN = "11111111-aaaa-4aaa-8aaa-111111111111"
BOB = "22222222-bbbb-4bbb-8bbb-222222222222"
SESSION = "session_33333333-cccc-4ccc-8ccc-333333333333"
OTHER = "session_44444444-dddd-4ddd-8ddd-444444444444"


async def ann_and_bob(site: Site) -> str:
    await site.take(
        person(ANN, email="Ann@acme.example", person={"nickname": "Ann"}),
        person(BOB, email="bob@acme.example", person={"nickname": "Bob"}),
        talk(SESSION, people_id=ANN, meta={"email": "ann@acme.example", "nickname": "Ann"}),
        said(SESSION, 1, "I am Ann"),
        talk(
            OTHER,
            people_id=BOB,
            meta={"email": "bob@acme.example", "nickname": "Bob"},
            participants=[{"type": "email", "target": "ANN@acme.example"}],
        ),
        said(OTHER, 2, "I am Bob", user={"nickname": "Bob", "user_id": "ann@acme.example"}),
    )
    return str((await site.contact(ANN)).id)


async def counted(site: Site, *where: Any) -> int:
    return int((await site.rows(select(func.count()).where(*where)))[0][0])


async def test_everything_of_the_person_goes_and_nothing_of_others(database_url: str) -> None:
    async with connected(database_url) as site:
        contact_id = await ann_and_bob(site)
        done = await erase_contact(site.db, COMMAND, contact_id)
        assert (done.contacts, done.conversations, done.messages) == (1, 1, 1)
        assert await counted(site, contacts.c.crisp_people_id == ANN) == 0
        assert await counted(site, contact_emails.c.email_norm == "ann@acme.example") == 0
        assert await counted(site, conversations.c.session_id == SESSION) == 0
        assert await counted(site, messages.c.fingerprint == 1) == 0
        assert await site.owner(OTHER) == BOB
        kept = await site.conversation(OTHER)
        assert kept.metadata["participants"] == [{"type": "email", "target": None}]
        assert "ann@" not in str(kept.raw).lower()
        message = await site.message(OTHER, 2)
        assert message.body == "I am Bob"
        assert "ann@" not in str(message.raw).lower()


async def test_the_audit_tells_counts_and_forgets_values(database_url: str) -> None:
    async with connected(database_url) as site:
        contact_id = await ann_and_bob(site)
        async with site.db.write() as connection:
            for subject, before in (
                (("contact", contact_id), {"name": "Ann"}),
                (("contact", "other"), {"note": "same as ann@ACME.example"}),
                (("contact", "third"), {"name": "Bob"}),
            ):
                await audit(
                    connection, COMMAND, "contact.edited", website_id=site.id, subject=subject,
                    before=before, after=before,
                )  # fmt: skip
        await erase_contact(site.db, COMMAND, contact_id)
        rows = await site.rows(select(audit_log).order_by(audit_log.c.at, audit_log.c.id))
        edited = {row.subject_id: row.before for row in rows if row.action == "contact.edited"}
        assert edited == {contact_id: None, "other": None, "third": {"name": "Bob"}}
        [erased] = [row for row in rows if row.action == "person.erased"]
        assert erased.subject_id is None
        assert erased.after == {
            "contacts": 1, "conversations": 1, "messages": 1, "shared_addresses": 0,
        }  # fmt: skip


async def test_nothing_brings_them_back(database_url: str) -> None:
    # SPEC D4: not even a GET of the record itself that began later.
    async with connected(database_url) as site:
        await erase_contact(site.db, COMMAND, await ann_and_bob(site))
        outcome = await site.take(
            person(ANN, 5, direct=True, email="ann@acme.example"),
            talk(SESSION, 5, direct=True, people_id=ANN, meta={"email": "ann@acme.example"}),
            said(SESSION, 9, "Again", at=5),
        )
        assert outcome.kept_out == 3
        assert await counted(site, contacts.c.crisp_people_id == ANN) == 0
        assert await counted(site, conversations.c.session_id == SESSION) == 0
        await site.remove_person(ANN, 9)
        await site.remove_talk(SESSION, 9)
        assert await counted(site, contacts.c.crisp_people_id == ANN) == 0
        assert await counted(site, conversations.c.session_id == SESSION) == 0


async def test_case_067_new_id_with_the_same_address_is_kept_out(database_url: str) -> None:
    new, later = "55555555-eeee-4eee-8eee-555555555555", f"{SESSION[:-1]}9"
    async with connected(database_url) as site:
        await erase_contact(site.db, COMMAND, await ann_and_bob(site))
        await hooked(site, sent(later, 7, "before anybody knew whose it is", at=6))
        assert await counted(site, conversations.c.session_id == later) == 1
        await site.take(
            person(new, 8, email=" ANN@acme.example "),
            talk(later, 8, people_id=new, meta={"email": "Ann@Acme.example"}),
        )
        assert await counted(site, contacts.c.crisp_people_id == new) == 0
        assert await counted(site, conversations.c.session_id == later) == 0
        # From now on by their own ids, also where the address is not told.
        outcome = await site.take(person(new, 9), said(later, 8, "more", at=9))
        assert outcome.kept_out == 2
        # And the hook that came before is swept.
        await sweep(site.db, Path("nowhere"))
        assert await counted(site, inbox_events.c.body.is_not(None)) == 0


async def test_who_is_known_loses_only_the_erased_address(database_url: str) -> None:
    async with connected(database_url) as site:
        await erase_contact(site.db, COMMAND, await ann_and_bob(site))
        await site.take(
            person(BOB, 5, email="ann@acme.example", person={"nickname": "Robert"}),
            talk(OTHER, 5, people_id=BOB, meta={"email": "ann@acme.example"}, state="resolved"),
        )
        bob = await site.contact(BOB)
        assert (bob.name, bob.email) == ("Robert", None)
        kept = await site.conversation(OTHER)
        assert (kept.status, kept.email) == ("resolved", None)
        assert "ann@" not in str([bob.crisp_raw, bob.crisp_fields, kept.raw]).lower()


async def test_a_shared_address_stays_with_the_other(database_url: str) -> None:
    async with connected(database_url) as site:
        contact_id = await ann_and_bob(site)
        await site.add_address(str((await site.contact(BOB)).id), "ann@acme.example")
        done = await erase_contact(site.db, COMMAND, contact_id)
        assert done.shared_addresses == 1
        assert await site.addresses(BOB) == {"bob@acme.example", "ann@acme.example"}
        # Whoever means the address means everybody who has it.
        await erase_address(site.db, COMMAND, "ANN@acme.example")
        assert await counted(site, contacts.c.crisp_people_id == BOB) == 0
        async with site.db.read() as connection:
            found = await find_erased(connection, site.id, ["ann@acme.example", "x@acme.example"])
        assert found == {"ann@acme.example"}


async def test_hooks_about_them_lose_their_body_at_once(database_url: str) -> None:
    async with connected(database_url) as site:
        contact_id = await ann_and_bob(site)
        await hooked(site, sent(SESSION, 3, "secret", at=2), sent(OTHER, 4, "of Bob", at=2))
        await erase_contact(site.db, COMMAND, contact_id)
        assert await sweep(site.db, Path("nowhere")) == 1
        assert await sweep(site.db, Path("nowhere")) == 0
        rows = await site.rows(select(inbox_events.c.body).where(inbox_events.c.body.is_not(None)))
        assert len(rows) == 1
        late, other = await hooked(
            site,
            hook("people:profile:updated", 9, people_id=ANN, update={"person": {"nickname": "A"}}),
            hook("session:set_email", 9, session_id=OTHER, email="ann@acme.example"),
        )
        assert (late.body, other.body) == (None, None)
        assert await counted(site, contacts.c.crisp_people_id == ANN) == 0
        assert (await site.conversation(OTHER)).email is None


async def test_only_hashes_are_left(database_url: str) -> None:
    async with connected(database_url) as site:
        await erase_contact(site.db, COMMAND, await ann_and_bob(site))
        rows = await site.rows(select(erased_identities.c.digest))
        assert len(rows) == 3
        assert all(len(row.digest) == 64 for row in rows)


async def test_who_may_and_whom(database_url: str) -> None:
    async with connected(database_url) as site:
        member = Actor("user", "m", "m", Role.MEMBER)
        contact_id = await ann_and_bob(site)
        with pytest.raises(Forbidden):
            await erase_contact(site.db, member, contact_id)
        for missing in ("nobody@acme.example", "no address"):
            with pytest.raises(NotFound):
                await erase_address(site.db, COMMAND, missing)
        with pytest.raises(NotFound):
            await erase_contact(site.db, COMMAND, "none")


async def test_an_import_refuses_their_row_and_keeps_nothing_of_it(
    database_url: str, tmp_path: Path
) -> None:
    async with importing(database_url, tmp_path) as site:
        file = "E-mail,Name\nann@acme.example,Ann\nbo@acme.example,Bo\n"
        await site.take(person(ANN, email="ann@acme.example"))
        before = await site.plan(file)
        await erase_contact(site.db, COMMAND, str((await site.contact(ANN)).id))
        assert (await site.row(before.id)).state == "cancelled"
        await sweep(site.db, site.folder)
        assert list(site.folder.iterdir()) == []

        planned = await site.plan(file)
        lines = await site.lines(planned.id)
        assert [problem["code"] for problem in lines[2].problems] == ["erased"]
        assert (lines[2].cells, lines[2].email_norm, lines[3].outcome) == (None, None, "create")
        edit = ContactEdit("new", made_by="manual", email="ANN@acme.example")
        with pytest.raises(Refused, match="erased"):
            await site.db.transact(lambda c: ingest_edits(c, site.id, [edit]))


async def test_nobody_misses_who_was_erased(database_url: str) -> None:  # SPEC P6, S1, S8, S9
    async with sandbox_and_crispsync(
        database_url, people=10, conversations=20, frozen=True, others=()
    ) as crisp:
        crisp.world.clock.advance(600_000)
        assert await crisp.run("full") == "done"
        query = select(contacts.c.id, contacts.c.crisp_people_id).order_by(contacts.c.id)
        chosen = (await crisp.rows(query))[0]
        await erase_contact(crisp.db, COMMAND, chosen.id)
        crisp.world.clock.advance(600_000)
        assert await crisp.run("full") == "done"
        assert await crisp.run("audit", sample={"sample": "all"}) == "done"
        assert await crisp.rows(select(audit_findings)) == []
        assert chosen.crisp_people_id not in {r.crisp_people_id for r in await crisp.rows(query)}
