"""How long a first import takes, the whole process from start to end.

Beside fetch_only.py: what is kept, matched and remembered may cost 60 % on top of getting the answers.
Beside plain_script.py: the batches must pay for all that a plain script leaves out, and more.
Beside a slow Crisp (50 ms an answer, eight at once): nothing but waiting may be left to see.

The sandbox and a PostgreSQL server share the machine's cores with what is measured, which is why
nothing here is compared with seconds of another machine. The processor time of the process itself is
told as well: it hardly depends on what else runs, and leaves a PostgreSQL server's work out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bench.boxes import Box, box, path_of
from tests.bench.databases import database
from tests.bench.figures import ROUNDS, Claim, Ratio, judge, ratio_of, tell
from tests.bench.processes import Spent
from tests.fixtures.databases import KINDS
from tests.fixtures.program import Program

PEOPLE, CONVERSATIONS = 2_000, 5_000
BESIDE_FETCHING, BESIDE_PLAIN = 1.6, 0.8
DELAY_MS, AT_ONCE, BESIDE_WAITING = 50, 8, 1.10
DISTURBED = 1.3

Contestants = dict[str, Callable[[], Spent]]


@pytest.fixture
def quick(program: Program) -> Iterator[Box]:
    with box(program, PEOPLE, CONVERSATIONS) as made:
        yield made


@pytest.mark.parametrize("kind", KINDS)
def test_full_pull_beside_yardsticks(quick: Box, kind: str, tmp_path: Path) -> None:
    requests, _ = _record_requests(quick, kind, tmp_path)
    spent = _in_turns(
        {
            "crispsync": lambda: _pull(quick, kind, tmp_path),
            "fetch_only": lambda: quick.script("fetch_only.py", "", requests),
            "plain_script": lambda: _pull_plainly(quick, kind, tmp_path),
        }
    )
    count = len(requests.read_text().splitlines())
    tell(f"full pull of {CONVERSATIONS:,} conversations on {kind}, {count:,} requests")
    for name, rounds in spent.items():
        _tell_seconds(name, rounds)
    ours, fetching, plain = spent["crispsync"], spent["fetch_only"], spent["plain_script"]
    disturbed = _is_disturbed(fetching)
    judge(
        Claim("crispsync / fetch_only", _wall(ours, fetching, disturbed), BESIDE_FETCHING),
        Claim("crispsync / plain_script", _wall(ours, plain, disturbed), BESIDE_PLAIN),
        Claim(
            "processor time, / fetch_only", _cpu(ours, fetching), BESIDE_FETCHING, enforced=False
        ),
        Claim("processor time, / plain_script", _cpu(ours, plain), BESIDE_PLAIN, enforced=False),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_full_pull_of_a_slow_crisp(program: Program, kind: str, tmp_path: Path) -> None:
    with box(program, PEOPLE, CONVERSATIONS, "--delay-ms", str(DELAY_MS)) as slow:
        requests, spent = _record_requests(slow, kind, tmp_path)
        fetching = slow.script("fetch_only.py", "", requests)
    count = len(requests.read_text().splitlines())
    least = count * DELAY_MS / 1000 / AT_ONCE
    tell(
        f"full pull on {kind} with {DELAY_MS} ms an answer: {spent.seconds:.1f} s for {count:,} "
        f"requests, waiting alone {least:.1f} s, fetch_only {fetching.seconds:.1f} s"
    )
    # Fetching alone takes little longer than waiting, unless somebody else has the processor.
    disturbed = fetching.seconds > BESIDE_WAITING * least
    beside_waiting = ratio_of([spent.seconds], [least], disturbed=disturbed)
    judge(Claim("whole process / waiting", beside_waiting, BESIDE_WAITING, slack=1.1))


def _record_requests(quick: Box, kind: str, folder: Path) -> tuple[Path, Spent]:
    """What one pull asks, in its order, and what it spent; it also warms the caches up for everybody."""
    quick.do("log", length=100_000)
    quick.do("counters/reset")
    spent = _pull(quick, kind, folder)
    asked = [path_of(one) for one in quick.asked() if one["route"] != "/website/{website_id}"]
    quick.do("log", length=0)
    path = folder / "requests.txt"
    path.write_text("\n".join(one for one in asked if not one.startswith("plugins/")))
    return path, spent


def _pull(quick: Box, kind: str, folder: Path) -> Spent:
    with database(kind, folder) as url:
        quick.connect(url)
        return quick.sync(url)


def _pull_plainly(quick: Box, kind: str, folder: Path) -> Spent:
    with database(kind, folder, migrated=False) as url:
        return quick.script("plain_script.py", url)


def _in_turns(contestants: Contestants) -> dict[str, list[Spent]]:
    spent: dict[str, list[Spent]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, run in contestants.items():
            spent[name].append(run())
    return spent


def _wall(ours: list[Spent], theirs: list[Spent], disturbed: bool) -> Ratio:
    return ratio_of(
        [one.seconds for one in ours], [one.seconds for one in theirs], disturbed=disturbed
    )


def _cpu(ours: list[Spent], theirs: list[Spent]) -> Ratio:
    return ratio_of([one.cpu for one in ours], [one.cpu for one in theirs])


def _is_disturbed(fetching: list[Spent]) -> bool:
    """Fetching alone keeps one core busy all the time, unless somebody else has it."""
    return any(one.seconds > DISTURBED * one.cpu for one in fetching)


def _tell_seconds(name: str, rounds: list[Spent]) -> None:
    wall = " ".join(f"{one.seconds:6.2f}" for one in rounds)
    cpu = " ".join(f"{one.cpu:6.2f}" for one in rounds)
    tell(f"  {name:<13} {wall} s   own processor time {cpu} s")
