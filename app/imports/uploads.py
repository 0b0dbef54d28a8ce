"""Where uploaded files are kept: outside of what is served, under random names, never as big as somebody likes."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Protocol

from app.errors import CrispsyncError, Refused

_BLOCK = 1024 * 1024


class TooLarge(CrispsyncError):
    """The file is bigger than IMPORT_MAX_MB; nothing of it was kept."""

    http_status = 413
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in the uploads folder: its random name there, its own name, its size in bytes."""

    file: str
    name: str
    size: int


class Source(Protocol):
    async def read(self, size: int = -1, /) -> bytes: ...


async def store(folder: Path, name: str, source: Source, most_mb: int) -> Stored:
    """Write it block by block. Raises TooLarge."""
    return await store_blocks(folder, name, _blocks(source), most_mb)


async def _blocks(source: Source) -> AsyncIterator[bytes]:
    while block := await source.read(_BLOCK):
        yield block


async def store_blocks(
    folder: Path, name: str, blocks: AsyncIterator[bytes], most_mb: int
) -> Stored:
    path = await asyncio.to_thread(_new_file, folder)
    size = 0
    try:
        with path.open("wb") as file:
            async for block in blocks:
                size += len(block)
                _check_size(size, f"The file has more than {most_mb:,} MB; split it.", most_mb)
                await asyncio.to_thread(file.write, block)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Stored(path.name, shown_name(name), size)


def _new_file(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"{secrets.token_hex(16)}.csv"


def _check_size(size: int, sentence: str, most_mb: int) -> None:
    if size > most_mb * _BLOCK:
        raise TooLarge(sentence)


def store_copy(folder: Path, path: Path, most_mb: int) -> Stored:
    """A file of this machine, for the command. Raises Refused, TooLarge."""
    try:
        size = path.stat().st_size
        _check_size(size, f"{path} has more than {most_mb:,} MB; split it.", most_mb)
        kept = _new_file(folder)
        shutil.copyfile(path, kept)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}.") from None
    return Stored(kept.name, shown_name(path.name), size)


def shown_name(name: str) -> str:
    """The last part of what a browser calls it, without control characters."""
    last = PurePath(name.replace("\\", "/")).name
    return "".join(c for c in last if c.isprintable())[:200] or "file.csv"


def path_of(folder: Path, file: str | None) -> Path:
    """Raises Refused when it is kept no longer."""
    if file is None or not (folder / file).is_file():
        raise Refused("The file of this import is kept no longer: upload it again.")
    return folder / file


def forget(folder: Path, file: str | None) -> None:
    if file is not None:
        (folder / file).unlink(missing_ok=True)
