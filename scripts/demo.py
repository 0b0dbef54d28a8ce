"""`make demo`: a Crisp in the box and crispsync beside it, connected, imported, kept up to date."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CRISPSYNC = str(Path(sys.executable).with_name("crispsync"))
CHANGES_A_MINUTE = "12"
# Everybody may know it: what it guards is made up, and answers on this machine only.
EMAIL, PASSWORD = "demo@crispsync.example", "demo-crispsync"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    port = parser.parse_args().port
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="crispsync-demo-") as folder:
        # Hooks sent before crispsync listens are tried again, as Crisp would.
        hooks_to = f"http://127.0.0.1:{port}/webhooks/crisp"
        options = ("--port", "0", "--live", CHANGES_A_MINUTE, "--hooks-to", hooks_to)
        sandbox = _start("sandbox", *options, cwd=folder, pipe=True)
        try:
            return _run(sandbox, folder, port)
        except KeyboardInterrupt:
            return 0
        finally:
            sandbox.terminate()
            sandbox.wait()


def _run(sandbox: subprocess.Popen[str], folder: str, port: int) -> int:
    first_line = sandbox.stdout.readline() if sandbox.stdout else ""
    if not first_line:
        print("demo: the sandbox did not start.", file=sys.stderr)
        return 1
    crisp = json.loads(first_line)
    environment = {**os.environ, **_environment(crisp, folder, port)}
    # The port is taken first: better to hear now that it is in use than after the import.
    server = _start("serve", "--port", str(port), cwd=folder, env=environment, pipe=True)
    try:
        ready = server.stdout.readline() if server.stdout else ""
        if not ready:
            return server.wait()
        for verb in (["connect", crisp["website_id"]], ["sync", "--full", "--wait"]):
            done = subprocess.run([CRISPSYNC, *verb], cwd=folder, env=environment, check=False)
            if done.returncode:
                return done.returncode
        print(f"\nOpen http://127.0.0.1:{port}/")
        print(f"Log in as {EMAIL} with the password {PASSWORD}")
        print("The sandbox sends a few web hooks a minute; Ctrl-C ends everything.", flush=True)
        return server.wait()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def _environment(crisp: dict[str, Any], folder: str, port: int) -> dict[str, str]:
    return {
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/crispsync.db",
        "REDIS_URL": "",
        "CRISP_API_URL": crisp["url"],
        "CRISP_IDENTIFIER": crisp["identifier"],
        "CRISP_KEY": crisp["key"],
        "CRISP_PLUGIN_ID": crisp["plugin_id"],
        "CRISP_SIGNING_SECRET": crisp["signing_secret"],
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "SYNC_EVERY_MINUTES": "1",
        "ADMIN_EMAIL": EMAIL,
        "ADMIN_PASSWORD": PASSWORD,
    }


def _start(
    *verb: str, cwd: str, env: dict[str, str] | None = None, pipe: bool = False
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [CRISPSYNC, *verb], cwd=cwd, env=env, text=True, stdout=subprocess.PIPE if pipe else None
    )


if __name__ == "__main__":
    sys.exit(main())
