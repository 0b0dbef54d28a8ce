"""Text as a cell of a CSV file that somebody opens in a spreadsheet program."""

from __future__ import annotations

# OWASP ASVS 1.2.10: what begins like this may be run as a formula; full-width forms and leading
# spaces are taken for the same by some programs (FAILURES case 71).
_STARTS = frozenset("=+-@\t\r\n\0＝＋－＠")
_SPACES = " \u00a0\u3000"
MARK = "'"


def defused(cell: str) -> str:
    """The text with a `'` before it when a spreadsheet program might run it as a formula."""
    return MARK + cell if _is_formula(cell.lstrip(MARK)) else cell


def undefused(cell: str) -> str:
    """What `defused` was given: a file that was exported imports back to the same values."""
    marked = cell.startswith(MARK) and _is_formula(cell.lstrip(MARK))
    return cell[1:] if marked else cell


def _is_formula(text: str) -> bool:
    return text[:1] in _STARTS or text.lstrip(_SPACES)[:1] in _STARTS
