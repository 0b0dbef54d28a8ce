"""Sealed values: bound to their place and key, rotated, and still there when a key is not (SPEC P2)."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import select, update

from app.db.session import Database, open_database
from app.errors import Refused
from app.settings import Settings
from app.vault import store
from app.vault.keys import FILE, Keyring, load_keyring
from app.vault.seal import PLUGIN, Unreadable
from app.vault.store import find_sealed, find_unreadable, open_row, rotate, store_secrets
from app.vault.tables import sealed_secrets
from tests.fixtures.program import SECRET_KEY, Program

HERE = "8c842203-7ed8-4e29-a608-7cf78a7d2fcc"
ELSEWHERE = "5b1c1d9e-2f0a-4f3b-8a7e-0c9d8e7f6a5b"
OLD = "old-0123456789-abcdefghijklmnopqrstuvwxyz"
NEW = "new-9876543210-zyxwvutsrqponmlkjihgfedcba"


def ring(*keys: str) -> Keyring:
    return load_keyring(Settings(secret_key=SecretStr(",".join(keys))))


@pytest_asyncio.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    yield opened
    await opened.close()


async def keep(db: Database, keyring: Keyring, owner: str, **values: str) -> None:
    await db.transact(lambda connection: store_secrets(connection, keyring, owner, values))


async def opened(db: Database, keyring: Keyring, owner: str) -> dict[str, str]:
    async with db.read() as connection:
        rows = await find_sealed(connection, owner)
    return {field: open_row(keyring, row) for field, row in rows.items()}


async def test_what_is_stored_is_read_again_and_stands_nowhere_in_the_clear(db: Database) -> None:
    await keep(db, ring(NEW), PLUGIN, key="very-secret", identifier="ä-identifier")
    assert await opened(db, ring(NEW), PLUGIN) == {
        "key": "very-secret",
        "identifier": "ä-identifier",
    }
    async with db.read() as connection:
        rows = (await connection.execute(select(sealed_secrets))).all()
    assert "very-secret" not in repr(rows)
    await keep(db, ring(NEW), PLUGIN, key="another")
    assert (await opened(db, ring(NEW), PLUGIN))["key"] == "another"


@pytest.mark.parametrize(
    "moved", [{"website_id": ELSEWHERE}, {"field": "other"}, {"sealed": "AAAA"}, {"sealed": "é"}]
)
async def test_a_copied_or_altered_row_does_not_open(db: Database, moved: dict[str, str]) -> None:
    await keep(db, ring(NEW), HERE, token="of this website")
    async with db.write() as connection:
        await connection.execute(update(sealed_secrets).values(**moved))
        found = (await connection.execute(select(sealed_secrets))).one()
    with pytest.raises(Unreadable):
        open_row(ring(NEW), found)
    async with db.read() as connection:
        assert await find_unreadable(connection, ring(NEW)) == [(found.website_id, found.field)]


# FAILURES case 87
async def test_case_087_old_keys_open_until_everything_is_rotated(db: Database) -> None:
    await keep(db, ring(OLD), PLUGIN, key="k", identifier="i")
    await keep(db, ring(OLD), HERE, token="t")
    with pytest.raises(Unreadable):
        await opened(db, ring(NEW), PLUGIN)
    assert await opened(db, ring(NEW, OLD), PLUGIN) == {"key": "k", "identifier": "i"}
    assert (await rotate(db, ring(NEW, OLD))).sealed == 3
    assert (await rotate(db, ring(NEW, OLD))).sealed == 0, "nothing is left to do"
    assert await opened(db, ring(NEW), HERE) == {"token": "t"}
    with pytest.raises(Unreadable):
        await opened(db, ring(OLD), HERE)


async def test_case_087_rotated_half_way_goes_on(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "CHUNK", 2)
    for number in range(7):
        await keep(db, ring(OLD), f"website-{number}", token=str(number))
    real, calls = store._reseal, 0

    async def cut_off(*given: object) -> int:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise ZeroDivisionError
        return await real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "_reseal", cut_off)
    with pytest.raises(ZeroDivisionError):
        await rotate(db, ring(NEW, OLD))
    assert (await rotate(db, ring(NEW, OLD))).sealed == 5, "the first two stay done"
    async with db.read() as connection:
        assert await find_unreadable(connection, ring(NEW)) == []


async def test_what_no_key_opens_is_named_and_left(db: Database) -> None:
    await keep(db, ring(OLD), HERE, token="t")
    await keep(db, ring(NEW), ELSEWHERE, token="t")
    done = await rotate(db, ring(SECRET_KEY, NEW))
    assert (done.sealed, done.unreadable) == (1, ((HERE, "token"),))
    assert await opened(db, ring(OLD), HERE) == {"token": "t"}


def test_the_embedded_default_makes_a_key_for_its_owner_only(
    sqlite_url: str, tmp_path: Path
) -> None:
    settings = Settings(database_url=sqlite_url)
    made = load_keyring(settings)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert load_keyring(settings) == made
    assert list(tmp_path.glob(f"{FILE}.*")) == [], "nothing is left lying about"


def test_derived_keys_differ_by_purpose_and_key() -> None:
    both = ring(NEW, OLD)
    assert len({*both.derived("erasure"), *both.derived("session"), both.current.sealing}) == 5
    assert both.derived("erasure")[0] == ring(NEW).derived("erasure")[0]


@pytest.mark.parametrize(
    "weak", ["changeme", "x" * 64, "12345678901234567890123456789012"[:31], f"{NEW},short"]
)
def test_a_key_that_could_be_guessed_is_refused(weak: str) -> None:
    with pytest.raises(Refused, match="could be guessed") as refused:
        load_keyring(Settings(secret_key=SecretStr(weak)))
    assert weak not in refused.value.message


def test_with_postgres_a_key_is_needed(program: Program, migrated_postgres_url: str) -> None:
    env = {"DATABASE_URL": migrated_postgres_url, "SECRET_KEY": ""}
    for verb in (("serve", "--port", "0"), ("keys", "rotate")):
        done = program.run(*verb, env=env)
        assert done.code == 2
        assert "SECRET_KEY is not set" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_keys_rotate(program: Program, database_url: str) -> None:
    async def prepare() -> None:
        db = open_database(database_url)
        await keep(db, ring(OLD), PLUGIN, key="k")
        await db.close()

    import asyncio

    asyncio.run(prepare())
    env = {"DATABASE_URL": database_url}
    lost = program.run("keys", "rotate", env=env)
    assert lost.code == 3
    assert "enter it again" in lost.stderr
    done = program.run("keys", "rotate", env={**env, "SECRET_KEY": f"{NEW},{OLD}"})
    assert (done.code, done.stdout) == (0, "1 sealed with the current key.\n")
