"""One process at a time runs the jobs on a SQLite file (FAILURES case 82)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from app.db.session import make_folder, normal_url, sqlite_file


@contextmanager
def try_runner_lock(raw_url: str) -> Iterator[bool]:
    """True when this process holds it; always true on PostgreSQL, where leases are enough.

    The kernel lets go of it when the process ends, however it ends.
    """
    file = sqlite_file(normal_url(raw_url))
    if file is None:
        yield True
        return
    make_folder(file)
    handle = os.open(file.with_name(file.name + ".running"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)
