"""The peak of memory of a first import, the whole process, as the website grows.

Everything that is read is written and let go; what waits to be read stands in the database. So the
peak must stay under 200 MB whatever the size, and a website several times as large should take no
more than 1.15 times as much. Caches of a fixed size fill up on the way (SQLite's pages of each
connection, normal forms of addresses), so what fails is growth by more than FAILS_AT. BENCH_LONG=1 adds
50,000 conversations (about 440,000 messages), where nothing is left to fill up.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.boxes import box
from tests.bench.databases import database
from tests.bench.figures import LONG, tell, verdict
from tests.fixtures.databases import KINDS
from tests.fixtures.program import Program

SIZES = ((2_000, 5_000), (8_000, 20_000), *([(20_000, 50_000)] if LONG else []))
LIMIT_MB, GROWTH, FAILS_AT = 200, 1.15, 1.35


@pytest.mark.parametrize("kind", KINDS)
def test_peak_of_memory(program: Program, kind: str, tmp_path: Path) -> None:
    tell(f"peak of memory of a full sync on {kind}")
    peaks = [_peak(program, kind, tmp_path, *size) for size in SIZES]
    tell(
        f"  largest / smallest website: {peaks[-1] / peaks[0]:.2f}; "
        f"{verdict(peaks[-1] / peaks[0], GROWTH)}"
    )
    assert max(peaks) < LIMIT_MB
    assert max(peaks) <= FAILS_AT * peaks[0]


def _peak(program: Program, kind: str, folder: Path, people: int, conversations: int) -> float:
    with box(program, people, conversations) as crisp, database(kind, folder) as url:
        crisp.connect(url)
        spent = crisp.sync(url)
        requests = crisp.show("counters")["total"]
    tell(
        f"  {conversations:>6,} conversations, {requests:>6,} requests: {spent.peak_mb:5.1f} MB "
        f"({spent.seconds:.0f} s); {verdict(spent.peak_mb, LIMIT_MB)}"
    )
    return spent.peak_mb
