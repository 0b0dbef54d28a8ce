"""The guard over the logs of all tests can fail: shown by tests that are run by it (FAILURES case 99)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.logged import quoting

ROOT = Path(__file__).parents[1]
BAD = """
import structlog
from app.logs import configure_logs

def test_clean(capfd):
    configure_logs(as_json=True)
    structlog.get_logger().warning("run.ended", run_id="r1")
    print("ann@acme.example typed this, and is answered")

def test_reason():
    configure_logs(as_json=True)
    structlog.get_logger().warning("run.ended", reason="of ann@acme.example")

def test_unconfigured():
    structlog.reset_defaults()
    structlog.get_logger().warning("run.ended", reason="zqxmarker")
"""


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ('{"event": "run.ended", "reason": "of ann@acme.example"}', True),
        ("2026-11-26 07:55:49 [warning  ] hooks.refused    reason='ZQXmarker'", True),
        ("2026-11-26T07:55:49.1Z \x1b[0m[\x1b[32mwarning  ] a  \x1b[0mb@c.example", True),
        ('{"event": "run.ended", "run_id": "r1"}', False),
        ("No contact has the address ann@acme.example.", False),
    ],
)
def test_case_099_a_line_that_quotes_is_found(line: str, is_found: bool) -> None:
    assert bool(quoting(f"before\n{line}\nafter")) is is_found


def test_case_099_a_test_whose_log_quotes_somebody_fails(tmp_path: Path) -> None:
    file = tmp_path / "test_quoting.py"
    file.write_text(BAD)
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-p", "tests.fixtures.logged", "-p", "no:cacheprovider",
            "-n", "0", "--no-cov", "-q", "--rootdir", str(tmp_path), "-c", "/dev/null", str(file),
        ],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    told = done.stdout
    assert "3 passed, 2 errors" in told, told + done.stderr
    assert "A log line quotes somebody" in told
