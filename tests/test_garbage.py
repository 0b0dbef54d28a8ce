"""Each program searches for garbage rarely, and cycles are freed all the same."""

from __future__ import annotations

import gc
import weakref

from click.testing import CliRunner

from app.cli import main
from app.garbage import NEW_OBJECTS, keep_what_is_loaded


class Knot:
    def __init__(self) -> None:
        self.itself = self


def test_each_command_searches_rarely_and_still_frees_cycles() -> None:
    before = gc.get_threshold()
    try:
        assert CliRunner().invoke(main, ["migrate", "--help"]).exit_code == 0
        assert gc.get_threshold()[0] == NEW_OBJECTS
        gone = weakref.ref(Knot())
        kept = [[n] for n in range(2 * NEW_OBJECTS)]
        assert gone() is None, len(kept)
    finally:
        gc.set_threshold(*before)


def test_what_a_server_loaded_is_gone_through_no_more() -> None:
    loaded = [Knot() for _ in range(1000)]
    frozen = gc.get_freeze_count()
    try:
        keep_what_is_loaded()
        assert gc.get_freeze_count() >= frozen + len(loaded)
        gone = weakref.ref(Knot())
        gc.collect()
        assert gone() is None
    finally:
        gc.unfreeze()
