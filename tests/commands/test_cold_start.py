"""The program starts from nothing: other tests fork it from a process that has imported everything.

Other starts from nothing: of the demo (tests/test_demo.py), of the backup's way (tests/privacy/test_backup.py),
of the sandbox (tests/sandbox/test_sandbox_control.py).
"""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import httpx
import pytest

from tests.fixtures.program import Program
from tests.fixtures.warm import ROOT, Warm, import_all


def test_all_modules_are_imported_by_the_warm_process() -> None:
    import_all()
    found = pkgutil.walk_packages([str(ROOT / "app")], "app.")
    assert {"workers.main", *(module.name for module in found)} <= sys.modules.keys()


def test_cold(program: Program, sqlite_url: str) -> None:
    env = {"DATABASE_URL": sqlite_url}
    status = program.run("status", env=env, cold=True)
    assert (status.code, status.stderr) == (0, "")
    assert status == program.run("status", env=env)
    wrong = program.run("sync", "--weekly", env=env, cold=True)
    assert wrong.code == 2
    assert wrong == program.run("sync", "--weekly", env=env)
    server = program.start("serve", "--port", "0", env=env, cold=True)
    address = server.wait_for_line(r"(http://127\.0\.0\.1:\d+)")[1]
    assert httpx.get(f"{address}/healthz", timeout=60).status_code == 200
    assert server.stop() == 0


def test_warm_is_a_process_like_another(program: Program, warm: Warm | None) -> None:
    """Its code, its streams, its folder, its signals; and who waits is told when it was killed."""
    if warm is None:
        pytest.skip("programs are not forked here")
    made = program.run("migrate")
    assert (made.code, made.stderr) == (0, "")
    assert (program.folder / "data/crispsync.db").exists()
    server = program.start("serve", "--port", "0")
    server.wait_for_line("http://")
    with pytest.raises(subprocess.TimeoutExpired):
        server.wait(0)
    assert server.kill() == -9
    assert not server.alive
    assert server.stop() == -9
