"""Cells of exported files: nothing in them is run as a formula, and nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.spreadsheet import defused, undefused


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+49 30 1234",
        "-3",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "\nx",
        "\x00x",
        "＝1",
        "＋1",
        "－1",
        "＠x",
        "  =cmd|' /C calc'!A0",
        "\u3000=1",
        "\xa0@x",
    ],
)
def test_case_071_formula_cells_are_defused(cell: str) -> None:
    assert defused(cell) == "'" + cell


@pytest.mark.parametrize("cell", ["", "Ada", "a=b", "0049", "'quoted'", "1-2"])
def test_harmless_cells_stay_as_they_are(cell: str) -> None:
    assert defused(cell) == cell


@given(st.text(alphabet=st.sampled_from("'=+-@ \t\na1\u3000")) | st.text())
@example("'=1")
@example("'")
def test_what_was_defused_comes_back_the_same(cell: str) -> None:
    assert undefused(defused(cell)) == cell
