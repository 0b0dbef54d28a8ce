"""The first admin of a fresh installation, as the one who starts it meets it (SPEC P4)."""

from __future__ import annotations

import re

import httpx
from sqlalchemy import select

from app.accounts.tables import users
from tests.beside import fetch
from tests.fixtures.program import Program, Running

PRINTED = r"First login, shown only now: (\S+) with the password (\S+)"
SERVES = r"crispsync serves (http://\S+)"


def _log_in(address: str, email: str, password: str) -> httpx.Response:
    with httpx.Client(base_url=address, headers={"Origin": address}, timeout=60) as web:
        answer = web.post("/login", data={"email": email, "password": password})
        return web.get("/") if answer.status_code == 303 else answer


def _started(program: Program, env: dict[str, str]) -> tuple[Running, str]:
    server = program.start("serve", "--port", "0", env=env)
    return server, server.wait_for_line(SERVES)[1]


def test_the_first_password_is_printed_once_and_lets_in(program: Program, sqlite_url: str) -> None:
    env = {"DATABASE_URL": sqlite_url}
    server, address = _started(program, env)
    (printed,) = re.findall(PRINTED, server.output)
    assert len(printed[1]) >= 16
    assert _log_in(address, *printed).status_code == 200
    assert _log_in(address, printed[0], "another").status_code == 401
    assert server.stop() == 0
    again, _ = _started(program, env)
    assert "First login" not in again.output
    assert again.stop() == 0  # as soon as it has spoken, while it still starts
    (kept,) = fetch(sqlite_url, select(users.c.password_hash))
    assert kept[0].startswith("$argon2id$")
    assert printed[1] not in program.output.replace(server.output, "", 1)


def test_whose_password_is_told_is_not_told_one(program: Program, sqlite_url: str) -> None:
    env = {
        "DATABASE_URL": sqlite_url,
        "ADMIN_EMAIL": "ann@acme.example",
        "ADMIN_PASSWORD": "long enough for this machine alone",
    }
    server, address = _started(program, env)
    assert "password" not in server.output
    told = _log_in(address, env["ADMIN_EMAIL"], env["ADMIN_PASSWORD"])
    assert told.status_code == 200
    assert server.stop() == 0


def test_at_full_size_nobody_is_invented(program: Program, postgres_url: str) -> None:
    """Where many processes start at once, on machines whose output nobody may see."""
    server, address = _started(program, {"DATABASE_URL": postgres_url})
    assert "First login" not in server.output
    assert "crispsync user add EMAIL --role admin" in server.output
    assert "Nobody can log in yet" in httpx.get(f"{address}/login", timeout=60).text
    assert server.stop() == 0
