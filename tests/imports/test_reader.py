"""Any file is read row by row, or said to be none: encodings, separators, quotes, rubbish (SPEC I1)."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Refused
from app.imports.layout import ENCODINGS, Layout, detect, layout_of
from app.imports.reader import LONGEST_LINE, Reader, read_head

GERMAN = "E-Mail;Vorname;Stadt\nada@acme.example;Ada;Köln\nbo@acme.example;Bo;Zürich\n"


def written(folder: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = folder / "file.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("cp1252", "cp1252"),
    ],
)
def test_encodings_are_detected(tmp_path: Path, encoding: str, found: str) -> None:  # SPEC I1
    path = written(tmp_path, GERMAN, encoding)
    layout = detect(path)
    assert layout == Layout(found, ";", header=True)
    names, rows = read_head(path, layout, 5)
    assert names == ["E-Mail", "Vorname", "Stadt"]
    assert [row.cells[2] for row in rows] == ["Köln", "Zürich"]


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("cp1251", "Анна Иванова из города Санкт-Петербурга написала нам письмо о заказе"),
        ("shift-jis", "東京都渋谷区の山田太郎さんから注文についての問い合わせがありました"),
        ("cp1253", "Η Μαρία Παπαδοπούλου από την Αθήνα έγραψε για την παραγγελία της"),
    ],
)
def test_other_alphabets_are_detected(tmp_path: Path, encoding: str, words: str) -> None:
    text = "email,note\n" + "".join(f"p{n}@acme.example,{words}\n" for n in range(20))
    path = written(tmp_path, text, encoding)
    assert detect(path).encoding == encoding
    assert read_head(path, detect(path), 1)[1][0].cells[1] == words


def test_one_strange_byte_far_behind_is_noticed(tmp_path: Path) -> None:
    text = b"email,city\n" + b"ada@acme.example,Bern\n" * 60_000 + b"bo@acme.example,K\xf6ln\n"
    assert detect(written(tmp_path, text)).encoding == "cp1252"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_detected(tmp_path: Path, separator: str) -> None:
    rows = [["email", "name", "tags"], ["a@x.example", "A, B", "vip|beta;x"]] * 4
    lines = [separator.join(f'"{c}"' for c in row) for row in rows]
    assert detect(written(tmp_path, "\n".join(lines))).separator == separator


def test_excels_own_line_names_the_separator(tmp_path: Path) -> None:
    path = written(tmp_path, "sep=;\nemail;name\na@x.example;A\n")
    layout = detect(path)
    assert (layout.separator, layout.header) == (";", True)
    reader = Reader(path, layout)
    assert [(row.line, row.cells) for row in reader] == [(3, ["a@x.example", "A"])]
    assert reader.columns == ["email", "name"]


def test_a_row_of_values_is_no_header(tmp_path: Path) -> None:
    path = written(tmp_path, "a@x.example,Ada\nb@x.example,Bo\n")
    assert not detect(path).header
    names, rows = read_head(path, detect(path), 5)
    assert names == ["Column 1", "Column 2"]
    assert len(rows) == 2


def test_quotes_lines_and_empty_rows(tmp_path: Path) -> None:
    text = 'email,note\r\n\r\n"a@x.example","two\r\nlines, ""quoted"""\r\n,\r\nb@x.example,x\r\n'
    rows = list(Reader(written(tmp_path, text), Layout()))
    assert [(row.line, row.cells) for row in rows] == [
        (3, ["a@x.example", 'two\r\nlines, "quoted"']),
        (6, ["b@x.example", "x"]),
    ]


def test_lone_carriage_returns_end_lines(tmp_path: Path) -> None:
    rows = list(Reader(written(tmp_path, "email,n\ra@x.example,1\rb@x.example,2\r"), Layout()))
    assert [row.cells[1] for row in rows] == ["1", "2"]


def test_case_057_nul_is_shown_and_not_kept(tmp_path: Path) -> None:
    rows = list(Reader(written(tmp_path, "email,n\na@x.example,a\0b\n"), Layout()))
    assert rows[0].cells[1] == "a\u2400b"


def test_case_058_long_cells_and_lines_spoil_only_their_row(tmp_path: Path) -> None:
    text = (
        f"email,n\na@x.example,{'x' * 200_000}\nb@x.example,fine\n"
        f"c@x.example,{'x' * (2 * LONGEST_LINE + 5)}\nd@x.example,fine\n"
    )
    rows = list(Reader(written(tmp_path, text), Layout()))
    assert [row.problem for row in rows] == ["too_long", None, "too_long", None]
    assert [row.line for row in rows] == [2, 3, 4, 5]


def test_an_unclosed_quote_does_not_swallow_the_file(tmp_path: Path) -> None:
    text = 'email,n\na@x.example,"open\n' + "b@x.example,fine\n" * 40_000
    rows = list(Reader(written(tmp_path, text), Layout()))
    assert rows[0].problem == "too_long"
    assert rows[-1].cells == ["b@x.example", "fine"]


def test_bytes_that_are_no_text_of_that_encoding(tmp_path: Path) -> None:
    rows = list(Reader(written(tmp_path, b"email,n\na@x.example,K\xf6ln\n"), Layout()))
    assert rows[0].problem == "unreadable"


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"PK\x03\x04rest", "Excel"), (b"%PDF-1.7", "PDF"), (b"", "empty"), (b"\r\n \n", "empty")],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, word: str) -> None:
    with pytest.raises(Refused, match=word):
        detect(written(tmp_path, content))


def test_what_is_not_offered_is_refused() -> None:
    with pytest.raises(Refused, match="not read as rot13"):
        layout_of("rot13", ",", header=True)
    with pytest.raises(Refused, match="separated by"):
        layout_of("utf-8", "#", header=True)


@pytest.mark.parametrize("encoding", list(ENCODINGS))
def test_every_encoding_that_is_offered_reads_any_file(tmp_path: Path, encoding: str) -> None:
    for content in (
        GERMAN.encode(),
        GERMAN.encode("utf-16"),
        GERMAN.encode("utf-16-le"),
        b"\xff",
        b"a",
    ):
        path = written(tmp_path, content)
        names, _ = read_head(path, Layout(encoding, ";", header=True), 5)
        assert all("\0" not in name for name in names)
    assert read_head(written(tmp_path, GERMAN, "utf-16-le"), Layout("utf-16", ";"), 1)[0] == [
        "E-Mail", "Vorname", "Stadt",
    ]  # fmt: skip


@settings(max_examples=150)
@given(content=st.binary(min_size=1, max_size=400))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = written(tmp_path_factory.getbasetemp(), content)
    try:
        layout = detect(path)
    except Refused:
        return
    for row in Reader(path, layout):
        assert all("\0" not in cell for cell in row.cells)


def test_case_055_memory_stays_flat(tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    line = b"person-%07d@acme.example,Some Name,Acme Ltd,vip|beta\n"
    with path.open("wb") as file:
        file.write(b"email,name,company,segments\n")
        for start in range(0, 200_000, 20_000):
            file.write(b"".join(line % n for n in range(start, start + 20_000)))
    tracemalloc.start()
    layout = detect(path)
    rows = sum(1 for _ in Reader(path, layout))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 200_000
    assert peak < 6_000_000
