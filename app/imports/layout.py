"""How a file is written: its encoding, its separator, and whether its first row names the columns (SPEC I1)."""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from charset_normalizer import from_bytes

from app.errors import Refused

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16, little-endian, without a mark",
    "utf-16-be": "UTF-16, big-endian, without a mark",
    "cp1252": "Windows-1252, Western European",
    "iso8859-15": "ISO 8859-15, Western European",
    "cp1250": "Windows-1250, Central European",
    "cp1251": "Windows-1251, Cyrillic",
    "cp1253": "Windows-1253, Greek",
    "cp1254": "Windows-1254, Turkish",
    "cp1255": "Windows-1255, Hebrew",
    "cp1256": "Windows-1256, Arabic",
    "cp1257": "Windows-1257, Baltic",
    "mac-roman": "Mac Roman",
    "cp850": "DOS 850",
    "shift-jis": "Shift JIS, Japanese",
    "euc-jp": "EUC-JP, Japanese",
    "gb18030": "GB 18030, Chinese",
    "big5": "Big5, Chinese",
    "euc-kr": "EUC-KR, Korean",
}
_SAMPLE = 64 * 1024
_BLOCK = 1024 * 1024
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_VALUE = re.compile(r"[+-]?[\d .,:/T-]*\d[\d .,:/TZ-]*")
_SEP_LINE = re.compile(r"^\ufeff?sep=(.)\r?\n?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Layout:
    """`encoding` a key of ENCODINGS, `separator` one of SEPARATORS."""

    encoding: str = "utf-8"
    separator: str = ","
    header: bool = True

    def as_json(self) -> dict[str, object]:
        return {"encoding": self.encoding, "separator": self.separator, "header": self.header}

    @property
    def codec(self) -> str:
        """A mark at the beginning is no part of the first name."""
        return "utf-8-sig" if self.encoding == "utf-8" else self.encoding


def layout_of(encoding: str, separator: str, *, header: bool) -> Layout:
    """Raises Refused for an encoding or a separator that is not offered."""
    if encoding not in ENCODINGS:
        raise Refused(f"Files are not read as {encoding[:40]}: choose {', '.join(ENCODINGS)}.")
    if separator not in SEPARATORS:
        raise Refused("Columns are separated by a comma, a semicolon, a tab or a pipe.")
    return Layout(encoding, separator, header)


def detect(path: Path) -> Layout:
    """What the file most probably is; every part of it can be chosen otherwise. Raises Refused.

    Reads it once, a block at a time.
    """
    with path.open("rb") as file:
        head = file.read(_SAMPLE)
    _refuse_others(head)
    encoding = _encoding(path, head)
    text = Layout(encoding).codec
    sample = head.decode(text, errors="replace").replace("\0", "")
    separator = _separator(sample)
    return Layout(encoding, separator, header=_has_header(sample, separator))


def _refuse_others(head: bytes) -> None:
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise Refused("This is an Excel workbook, not a CSV file: save it as CSV and upload that.")
    if head.startswith(b"%PDF"):
        raise Refused("This is a PDF, not a CSV file.")
    if not head.strip(b"\0 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise Refused("The file is empty.")


def _encoding(path: Path, head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if (wide := _wide(head)) is not None:
        return wide
    strange = _first_not_utf8(path)
    if strange is None:
        return "utf-8"
    with path.open("rb") as file:
        file.seek(max(0, strange - _SAMPLE // 2))
        return _single_byte(file.read(_SAMPLE))


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: nearly every second byte of Western text is 0."""
    even, odd = head[0:4096:2].count(0), head[1:4096:2].count(0)
    half = max(1, len(head[:4096]) // 2)
    if odd > 0.4 * half and even < 0.1 * half:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 * half and odd < 0.1 * half else None


def _first_not_utf8(path: Path) -> int | None:
    """Where the first bytes stand that are no UTF-8; the one strange name may be the last of a million."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    done = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                return done + error.start
            done += len(block)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return done
    return None


_WESTERN = frozenset(
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿŒœ€’‘“”„–—…°ºª«»£§´·¿¡"
)


def _single_byte(sample: bytes) -> str:
    western = sample.decode("cp1252", errors="replace")
    # A few accented letters look alike in many code pages; a detector would guess among them.
    if all(c in _WESTERN for c in western if not c.isascii()):
        return "cp1252"
    names = {codecs.lookup(name).name: name for name in ENCODINGS if not name.startswith("utf")}
    best = from_bytes(sample, cp_isolation=list(names)).best()
    return names.get(codecs.lookup(best.encoding).name, "cp1252") if best else "cp1252"


def sep_line(line: str) -> str | None:
    """The separator that Excel's own first line `sep=;` names."""
    found = _SEP_LINE.match(line)
    return found[1] if found else None


def _separator(sample: str) -> str:
    first, _, _rest = sample.partition("\n")
    named = sep_line(first)
    if named in SEPARATORS:
        return str(named)
    scores = {name: _score(sample, name) for name in SEPARATORS}
    return max(SEPARATORS, key=lambda name: scores[name])


def _score(sample: str, separator: str) -> tuple[float, int]:
    """(share of rows that have as many cells as the first, cells a row); a lone column is worth nothing."""
    widths = [len(row) for row in _rows(sample, separator, 60)]
    if not widths or widths[0] < 2:
        return (0.0, 0)
    same = sum(width == widths[0] for width in widths) / len(widths)
    return (round(same, 1), widths[0])


def _rows(sample: str, separator: str, most: int) -> list[list[str]]:
    lines = sample.splitlines(keepends=True)
    if len(sample) >= _SAMPLE // 2 and len(lines) > 1:
        lines.pop()  # cut off in the middle
    if lines and sep_line(lines[0]):
        lines.pop(0)
    found: list[list[str]] = []
    reader = csv.reader(io.StringIO("".join(lines), newline=""), delimiter=separator)
    try:
        for row in reader:
            if any(row):
                found.append(row)
            if len(found) == most:
                break
    except csv.Error:
        pass
    return found


def _has_header(sample: str, separator: str) -> bool:
    """The first row holds names, not values: no address, number or date, and nothing twice."""
    rows = _rows(sample, separator, 1)
    cells = [cell.strip() for cell in rows[0]] if rows else []
    named = [cell for cell in cells if cell]
    if any(_ADDRESS.search(cell) or _VALUE.fullmatch(cell) for cell in named):
        return False
    return bool(named)
