"""Applying hooks from a full inbox: 20,000 new messages of 400 conversations.

They say what the sandbox's people say, in several languages, in bodies as long as Crisp's own example
(0.5 KB); told beside it are bodies of 1.5 KB, whose text is one long word, which no index likes.

At least 3,000 a second on PostgreSQL and 4,000 on SQLite; as seconds of the wall clock, which others
on the machine lengthen, and of the process's own processor time, which hardly depends on them and
leaves a PostgreSQL server's work out. Beside apply_inbox.py's plain way, in turns: no slower,
although that one links nothing, counts nothing and marks nothing.

PostgreSQL runs as for the tests, without waiting for the disk, which spares the plain way most.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from sqlalchemy import func, select

from app.conversations.tables import messages
from app.sandbox.phrases import LANGUAGES, phrases
from app.webhooks.tables import inbox_events
from tests.bench.databases import database
from tests.bench.figures import ROUNDS, TOO_NOISY, Claim, judge, ratio_of, tell
from tests.beside import fetch
from tests.fixtures.databases import KINDS
from tests.fixtures.program import Program
from tests.hooking import activate, receive, row_of, sent
from tests.ingesting import Json, connected, talk

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("apply_inbox.py")
HOOKS = 20_000
HOOKS_PLAINLY = 4_000  # it takes as long for each, however many there are
CONVERSATIONS = 400
BODY_BYTES = 1_500
A_SECOND = {"postgres": 3_000, "sqlite": 4_000}
AT_A_TIME = 2_000

Figures = dict[str, float]


@pytest.mark.parametrize("kind", KINDS)
def test_applying_a_full_inbox(program: Program, kind: str, tmp_path: Path) -> None:
    ours, plain = [], []
    for _ in range(ROUNDS):
        ours.append(_applied(program, kind, tmp_path, HOOKS))
        plain.append(_applied(program, kind, tmp_path, HOOKS_PLAINLY, "plain"))
    padded = _applied(program, kind, tmp_path, HOOKS, padded=True)
    tell(f"applying {HOOKS:,} hooks of {CONVERSATIONS} conversations on {kind}")
    _tell_figures("crispsync", ours, A_SECOND[kind])
    _tell_figures("1.5 KB", [padded])
    _tell_figures("plain way", plain)
    seconds = [one["seconds"] for one in plain]
    disturbed = max(seconds) > TOO_NOISY * min(seconds)
    judge(
        *(
            Claim(
                f"crispsync / plain way, {what} a hook",
                ratio_of(_each(ours, of), _each(plain, of), disturbed=disturbed),
                1.0,
                enforced=of == "seconds",
            )
            for what, of in (("time", "seconds"), ("processor time", "cpu"))
        )
    )


def _applied(
    program: Program, kind: str, folder: Path, hooks: int, *how: str, padded: bool = False
) -> Figures:
    with database(kind, folder) as url:
        asyncio.run(_fill(url, hooks, padded=padded))
        done = subprocess.run(
            [sys.executable, SCRIPT, *how],
            cwd=ROOT,
            env=program.environment({"DATABASE_URL": url, "PYTHONPATH": str(ROOT)}),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        figures: Figures = json.loads(done.stdout)
        assert figures["hooks"] == hooks
        assert fetch(url, select(func.count()).select_from(messages))[0][0] == hooks
        if not how:
            assert fetch(url, select(inbox_events.c.state).distinct()) == [("done",)]
    return figures


async def _fill(url: str, hooks: int, *, padded: bool = False) -> None:
    async with connected(url) as site:
        await activate(site)
        await site.take(*(talk(_session(number)) for number in range(CONVERSATIONS)))
        rows = list(_inbox(hooks, padded=padded))
        for begin in range(0, hooks, AT_A_TIME):
            await receive(site.db, *rows[begin : begin + AT_A_TIME])


def _session(number: int) -> str:
    return f"session_{number % CONVERSATIONS:04}"


def _inbox(hooks: int, *, padded: bool) -> Iterator[Json]:
    """With all that Crisp's example of a message has beside its text (crisp/REFERENCE.md section 7.5)."""
    said = _said()
    for number in range(hooks):
        session_id = _session(number)
        user = {"type": "website", "nickname": "Ann", "user_id": session_id, "avatar": ""}
        body = sent(session_id, number, said[number % len(said)], at=number / 1_000,
                    mentions=[], automated=False, inbox_id=None, user=user)  # fmt: skip
        if padded:
            body["data"]["content"] = ""
            body["data"]["content"] = "x" * (BODY_BYTES - len(json.dumps(body)))
        yield row_of(body)


def _said() -> list[str]:
    """What people and operators of the sandbox say, in every language, the place holders as they are."""
    spoken = [phrases(language) for language in LANGUAGES]
    turns = [turn[1] for one in spoken for talk in one.scenarios for turn in talk.turns]
    return turns + [text for one in spoken for text in (*one.user, *one.operator)]


def _each(rounds: list[Figures], of: str) -> list[float]:
    """Milliseconds a hook."""
    return [1000 * one[of] / one["hooks"] for one in rounds]


def _tell_figures(name: str, rounds: list[Figures], target: int | None = None) -> None:
    by_clock, by_cpu = ([one["hooks"] / one[of] for one in rounds] for of in ("seconds", "cpu"))
    judged = ""
    if target is not None:
        judged = f"; target ≥ {target:,}: {'met' if median(by_clock) >= target else 'MISSED'} by the clock"
    load = os.getloadavg()[0]
    tell(
        f"  {name:<10} {' '.join(f'{rate:6,.0f}' for rate in by_clock)} hooks a second, "
        f"{' '.join(f'{rate:6,.0f}' for rate in by_cpu)} a second of processor time"
        f"{judged} (load {load:.1f})"
    )
