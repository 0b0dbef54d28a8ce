"""Crisp's clock, worked out from the Date header of its answers.

Windows end and versions are made by Crisp's time, so that a wrong clock here loses nothing
(FAILURES case 52). The header has whole seconds; each answer narrows the interval in which
the difference to this machine's clock can lie.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from app.clock import now_ms, to_ms


class CrispClock:
    def __init__(self) -> None:
        self._least = 0
        self._most = 0
        self._known = False

    def observe(self, date_header: str | None, sent_ms: int, received_ms: int) -> None:
        date_ms = _parse(date_header)
        if date_ms is None:
            return
        fresh = (date_ms - received_ms, date_ms + 1000 - sent_ms)
        least, most = max(fresh[0], self._least), min(fresh[1], self._most)
        if not self._known or least > most:  # the first answer, or a clock was set
            least, most = fresh
        self._least, self._most, self._known = least, most, True

    @property
    def is_known(self) -> bool:
        """Whether any answer has told the time yet; until then it is this machine's."""
        return self._known

    def at(self, machine_ms: int) -> int:
        """Crisp's time, epoch ms, when this machine's clock shows `machine_ms`."""
        if not self._known:
            return machine_ms
        return machine_ms + round((self._least + self._most) / 2)

    def now_ms(self) -> int:
        return self.at(now_ms())


def _parse(header: str | None) -> int | None:
    if not header:
        return None
    try:
        return to_ms(parsedate_to_datetime(header))
    except (ValueError, TypeError):
        return None
