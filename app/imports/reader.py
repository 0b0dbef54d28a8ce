"""The rows of a CSV file, one at a time, whatever is in it: memory stays flat (SPEC I1, FAILURES cases 57, 58)."""

from __future__ import annotations

import codecs
import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from app.imports.layout import Layout, sep_line

LONGEST_LINE = 1024 * 1024
LONGEST_CELL = 100_000
"""Characters. An unclosed quote would otherwise make the rest of the file one cell."""
_TELL_EVERY = 100
_TOO_LONG = "\x1a\x1atoo long\x1a\x1a"
_NUL, _PICTURE_OF_NUL = "\0", "\u2400"


@dataclass(frozen=True, slots=True)
class RawRow:
    """`line` is the first line of the row as a text editor counts; `problem` says why it cannot be read."""

    line: int
    cells: list[str]
    problem: str | None = None


@dataclass(slots=True)
class Reader:
    """Iterate it once. `read_bytes` of `size` tell how far it is; `columns` are the names in the first row.

    Rows without any text are no rows, as spreadsheet programs append them.
    """

    path: Path
    layout: Layout
    size: int = 0
    read_bytes: int = 0
    columns: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.size = self.path.stat().st_size

    def __iter__(self) -> Iterator[RawRow]:
        with self.path.open("rb") as raw:
            text = _decoded(raw, self.layout)
            rows = _rows(text, self.layout.separator)
            if self.layout.header:
                self.columns = next(rows, RawRow(1, [])).cells
            for number, row in enumerate(rows):
                # What is buffered counts as read: it is only for a progress bar.
                if number % _TELL_EVERY == 0:
                    self.read_bytes = raw.tell()
                yield row
            self.read_bytes = self.size


def read_head(path: Path, layout: Layout, most: int) -> tuple[list[str], list[RawRow]]:
    """The names of the columns, made up where there is no header, and the first rows."""
    reader = Reader(path, layout)
    rows = []
    for row in reader:
        rows.append(row)
        if len(rows) == most:
            break
    width = max((len(row.cells) for row in rows if row.problem is None), default=0)
    names = [name.strip() for name in reader.columns]
    if not layout.header:
        names = [f"Column {number}" for number in range(1, width + 1)]
    return names, rows


def _decoded(raw: IO[bytes], layout: Layout) -> Iterator[str]:
    """Lines of at most LONGEST_LINE characters."""
    codec = layout.codec
    if codec == "utf-16" and not _has_mark(raw):
        codec = "utf-16-le"  # as Windows writes it; without a mark Python reads nothing as UTF-16
    # newline="": a line end inside quotes stays what it is, and a lone CR ends a line too.
    text = open(  # noqa: SIM115  # it shares its descriptor with `raw`, which closes it
        raw.fileno(), encoding=codec, errors="replace", newline="", closefd=False
    )
    first = True
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE and not line.endswith(("\r", "\n")):
            while (more := text.readline(LONGEST_LINE)) and not more.endswith(("\r", "\n")):
                pass
            line = f"{_TOO_LONG}\n"
        if first and sep_line(line):
            line = "\n"
        first = False
        yield line.replace(_NUL, _PICTURE_OF_NUL) if _NUL in line else line


def _has_mark(raw: IO[bytes]) -> bool:
    # Not through `raw`: what it had read ahead would be missing.
    return os.pread(raw.fileno(), 2, 0) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}


def _rows(lines: Iterator[str], separator: str) -> Iterator[RawRow]:
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(lines, delimiter=separator)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield RawRow(line, [], "too_long")
            continue
        whole = "".join(cells)
        if not whole or whole.isspace():
            continue
        problem = None
        if _TOO_LONG in whole:
            problem, cells = "too_long", []
        elif not whole.isascii() and "\ufffd" in whole:
            problem = "unreadable"
        yield RawRow(line, cells, problem)
