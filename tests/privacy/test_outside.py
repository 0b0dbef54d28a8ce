"""The list of erased people outside the database: written first, applied again, never claimed without it (P6)."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select

from app.accounts.actors import COMMAND
from app.clock import now
from app.contacts.outside import NotKept, add_outside, outside_file, person_line, read_outside
from app.contacts.tables import contact_emails, contacts, erased_identities
from app.conversations.tables import conversations
from app.privacy.erase import erase_contact, erase_person
from app.privacy.outside import AnothersList
from app.privacy.person import find_person
from app.privacy.reapply import reapply
from app.privacy.website import erase_website
from app.settings import Settings, get_settings
from app.vault.keys import load_keyring
from app.vault.seal import Unreadable
from app.vault.store import rotate
from app.vault.tables import sealed_secrets
from app.websites.tables import websites
from tests.fixtures.program import SECRET_KEY
from tests.ingesting import Site, connected, person, said, talk
from tests.privacy.test_erase import ANN, BOB, OTHER, SESSION, ann_and_bob, counted

NEW_KEY = "new-9876543210-zyxwvutsrqponmlkjihgfedcba"


class Killed(Exception):
    """Between the file and the database."""


def settings_of(site: Site) -> Settings:
    get_settings.cache_clear()
    url = site.db.engine.url.render_as_string(hide_password=False)
    return get_settings().model_copy(update={"database_url": url})


def list_of(site: Site) -> Path:
    return outside_file(settings_of(site))


@asynccontextmanager
async def erased(database_url: str) -> AsyncIterator[Site]:
    """Ann was erased, Bob is there."""
    async with connected(database_url) as site:
        await erase_contact(site.db, COMMAND, await ann_and_bob(site))
        yield site


async def restore(site: Site, *, key_too: bool) -> None:
    """As from a backup of before Ann was erased, or of before anybody was."""
    await site.execute(delete(erased_identities))
    if key_too:
        await site.execute(delete(sealed_secrets))
    await site.execute(delete(contacts).where(contacts.c.crisp_people_id == BOB))
    await site.execute(delete(conversations))
    await ann_and_bob(site)
    assert await counted(site, contacts.c.crisp_people_id == ANN) == 1


async def assert_only_bob(site: Site) -> None:
    assert await counted(site, contacts.c.crisp_people_id == ANN) == 0
    assert await counted(site, conversations.c.session_id == SESSION) == 0
    assert await counted(site, contact_emails.c.email_norm == "ann@acme.example") == 0
    assert await site.owner(OTHER) == BOB
    kept = await site.conversation(OTHER)
    assert "ann@" not in str([kept.raw, kept.metadata]).lower()
    outcome = await site.take(person(ANN, 50, direct=True), said(SESSION, 9, "Again", at=50))
    assert outcome.kept_out == 2


async def test_hashes_are_on_the_disk_when_somebody_was_erased(database_url: str) -> None:
    async with erased(database_url) as site:
        path = list_of(site)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        text = path.read_text()
        assert not any(word in text for word in (ANN, SESSION, "acme", SECRET_KEY))
        found = read_outside(path)
        rows = await site.rows(select(erased_identities.c.digest))
        assert {digest for _, digest in found.people} == {row.digest for row in rows}
        assert len(found.keys) == 1


@pytest.mark.parametrize("key_too", [False, True])
async def test_case_089_restored_people_are_erased_again(database_url: str, key_too: bool) -> None:
    async with erased(database_url) as site:
        await restore(site, key_too=key_too)
        done = await reapply(site.db, settings_of(site))
        assert (done.identities, done.contacts, done.conversations) == (3, 1, 1)
        await assert_only_bob(site)
        again = await reapply(site.db, settings_of(site))
        assert (again.known, again.identities) == (3, 0)


async def test_case_089_another_contact_with_the_address_only_loses_it(database_url: str) -> None:
    async with erased(database_url) as site:
        await restore(site, key_too=False)
        bob = str((await site.contact(BOB)).id)
        await site.add_address(bob, "ann@acme.example")
        await reapply(site.db, settings_of(site))
        assert await site.addresses(BOB) == {"bob@acme.example"}
        await assert_only_bob(site)


async def test_case_089_a_contact_of_a_file_and_talks_of_nobody(database_url: str) -> None:
    """What had no Crisp id yet when the backup was made; and an address where it is only named."""
    alone = f"{SESSION[:-1]}8"
    async with erased(database_url) as site:
        await site.execute(delete(erased_identities))
        by_hand = await site.add_by_hand("Ann", "ann@acme.example")
        await site.take(talk(alone, 3, meta={"email": "Ann@acme.example"}), said(alone, 1, "Hello"))
        await reapply(site.db, settings_of(site))
        assert await counted(site, contacts.c.id == by_hand) == 0
        assert await counted(site, conversations.c.session_id == alone) == 0


async def test_an_erasure_that_cannot_be_kept_is_none(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ERASED_FILE", str(tmp_path / "file" / "erased.list"))
    get_settings.cache_clear()
    async with connected(database_url) as site:
        contact_id = await ann_and_bob(site)
        with pytest.raises(NotKept, match="nobody is erased"):
            await erase_contact(site.db, COMMAND, contact_id)
        assert await counted(site, contacts.c.crisp_people_id == ANN) == 1
        assert await counted(site, conversations.c.session_id == SESSION) == 1
        assert await site.rows(select(erased_identities)) == []
        with pytest.raises(NotKept):
            await erase_website(site.db, tmp_path, site.id, COMMAND)
        assert await counted(site, websites.c.id == site.id) == 1


async def test_an_erasure_cut_off_before_the_commit_is_finished(database_url: str) -> None:
    async with connected(database_url) as site:
        contact_id = await ann_and_bob(site)
        with suppress(Killed):
            async with site.db.write() as connection:
                person_of = await find_person(connection, contact_id)
                await erase_person(connection, COMMAND, person_of)
                raise Killed
        assert await counted(site, contacts.c.crisp_people_id == ANN) == 1
        done = await reapply(site.db, settings_of(site))
        assert done.contacts == 1
        await assert_only_bob(site)


async def test_a_rotated_key_opens_the_list(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with erased(database_url) as site:
        monkeypatch.setenv("SECRET_KEY", f"{NEW_KEY},{SECRET_KEY}")
        settings = settings_of(site)
        await rotate(site.db, load_keyring(settings))
        await reapply(site.db, settings)  # as `keys rotate` and every start does
        assert len(read_outside(list_of(site)).keys) == 2
        monkeypatch.setenv("SECRET_KEY", NEW_KEY)
        await restore(site, key_too=True)
        await reapply(site.db, settings_of(site))
        await assert_only_bob(site)


async def test_a_list_that_nobody_can_open_stops_the_start(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with erased(database_url) as site:
        await restore(site, key_too=True)
        monkeypatch.setenv("SECRET_KEY", NEW_KEY)
        with pytest.raises(Unreadable, match="SECRET_KEY"):
            await reapply(site.db, settings_of(site))
        # Known to the database, it brings nobody back, and the start is not stopped.
        monkeypatch.setenv("SECRET_KEY", SECRET_KEY)
        await reapply(site.db, settings_of(site))
        monkeypatch.setenv("SECRET_KEY", NEW_KEY)
        assert (await reapply(site.db, settings_of(site))).identities == 0


async def test_the_list_of_another_database_is_refused(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with erased(database_url) as site:
        first = list_of(site)
        monkeypatch.setenv("ERASED_FILE", str(tmp_path / "second.list"))
        await site.execute(delete(erased_identities))
        await site.execute(delete(sealed_secrets))
        await site.take(person("66666666-aaaa-4aaa-8aaa-111111111111", email="eve@acme.example"))
        settings_of(site)
        eve = await site.contact("66666666-aaaa-4aaa-8aaa-111111111111")
        await erase_contact(site.db, COMMAND, str(eve.id))
        monkeypatch.setenv("ERASED_FILE", str(first))
        with pytest.raises(AnothersList, match="another database"):
            await reapply(site.db, settings_of(site))


async def test_what_an_older_version_erased_gets_onto_the_list(database_url: str) -> None:
    async with erased(database_url) as site:
        list_of(site).unlink()
        await reapply(site.db, settings_of(site))
        found = read_outside(list_of(site))
        assert (len(found.people), len(found.keys)) == (3, 1)


async def test_a_line_that_was_cut_off_swallows_none(tmp_path: Path) -> None:
    path = tmp_path / "new" / "erased.list"
    add_outside(path, [person_line("w", "one", now())])
    with path.open("a") as cut:
        cut.write('{"website_id":"w","dig')
    add_outside(path, [person_line("w", "two", now())])
    with path.open("a") as strange:
        strange.write("[1]\n7\n\n")
    found = read_outside(path)
    assert set(found.people) == {("w", "one"), ("w", "two")}
    assert found.torn == 3
    assert json.loads(path.read_text().splitlines()[2])["digest"] == "two"


async def test_case_089_an_erased_website_is_erased_again_and_a_new_one_is_not(
    database_url: str, tmp_path: Path
) -> None:
    async with connected(database_url) as site:
        [row] = [dict(r._mapping) for r in await site.rows(select(websites))]
        await ann_and_bob(site)
        await erase_website(site.db, tmp_path, site.id, COMMAND)
        await site.execute(websites.insert().values(**row))
        await ann_and_bob(site)
        assert (await reapply(site.db, settings_of(site))).websites == 1
        assert (await site.rows(select(func.count()).select_from(contacts)))[0][0] == 0
        await site.execute(websites.insert().values(**row | {"connected_at": now()}))
        assert (await reapply(site.db, settings_of(site))).websites == 0
