"""Passwords: argon2id in a few threads, so that a storm of logins blocks neither pages nor memory.

FAILURES cases 86 and 96.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from app.errors import CrispsyncError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")

SHORTEST, LONGEST = 10, 256
# OWASP's parameters for argon2id: 19 MiB and two passes; so at once THREADS × 19 MiB.
MEMORY_KIB, PASSES = 19_456, 2
THREADS = 2
MOST_WAITING = 40
_FEWEST_LETTERS = 5

_STEMS = (
    "administrator|admin|root|user|demo|test|guest|default|secret|password|passwort|passw0rd|pass|"
    "changethis|changeme|change|letmein|welcome|hello|monkey|dragon|football|iloveyou|login|"
    "crispsync|crisp|qwertyuiop|qwertzuiop|azertyuiop|qwerty|qwertz|azerty|asdf|ghjkl|zxcvbnm|abc"
)
_COMMON = re.compile(f"(?:{_STEMS}|[^a-z])+", re.IGNORECASE)


class TooBusy(CrispsyncError):
    """More people are logging in than can be served."""

    http_status = 503


_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
_slots = [0]


def weakness(password: str, email: str = "") -> str | None:
    """Why this password is no good, as a sentence; None when it is good."""
    if len(password) < SHORTEST:
        return f"The password needs at least {SHORTEST} characters."
    if len(password) > LONGEST:
        return f"The password may have at most {LONGEST} characters."
    plain = password.lower()
    local = email.partition("@")[0].lower()
    if (
        len(set(plain)) < _FEWEST_LETTERS
        or _COMMON.fullmatch(plain)
        or (len(local) > 3 and local in plain)
        or plain == email.lower()
    ):
        return "That password would be guessed soon: take one that is longer or less usual."
    return None


async def hash_password(password: str) -> str:
    """Raises TooBusy."""
    return await _in_thread(lambda: _hasher().hash(password))


async def password_fits(stored: str | None, password: str) -> bool:
    """Takes as long when nothing is stored, so that the time does not tell. Raises TooBusy."""
    return await _in_thread(lambda: _verify(stored or _nobodys(), password)) and stored is not None


def _verify(stored: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)


@lru_cache(maxsize=1)
def _nobodys() -> str:
    return _hasher().hash("nobody has this password")


async def _in_thread(work: Callable[[], T]) -> T:
    if _slots[0] >= MOST_WAITING:
        raise TooBusy("Many people are logging in at this moment: try again in a few seconds.")
    _slots[0] += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, work)
    finally:
        _slots[0] -= 1
