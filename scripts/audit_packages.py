"""Asks the advisory service (OSV) whether a locked package has a known vulnerability.

    python scripts/audit_packages.py [--url URL] [--seconds N]

Exit code 0: none is known, or the service cannot be reached, which one line says; anything else: some
are, and are listed, or the lock file cannot be read, say.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

UV = Path(sys.executable).with_name("uv")
FOUND = 1
# What uv says when nobody answers, or a server that is out of order does.
UNREACHED = ("error sending request", "HTTP status server error", "timed out")


def main() -> int:
    told = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    told.add_argument("--url", help="of the service, when not OSV's own")
    told.add_argument("--seconds", type=float, default=15, help="how long it may take")
    asked = told.parse_args()
    try:
        done = subprocess.run(
            [UV, "audit", "--frozen", *(["--service-url", asked.url] if asked.url else [])],
            # A service that is away is not waited for; the next check asks again.
            env={**os.environ, "UV_HTTP_RETRIES": "0", "UV_PREVIEW_FEATURES": "audit-command"},
            capture_output=True,
            text=True,
            timeout=asked.seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return not_checked(f"no answer within {asked.seconds:g} s")
    if done.returncode > FOUND and any(words in done.stderr for words in UNREACHED):
        return not_checked("the advisory service cannot be reached")
    print((done.stdout + done.stderr).strip())
    return done.returncode


def not_checked(why: str) -> int:
    print(f"NOT CHECKED for known vulnerabilities: {why}. Run `make check` again with a network.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
