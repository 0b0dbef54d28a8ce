"""Programs measured from their start to their end: seconds, processor time, peak of memory."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Spent:
    """`cpu` is the process's own, in seconds; the sandbox's and a database server's are not in it."""

    seconds: float
    cpu: float
    peak_mb: float
    output: str


def run_measured(
    command: Sequence[str | Path], env: Mapping[str, str], folder: Path, timeout: float = 1800
) -> Spent:
    """Fails when the program does. Linux only: it reads the peak from /proc."""
    log = folder / "measured.out"
    with log.open("w") as output:
        began = time.monotonic()
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        peak = _Peak(process.pid)
        peak.start()
        timer = threading.Timer(timeout, process.kill)
        timer.start()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        peak.ended.set()
        peak.join()
    said = log.read_text()
    assert process.returncode == 0, f"{command} ended with {process.returncode}:\n{said[-2000:]}"
    return Spent(seconds, used.ru_utime + used.ru_stime, peak.mb, said)


class _Peak(threading.Thread):
    """The kernel keeps the peak itself; it has to be read before the process is gone.

    getrusage would not do: a child begins with the peak of the process that started it.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.mb = 0.0
        self._status = Path(f"/proc/{pid}/status")

    def run(self) -> None:
        while not self.ended.wait(0.05):
            try:
                lines = self._status.read_text().splitlines()
            except OSError:
                return
            for line in lines:
                if line.startswith("VmHWM:"):
                    self.mb = max(self.mb, int(line.split()[1]) / 1024)
