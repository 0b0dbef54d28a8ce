"""`crispsync export`, as a process of its own."""

import asyncio
import csv
import io
import json
import subprocess

import pytest

from tests.api.conftest import some_rows
from tests.fixtures.program import Program
from tests.fixtures.warm import CRISPSYNC
from tests.ingesting import WEBSITE, connected


@pytest.fixture
def rows(sqlite_url: str) -> str:
    async def write() -> None:
        async with connected(sqlite_url) as site:
            await some_rows(site, "acme")

    asyncio.run(write())
    return sqlite_url


def test_to_standard_output_and_to_a_file(program: Program, rows: str) -> None:
    env = {"DATABASE_URL": rows}
    printed = program.run("export", "contacts", "--format", "csv", env=env)
    assert printed.code == 0, printed.stderr
    assert len(list(csv.DictReader(io.StringIO(printed.stdout)))) == 2
    told = program.run(
        "export", "messages", "--website", WEBSITE, "--format", "jsonl", "--out", "m.jsonl", env=env
    )
    assert (told.code, told.stdout) == (0, "")
    lines = (program.folder / "m.jsonl").read_text().splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["text"] * 3
    assert not list(program.folder.glob(".*.part"))
    with_notes = program.run("export", "messages", "--notes", "--format", "jsonl", env=env)
    assert len(with_notes.stdout.splitlines()) == 4
    parquet = ("export", "conversations", "--format", "parquet", "--out", "c.parquet")
    assert program.run(*parquet, env=env).code == 0
    assert (program.folder / "c.parquet").read_bytes()[:4] == b"PAR1"


# SPEC I12
def test_a_file_that_imports_back(program: Program, rows: str) -> None:
    env = {"DATABASE_URL": rows}
    for kind, head in (("contacts", b"email,name,"), ("companies", b"company_name,company_url,")):
        told = program.run("export", kind, "--format", "import", "--out", "c.csv", env=env)
        assert (told.code, told.stderr) == (0, "")
        assert (program.folder / "c.csv").read_bytes().startswith(b"\xef\xbb\xbf" + head)
        again = program.run(
            "import", "c.csv", "--website", WEBSITE, "--kind", kind, "--dry-run", "--json", env=env
        )
        assert again.code == 0, again.stderr
        told = json.loads(again.stdout)
        assert told["kind"] == kind
        assert told["counts"].get("create", 0) == told["counts"].get("error", 0) == 0
        assert told["counts"]["rows"] > 0
    refused = program.run("export", "messages", "--format", "import", env=env)
    assert (refused.code, "contacts and companies" in refused.stderr) == (2, True)


def test_wrong_use_is_told_in_a_sentence(program: Program, rows: str) -> None:
    env = {"DATABASE_URL": rows}
    for arguments, word in (
        (("secrets", "--format", "csv"), "secrets"),
        (("contacts", "--format", "xlsx"), "xlsx"),
        (("contacts",), "--format"),
        (("contacts", "--format", "parquet"), "--out"),
        (("contacts", "--format", "csv", "--website", "nonsense"), "website id"),
        (("contacts", "--format", "csv", "--website", WEBSITE.replace("8", "9")), "not connected"),
        (("contacts", "--format", "csv", "--out", "no/such/folder.csv"), "folder"),
        (("contacts", "--format", "csv", "--out", "."), "folder"),
    ):
        told = program.run("export", *arguments, env=env)
        assert told.code == 2, arguments
        assert word in told.stderr
        assert "Traceback" not in told.stderr


def test_without_pyarrow_it_says_how_to_get_it(program: Program, rows: str) -> None:
    (program.folder / "pyarrow.py").write_text("raise ImportError")
    told = program.run(
        "export", "contacts", "--format", "parquet", "--out", "c.parquet",
        env={"DATABASE_URL": rows, "PYTHONPATH": str(program.folder)},
    )  # fmt: skip
    assert told.code == 2
    assert "--extra parquet" in told.stderr
    assert "c.parquet" not in {file.name for file in program.folder.iterdir()}


def test_a_reader_that_has_enough_is_no_error(program: Program, rows: str) -> None:
    command = f"{CRISPSYNC} export messages --format csv | head -c 1"
    done = subprocess.run(
        ["sh", "-c", command], cwd=program.folder, capture_output=True, text=True, check=False,
        env=program.environment({"DATABASE_URL": rows}),
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("w", "")
