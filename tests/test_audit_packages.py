"""scripts/audit_packages.py against a server that answers as the advisory service does, or does not."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
ADVISORY = {
    "id": "GHSA-test-test-test",
    "modified": "2026-01-01T00:00:00Z",
    "summary": "Reads what it should not",
    "affected": [{"package": {"name": "aiohttp", "ecosystem": "PyPI"}, "versions": []}],
}


@contextmanager
def service(status: int = 200, vulnerable: str = "", delay: float = 0) -> Iterator[str]:
    """OSV's two routes; `vulnerable` names a package that has the advisory, whatever its version."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            time.sleep(delay)
            hit = {"vulns": [{"id": ADVISORY["id"], "modified": ADVISORY["modified"]}]}
            names = [one["package"]["name"] for one in asked["queries"]]
            self.answer({"results": [hit if name == vulnerable else {} for name in names]})

        def do_GET(self) -> None:
            self.answer(ADVISORY)

        def answer(self, value: Any) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name there
            """Nothing to standard error."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """Who asked may have gone meanwhile."""

    server = Server(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def audit(url: str, *more: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    script = [sys.executable, str(ROOT / "scripts/audit_packages.py"), "--url", url, *more]
    return subprocess.run(script, cwd=folder, capture_output=True, text=True, check=False)


def test_nothing_known() -> None:
    with service() as url:
        done = audit(url)
    assert done.returncode == 0, done
    assert "no known vulnerabilities" in done.stdout
    assert "NOT CHECKED" not in done.stdout


def test_a_known_vulnerability_fails_and_is_named() -> None:
    with service(vulnerable="aiohttp") as url:
        done = audit(url)
    assert done.returncode == 1, done
    assert "aiohttp" in done.stdout
    assert "GHSA-test-test-test" in done.stdout


def test_offline_is_one_line_and_no_failure() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        began = time.monotonic()
        done = audit(f"http://127.0.0.1:{nobody.getsockname()[1]}/")
    assert time.monotonic() - began < 20
    assert_not_checked(done, "cannot be reached")


def test_a_service_out_of_order_is_no_failure() -> None:
    with service(status=503) as url:
        assert_not_checked(audit(url), "cannot be reached")


def test_a_service_that_hangs_is_not_waited_for() -> None:
    with service(delay=4) as url:
        began = time.monotonic()
        done = audit(url, "--seconds", "2")
        assert time.monotonic() - began < 4
    assert_not_checked(done, "no answer within 2 s")


@pytest.mark.parametrize("lock", [None, "nonsense"])
def test_what_cannot_be_read_fails(tmp_path: Path, lock: str | None) -> None:
    """Or an audit that never looked would pass for good."""
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    if lock is not None:
        (tmp_path / "uv.lock").write_text(lock)
    with service() as url:
        done = audit(url, folder=tmp_path)
    assert done.returncode in {1, 2}, done
    assert "vulnerabilities" not in done.stdout
    assert "NOT CHECKED" not in done.stdout


def assert_not_checked(done: subprocess.CompletedProcess[str], why: str) -> None:
    assert done.returncode == 0, done
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith("NOT CHECKED for known vulnerabilities: ")
    assert why in done.stdout
    assert done.stderr == ""
