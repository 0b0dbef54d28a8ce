"""Taking hooks: 32 connections, bodies of 1.5 KB, one server process.

Beside plain_intake.py, the route as one would write it (send_hooks.py sends to both, in turns, each
on a database of its own): at least 1.3 times as many hooks a second on PostgreSQL, 1.5 times on
SQLite, and the slowest hundredth no slower. And what a body of 50 MB costs in memory.

The sender and a PostgreSQL server share the machine's cores with what is measured. PostgreSQL runs
as for the tests, without waiting for the disk, which spares the route with a commit for each hook most.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from app.webhooks.receive import MOST_BYTES, PATH
from tests.bench.databases import database
from tests.bench.figures import ROUNDS, TOO_NOISY, Claim, judge, ratio_of, tell, verdict
from tests.fixtures.databases import KINDS
from tests.fixtures.program import Program
from tests.fixtures.valkey import free_port
from tests.webhooks.taking import MEGABYTE, SECRET, headers_for, hook_body, pour

ROOT = Path(__file__).parents[2]
SENDER = Path(__file__).with_name("send_hooks.py")
HOOKS = 10_000
TIMES = {"postgres": 1.3, "sqlite": 1.5}
GROWTH_MB = 5

Figures = dict[str, float]


@pytest.mark.parametrize("kind", KINDS)
def test_intake_beside_a_plain_route(program: Program, kind: str, tmp_path: Path) -> None:
    ours, plain = [], []
    for _ in range(ROUNDS):
        with database(kind, tmp_path) as url:
            ours.append(_crispsync(program, url))
        with database(kind, tmp_path) as url:
            plain.append(_plain_route(program, url))
    tell(f"taking {HOOKS:,} hooks over 32 connections on {kind}")
    _tell_figures("crispsync", ours)
    _tell_figures("plain_intake", plain)
    seconds = [round_["seconds"] for round_ in plain]
    disturbed = max(seconds) > TOO_NOISY * min(seconds)
    claims = [
        Claim(
            f"crispsync / plain_intake, {what}",
            ratio_of([one[of] for one in ours], [one[of] for one in plain], disturbed=disturbed),
            target,
        )
        for what, of, target in (
            (f"time (1 / {TIMES[kind]})", "seconds", round(1 / TIMES[kind], 3)),
            ("p99", "p99", 1.0),
        )
    ]
    judge(*claims)


def _crispsync(program: Program, url: str) -> Figures:
    server = program.start("serve", "--port", "0", env=_environment(url))
    port = int(server.wait_for_line(r"serves http://\S+:(\d+)").group(1))
    figures = _sent(program, port)
    server.stop()
    return figures


def _plain_route(program: Program, url: str) -> Figures:
    port = free_port()
    with _uvicorn(program, url, port):
        return _sent(program, port)


@contextmanager
def _uvicorn(program: Program, url: str, port: int) -> Iterator[None]:
    options = ("--port", str(port), "--no-access-log", "--log-level", "info")
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "tests.bench.plain_intake:app", *options],
        cwd=ROOT,
        env=program.environment(_environment(url)),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "running on" in line:
            break
    try:
        yield
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _sent(program: Program, port: int) -> Figures:
    done = subprocess.run(
        [sys.executable, SENDER, str(port), str(HOOKS), SECRET],
        env=program.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures: Figures = json.loads(done.stdout)
    return figures


def _environment(url: str) -> dict[str, str]:
    return {"DATABASE_URL": url, "CRISP_SIGNING_SECRET": SECRET}


def _tell_figures(name: str, rounds: list[Figures]) -> None:
    rates = " ".join(f"{HOOKS / one['seconds']:6,.0f}" for one in rounds)
    p50, p99 = (" ".join(f"{one[of]:5.1f}" for one in rounds) for of in ("p50", "p99"))
    tell(f"  {name:<12} {rates} hooks a second   p50 {p50} ms   p99 {p99} ms")


@pytest.mark.parametrize("announced", [True, False], ids=["Content-Length", "chunked"])
def test_memory_of_a_large_body(program: Program, announced: bool, tmp_path: Path) -> None:
    with database("sqlite", tmp_path) as url:
        server = program.start("serve", "--port", "0", env=_environment(url))
        address = server.wait_for_line(r"serves (http://\S+)").group(1)
        process = psutil.Process(server.pid)
        # As large as is taken: what that needs is no growth.
        taken: Any = hook_body() + b" " * (MOST_BYTES - len(hook_body()))
        answer = httpx.post(f"{address}{PATH}", content=taken, headers=headers_for(taken))
        assert answer.status_code == 200
        before = process.memory_info().rss
        assert {pour(address, announced) for _ in range(5)} == {413}
        grown = max(0, process.memory_info().rss - before) / MEGABYTE
        server.stop()
    how = "with Content-Length" if announced else "chunked"
    tell(f"memory after five bodies of 50 MB, {how}: + {grown:.1f} MB; {verdict(grown, GROWTH_MB)}")
    assert grown < GROWTH_MB
