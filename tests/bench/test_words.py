"""What keeping the words for the search costs a full pull: at most 5 % more processor time.

The same pull into a database whose triggers or indexes for words were dropped. On PostgreSQL the server
does that work; its own processor time is not the program's, so there seconds are told as well.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest
from sqlalchemy import text

from app.db.words import SEARCHED
from tests.bench.boxes import Box, box
from tests.bench.databases import database
from tests.bench.figures import Claim, judge, ratio_of, tell
from tests.bench.processes import Spent
from tests.beside import change
from tests.fixtures.databases import KINDS
from tests.fixtures.program import Program

PEOPLE, CONVERSATIONS, ROUNDS = 500, 2_000, 3
MOST = 1.05


@pytest.mark.parametrize("kind", KINDS)
def test_words_cost_little(program: Program, kind: str, tmp_path: Path) -> None:
    with box(program, PEOPLE, CONVERSATIONS) as full:
        pairs = [
            (_pull(full, kind, tmp_path, words=True), _pull(full, kind, tmp_path, words=False))
            for _ in range(ROUNDS)
        ]
    with_words, without = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for name, spent in (("with words", with_words), ("without", without)):
        tell(
            f"{kind}, {name}: {median(one.cpu for one in spent):.2f} s of the processor, "
            f"{median(one.seconds for one in spent):.2f} s"
        )
    cpu = ratio_of([one.cpu for one in with_words], [one.cpu for one in without])
    judge(Claim("processor time with words / without", cpu, MOST))


def _pull(full: Box, kind: str, folder: Path, *, words: bool) -> Spent:
    with database(kind, folder) as url:
        if not words:
            for drop in _drops(kind):
                change(url, text(drop))
        full.connect(url)
        return full.sync(url)


def _drops(kind: str) -> list[str]:
    if kind == "postgres":
        return [f"DROP INDEX ix_{table}_words" for table in SEARCHED]
    events = ("added", "changed", "removed")
    return [f"DROP TRIGGER {table}_words_{event}" for table in SEARCHED for event in events]
