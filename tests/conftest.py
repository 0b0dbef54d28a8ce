"""What all tests share. The fixtures themselves are in tests/fixtures/, each module with its manual."""

import os
import signal
from pathlib import Path
from types import FrameType

import psutil
import pytest
from hypothesis import settings

from tests.fixtures import run_folder

pytest_plugins = [
    "tests.fixtures.logged",
    "tests.fixtures.postgres",
    "tests.fixtures.valkey",
    "tests.fixtures.databases",
    "tests.fixtures.program",
    "tests.fixtures.browser",
    "tests.fixtures.told",
]

BROWSER_FIXTURES = {"browser", "page"}
# One of these can take a minute; the last ones of a run should not.
LONG = tuple(
    str(Path(__file__).parent / name)
    for name in ("browser", "flows", "commands", "privacy/test_backup", "api/test_schemathesis")
)

# Two workers share two cores with servers and browsers: time limits per example would be noise.
# The same examples in every run: a change is judged by what it changed. New ones are looked for with
# HYPOTHESIS_PROFILE=search.
settings.register_profile("crispsync", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "crispsync"))


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_configure(config: pytest.Config) -> None:
    if not _is_worker(config):
        run_folder.make()
        # The servers must end with us, also when a supervisor ends us.
        signal.signal(signal.SIGTERM, _interrupt)
    # Started in the background of a script, we inherit that Ctrl-C is ignored, and so would every
    # program that a test starts and interrupts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    # A Ctrl-C reaches the workers by itself, this signal does not.
    for child in psutil.Process().children():
        child.send_signal(signal.SIGINT)
    raise KeyboardInterrupt


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if not _is_worker(config) and run_folder.VARIABLE in os.environ:
        from tests.fixtures.databases import drop_postgres_template

        drop_postgres_template()
        run_folder.remove(run_folder.current())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if BROWSER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
    if _is_worker(config):
        items[:] = long_ones_first(items, config.workerinput["workercount"])  # type: ignore[attr-defined]


def long_ones_first(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """At first each worker has its part of the list, by place; each part shall begin with long ones."""
    long = [item for item in items if str(item.path).startswith(LONG)]
    short = [item for item in items if not str(item.path).startswith(LONG)]
    return [item for n in range(workers) for item in (*long[n::workers], *short[n::workers])]
