"""How often Python looks for garbage that reference counts do not free.

Rows come by the thousand and hold dicts and lists, but no cycles: with the default of 700 new objects
each batch starts dozens of searches that find nothing, a quarter of the time of an import
(`make bench ARGS='-k imports'`). docs.python.org/3/library/gc.html#gc.set_threshold
"""

from __future__ import annotations

import gc

NEW_OBJECTS = 20_000
"""Between two searches; a few MB at most wait for the next one."""


def search_rarely() -> None:
    """For this process, from now on; each program calls it once at its start."""
    gc.set_threshold(NEW_OBJECTS, 10, 10)


def keep_what_is_loaded() -> None:
    """When a server is ready: what it loaded stays for good, so later searches need not go through it.

    A search through all of it takes 200 ms, in which no page is answered
    (docs.python.org/3/library/gc.html#gc.freeze).
    """
    gc.collect()
    gc.freeze()
