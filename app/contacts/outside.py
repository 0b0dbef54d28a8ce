"""The list of erased people outside the database, so that a restored backup does not bring them back.

A file of JSON lines, only ever added to. It holds no more than the database does: keyed hashes, and their
key, sealed with SECRET_KEY. Whoever adds to it has it on the disk before the erasure is committed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from app.db.session import normal_url, sqlite_file
from app.errors import CrispsyncError
from app.settings import Settings, data_folder

FILE = "erased.list"


class NotKept(CrispsyncError):
    """The file cannot be written or read: nobody may be told that somebody was erased."""

    http_status = 503
    exit_code = 1


class SealedKey(NamedTuple):
    """The key of the hashes, as app/vault/seal.py sealed it.

    `name` is the same however often it is sealed, and tells nothing of it; `key_id` names the SECRET_KEY.
    """

    name: str
    key_id: str
    sealed: str


@dataclass(slots=True)
class Outside:
    """What the file tells. `people`: (website id, hash) to when; `websites`: id to when it was erased last.

    `torn` counts lines that a kill or a full disk cut off: what they were about was never said to be done.
    """

    keys: list[SealedKey] = field(default_factory=list)
    people: dict[tuple[str, str], datetime] = field(default_factory=dict)
    websites: dict[str, datetime] = field(default_factory=dict)
    torn: int = 0


def outside_file(settings: Settings) -> Path:
    """ERASED_FILE, else beside the SQLite file, else in the data folder."""
    if settings.erased_file is not None:
        return settings.erased_file
    database = sqlite_file(normal_url(settings.database_url))
    return (data_folder() if database is None else database.parent) / FILE


def read_outside(path: Path) -> Outside:
    """Nothing when there is no file yet. Raises NotKept."""
    found = Outside()
    try:
        with path.open("rb") as lines:
            for line in lines:
                if line.strip() and not _take(found, line):
                    found.torn += 1
    except FileNotFoundError:
        pass
    except OSError as error:
        raise NotKept(
            f"The list of erased people, {path}, cannot be read: {error.strerror}. Until it can, nobody "
            "is erased."
        ) from None
    return found


def _take(found: Outside, line: bytes) -> bool:
    try:
        told = json.loads(line)
        if "sealed" in told:
            found.keys.append(SealedKey(*(str(told[name]) for name in SealedKey._fields)))
            return True
        moment = datetime.fromisoformat(told["erased_at"])
        website_id = str(told["website_id"])
        if moment.tzinfo is None:
            return False
        if "digest" in told:
            found.people[website_id, str(told["digest"])] = moment
        else:
            found.websites[website_id] = moment
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
    return True


def key_line(key: SealedKey) -> dict[str, Any]:
    return key._asdict()


def person_line(website_id: str, digest: str, moment: datetime) -> dict[str, Any]:
    return {"website_id": website_id, "digest": digest, "erased_at": moment.isoformat()}


def website_line(website_id: str, moment: datetime) -> dict[str, Any]:
    return {"website_id": website_id, "erased_at": moment.isoformat()}


def add_outside(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """All of them are on the disk when it returns. Raises NotKept; then none counts, or all."""
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode()
    if text:
        _add_or_tell(path, text)


def make_outside(path: Path) -> None:
    """An empty list where there is none: so that a backup finds it, and want of a right to write shows early.

    Raises NotKept.
    """
    _add_or_tell(path, b"")


def find_trouble(settings: Settings) -> str | None:
    """Why nobody can be erased at the moment; None when the file can be read and written."""
    path = outside_file(settings)
    try:
        if path.exists():
            read_outside(path)
            path.open("ab").close()
    except NotKept as error:
        return error.message
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}."
    return None


def _add_or_tell(path: Path, text: bytes) -> None:
    try:
        _add(path, text)
    except OSError as error:
        raise NotKept(
            f"The list of erased people, {path}, cannot be written: {error.strerror}. Until it can, "
            "nobody is erased."
        ) from None


def _add(path: Path, text: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        end = os.fstat(handle).st_size
        # What a kill or a full disk cut off before must not swallow the first of these lines.
        if text and end and os.pread(handle, 1, end - 1) != b"\n":
            text = b"\n" + text
        try:
            _write_whole(handle, text)
        except OSError:
            os.ftruncate(handle, end)
            raise
    finally:
        os.close(handle)
    if is_new:
        _sync_folder(path.parent)


def _write_whole(handle: int, text: bytes) -> None:
    left = memoryview(text)
    while left:
        left = left[os.write(handle, left) :]
    os.fsync(handle)


def _sync_folder(folder: Path) -> None:
    """The name of a new file is on the disk only then."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
