"""Wrong input: one clear sentence, the right exit code, and nothing saved half-way."""

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.beside import (
    QUOTA,
    assert_one_sentence,
    change,
    contents,
    fetch,
    sandbox_beside,
)
from tests.fixtures.databases import sqlite_address
from tests.fixtures.program import Finished, Program
from tests.fixtures.valkey import free_port

SOMEWHERE = "8c842203-7ed8-4e29-a608-7cf78a7d2fcc"


def refused(done: Finished, *words: str, code: int = 2) -> None:
    """It says these words in one sentence on stderr, and nothing else."""
    assert done.code == code, done
    assert done.stdout == ""
    assert_one_sentence(done.stderr)
    for word in words:
        assert word in done.stderr


def refused_and_unchanged(
    program: Program, arguments: Sequence[str], env: dict[str, str], *words: str, code: int = 2
) -> None:
    before = contents(env["DATABASE_URL"], without=QUOTA)
    refused(program.run(*arguments, env=env), *words, code=code)
    assert contents(env["DATABASE_URL"], without=QUOTA) == before


@pytest.mark.parametrize("given", ["acme", SOMEWHERE[:-1], f"{SOMEWHERE}0", "", "a\nb"])
def test_no_website_id(program: Program, sqlite_url: str, given: str) -> None:  # SPEC C2
    env = {"DATABASE_URL": sqlite_url}
    refused_and_unchanged(program, ["connect", given], env, "Settings, Website settings")


def test_no_website_id_to_disconnect(program: Program, sqlite_url: str) -> None:
    env = {"DATABASE_URL": sqlite_url}
    refused_and_unchanged(program, ["disconnect", "acme"], env, "Settings, Website settings")


@pytest.mark.parametrize("verb", [["sync", "--full"], ["backfill", "--from", "2026-01-01"]])
def test_no_website_id_to_sync(program: Program, sqlite_url: str, verb: list[str]) -> None:
    env = {"DATABASE_URL": sqlite_url}
    more = ["--to", "2026-01-02"] if verb[0] == "backfill" else []
    refused_and_unchanged(
        program, [*verb, *more, "--website", "acme"], env, "Settings, Website settings"
    )


def test_website_without_the_plugin(program: Program, database_url: str) -> None:  # SPEC C3
    with sandbox_beside() as box:
        without = next(site.website_id for site in box.world.sites.values() if not site.installed)
        link = f"https://app.crisp.chat/initiate/plugin/{box.world.plugin_id}/"
        env = box.env(database_url)
        refused_and_unchanged(program, ["connect", without], env, "not installed", link)
        refused_and_unchanged(program, ["connect", SOMEWHERE], env, "not installed", link)


def test_wrong_key(program: Program, database_url: str) -> None:
    with sandbox_beside() as box:
        env = box.env(database_url, CRISP_KEY="wrong-secret")
        before = contents(database_url, without=QUOTA)
        done = program.run("connect", box.website_id, env=env)
        refused(done, "CRISP_IDENTIFIER and CRISP_KEY")
        assert "wrong-secret" not in done.stderr
        assert contents(database_url, without=QUOTA) == before


def test_missing_scope(program: Program, sqlite_url: str) -> None:
    with sandbox_beside() as box:
        box.world.faults.add("status", status=403, reason="not_allowed")
        refused_and_unchanged(program, ["connect", box.website_id], box.env(sqlite_url), "scope")


def test_quota_used_up(program: Program, database_url: str) -> None:
    with sandbox_beside(quota=1) as box:
        env = box.env(database_url)
        refused_and_unchanged(program, ["connect", box.website_id], env, "quota", code=4)


def test_crisp_not_reached(program: Program, sqlite_url: str) -> None:
    with sandbox_beside() as box:
        away = f"http://127.0.0.1:{free_port()}/v1"
        env = box.env(sqlite_url, CRISP_API_URL=away)
        refused_and_unchanged(
            program, ["connect", box.website_id], env, "cannot be reached", "127.0.0.1", code=1
        )


@pytest.mark.parametrize(
    "arguments",
    [
        ["connect", "{website}"],
        ["sync", "--full", "--wait"],
        ["sync", "--incremental", "--wait"],
        ["backfill", "--from", "2026-01-01", "--to", "2026-01-02", "--preview"],
        ["backfill", "--from", "2026-01-01", "--to", "2026-01-02", "--wait"],
    ],
)
def test_no_credential(program: Program, sqlite_url: str, arguments: list[str]) -> None:
    with sandbox_beside() as box:
        env = box.connected(sqlite_url, CRISP_IDENTIFIER="", CRISP_KEY="")
        given = [argument.format(website=box.website_id) for argument in arguments]
        refused_and_unchanged(program, given, env, "CRISP_IDENTIFIER and CRISP_KEY")


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ("2026-02-02", "2026-02-01", ["2026-02-02 is after --to 2026-02-01"]),
        ("2026-02-30", "2026-03-01", ["--from 2026-02-30 is no date", "2026-01-31"]),
        ("2026-01-01", "31.01.2026", ["--to 31.01.2026 is no date"]),
        ("yesterday", "2026-01-01", ["--from yesterday is no date"]),
        ("2999-01-01", "2999-01-02", ["2999-01-01"]),
        ("0001-01-01", "2026-01-01", ["0001-01-01"]),
        ("2026-01-01", "9999-12-31", ["9999-12-31"]),
        ("2098-01-01", "2098-02-01", ["future"]),
    ],
)
def test_dates(  # SPEC S3
    program: Program, sqlite_url: str, first: str, last: str, words: list[str]
) -> None:
    with sandbox_beside(1, 1) as box:
        env = box.connected(sqlite_url)
        window = ["backfill", "--from", first, "--to", last]
        refused_and_unchanged(program, window, env, *words)


def test_preview_of_wrong_dates_asks_nothing(program: Program, sqlite_url: str) -> None:
    with sandbox_beside(1, 1) as box:
        env = box.connected(sqlite_url)
        box.world.counters.reset()
        window = ["backfill", "--from", "2026-02-02", "--to", "2026-02-01", "--preview"]
        refused_and_unchanged(program, window, env, "is after")
        assert box.world.counters.total == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["disconnect", SOMEWHERE],
        ["disconnect", SOMEWHERE, "--erase"],
        ["sync", "--full", "--website", SOMEWHERE],
        ["backfill", "--from", "2026-01-01", "--to", "2026-01-02", "--website", SOMEWHERE],
    ],
)
def test_unknown_website(program: Program, sqlite_url: str, arguments: list[str]) -> None:
    env = {"DATABASE_URL": sqlite_url}
    refused_and_unchanged(program, arguments, env, f"crispsync connect {SOMEWHERE}")


def test_neither_full_nor_incremental(program: Program, sqlite_url: str) -> None:
    env = {"DATABASE_URL": sqlite_url}
    refused_and_unchanged(program, ["sync"], env, "--full", "--incremental")


@pytest.mark.parametrize("arguments", [["migrate"], ["status"], ["sync", "--full"], ["serve"]])
def test_database_of_a_newer_version(
    program: Program, database_url: str, arguments: list[str]
) -> None:
    change(database_url, text("UPDATE alembic_version SET version_num = '9999'"))
    env = {"DATABASE_URL": database_url}
    given = [*arguments, "--port", "0"] if arguments == ["serve"] else arguments
    refused_and_unchanged(program, given, env, "9999", "newer", "nothing was changed")
    (kept,) = fetch(database_url, text("SELECT version_num FROM alembic_version"))
    assert kept.version_num == "9999"


def test_second_process_on_one_sqlite_file(program: Program, sqlite_url: str) -> None:
    env = {"DATABASE_URL": sqlite_url}
    first = program.start("serve", "--port", "0", env=env)
    first.wait_for_line("crispsync serves")
    refused(program.run("serve", "--port", "0", env=env), "SQLite file", "PostgreSQL")
    assert first.alive
    first.kill()
    # The kernel lets go of the lock, however the first one ended.
    third = program.start("serve", "--port", "0", env=env)
    third.wait_for_line("crispsync serves")


def test_port_in_use(program: Program, fresh_database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = program.run("serve", "--port", port, env={"DATABASE_URL": fresh_database_url})
        refused(done, f"Port {port}", "--port")
        assert not any(contents_if_any(fresh_database_url))


def contents_if_any(url: str) -> Sequence[object]:
    """The tables of a database that may have none."""
    if url.startswith("sqlite"):
        return fetch(url, text("SELECT name FROM sqlite_master"))
    return fetch(url, text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))


@pytest.mark.parametrize("host", ["192.0.2.1", "nonsense.invalid"])
def test_an_address_that_is_not_here(program: Program, sqlite_url: str, host: str) -> None:
    done = program.run("serve", "--host", host, "--port", "0", env={"DATABASE_URL": sqlite_url})
    refused(done, host, "--host")


EVERYWHERE = "0.0.0.0"  # noqa: S104 - it is refused, or stopped at once


@pytest.mark.parametrize(
    "password", ["changethis", "Admin12345!", "demo-crispsync", "ann@acme.example"]
)
def test_weak_passwords_where_others_can_reach_the_pages(
    program: Program, sqlite_url: str, password: str
) -> None:  # SPEC P4
    env = {
        "DATABASE_URL": sqlite_url,
        "ADMIN_EMAIL": "ann@acme.example",
        "ADMIN_PASSWORD": password,
    }
    everywhere = ["serve", "--host", EVERYWHERE, "--port", "0"]
    refused(program.run(*everywhere, env=env), "ADMIN_PASSWORD")
    public = env | {"PUBLIC_URL": "https://sync.acme.example"}
    refused(program.run("serve", "--port", "0", env=public), "ADMIN_PASSWORD")
    here = program.start("serve", "--port", "0", env=env)
    here.wait_for_line("crispsync serves")
    here.stop()
    assert program.run(*everywhere, env=env).code == 2  # also when there are users already


@pytest.mark.parametrize(
    ("verb", "url", "words"),
    [
        ("migrate", "nonsense-secret", ["DATABASE_URL is not a database address"]),
        ("status", "://secret", ["DATABASE_URL is not a database address"]),
        ("serve", "mysql://root:secret@db/crisp", ["mysql", "SQLite or PostgreSQL"]),
        ("status", "mysql://root:secret@db/crisp", ["mysql", "SQLite or PostgreSQL"]),
        ("status", "sqlite://", ["needs a file"]),
        ("serve", "sqlite+aiosqlite:///:memory:", ["needs a file"]),
    ],
)
def test_no_database_address(program: Program, verb: str, url: str, words: list[str]) -> None:
    done = program.run(verb, env={"DATABASE_URL": url})
    refused(done, *words)
    assert "secret" not in done.stderr
    assert not list(program.folder.iterdir())


def test_database_file_is_no_database(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear customer, " * 100)
    done = program.run("status", env={"DATABASE_URL": sqlite_address(path)})
    refused(done, "no SQLite database")
    assert path.read_text() == "Dear customer, " * 100


@pytest.mark.parametrize("verb", ["status", "serve"])
def test_folder_of_the_database_is_a_file(program: Program, tmp_path: Path, verb: str) -> None:
    (tmp_path / "letter.txt").write_text("Dear customer")
    env = {"DATABASE_URL": sqlite_address(tmp_path / "letter.txt/crispsync.db")}
    refused(program.run(verb, env=env), "letter.txt")


def test_database_is_a_folder(program: Program, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    env = {"DATABASE_URL": sqlite_address(tmp_path / "folder")}
    refused(program.run("status", env=env), "database", code=1)


@pytest.mark.parametrize("verb", ["migrate", "status", "serve"])
def test_postgres_is_away(program: Program, verb: str) -> None:
    url = f"postgresql://crispsync:secret@127.0.0.1:{free_port()}/crispsync"
    more = ["--port", "0"] if verb == "serve" else []
    done = program.run(verb, *more, env={"DATABASE_URL": url})
    refused(done, "database does not answer", code=1)
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    ("verb", "name", "value"),
    [
        ("status", "CRISP_DAILY_QUOTA", "abc-secret"),
        ("serve", "CRISP_CONCURRENCY", "0"),
        ("sync", "LEASE_SECONDS", "60"),
        ("worker", "REDIS_URL", "secret"),
        ("worker", "CRISP_API_URL", "http://[secret"),
        ("serve", "PUBLIC_URL", "secret.acme.example"),
    ],
)
def test_environment(program: Program, sqlite_url: str, verb: str, name: str, value: str) -> None:
    more = ["--full"] if verb == "sync" else []
    done = program.run(verb, *more, env={"DATABASE_URL": sqlite_url, name: value})
    refused(done, f"{name}: ")
    assert "secret" not in done.stderr


def test_worker_without_redis(program: Program, sqlite_url: str) -> None:
    refused(program.run("worker", env={"DATABASE_URL": sqlite_url}), "REDIS_URL", "crispsync serve")
