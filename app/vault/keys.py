"""The key that seals: from SECRET_KEY, or made beside the SQLite file, never kept in the database (SPEC P2).

Several are separated by commas while one replaces another; the first is the current one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.db.session import make_folder, normal_url, sqlite_file
from app.errors import Refused
from app.settings import Settings

FILE = "secret.key"
SHORTEST = 32
FEWEST_LETTERS = 10  # different ones; a random key of 32 hex digits nearly always has 12 or more
MAKE_ONE = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


@dataclass(frozen=True, slots=True)
class Key:
    """`id` names it in the rows that it sealed, and tells nothing of it."""

    id: str
    sealing: bytes


@dataclass(frozen=True, slots=True)
class Keyring:
    """The current key first."""

    keys: tuple[Key, ...]
    _texts: tuple[str, ...]

    @property
    def current(self) -> Key:
        return self.keys[0]

    def named(self, key_id: str) -> Key | None:
        return next((key for key in self.keys if key.id == key_id), None)

    def derived(self, purpose: str) -> tuple[bytes, ...]:
        """32 bytes of each key for another use than sealing; the current key's first."""
        return tuple(_derive(text, purpose) for text in self._texts)


def load_keyring(settings: Settings) -> Keyring:
    """Raises Refused when there is none, or one that could be guessed."""
    texts = settings.secret_keys or (_key_of_file(settings.database_url),)
    return _ring_of(texts)


@lru_cache(maxsize=8)
def _ring_of(texts: tuple[str, ...]) -> Keyring:
    for text in texts:
        _refuse_weak(text)
    keys = tuple(Key(_derive(text, "name").hex()[:12], _derive(text, "seal")) for text in texts)
    return Keyring(keys, texts)


def _refuse_weak(text: str) -> None:
    if len(text) < SHORTEST or len(set(text)) < FEWEST_LETTERS:
        raise Refused(
            f"SECRET_KEY could be guessed: it needs {SHORTEST} random characters. "
            f"Make one: {MAKE_ONE}"
        )


def _derive(text: str, purpose: str) -> bytes:
    hkdf = HKDF(hashes.SHA256(), 32, salt=None, info=f"crispsync {purpose}".encode())
    return hkdf.derive(text.encode())


def _key_of_file(database_url: str) -> str:
    database = sqlite_file(normal_url(database_url))
    if database is None:
        raise Refused(
            f"SECRET_KEY is not set, and with PostgreSQL it is needed. Make one: {MAKE_ONE}"
        )
    file = database.with_name(FILE)
    try:
        return file.read_text().strip() if file.exists() else _make(file)
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"The key in {file} cannot be read ({type(error).__name__}).") from None


def _make(file: Path) -> str:
    """Readable by its owner only, from its first moment; of two processes that make one, one wins."""
    make_folder(file)
    own = file.with_name(f"{FILE}.{secrets.token_hex(8)}")
    handle = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as writing:
            writing.write(secrets.token_urlsafe(32) + "\n")
            writing.flush()
            os.fsync(writing.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(own, file)
    finally:
        own.unlink()
    return file.read_text().strip()
