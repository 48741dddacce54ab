"""Lines of a terminal break where a reader would break them, Chinese as well."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from memdeep.report.terminal import wrap

TEXT = st.text(st.sampled_from("ab cde　 中文，。（）“”/._9é"), max_size=120)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three", ["one two", "three"]),
        ("内存随时间增长", ["内存随时", "间增长"]),
        ("内存随时，间", ["内存随", "时，间"]),
        ("内存随（时间）", ["内存随", "（时间）"]),
        ("内存 RSS 增加了", ["内存 RSS", "增加了"]),
        ("a_long_word_that_does_not_fit", ["a_long_word_that_does_not_fit"]),
        ("first\nsecond", ["first", "second"]),
        ("", [""]),
    ],
)
def test_lines_break_at_blanks_and_between_wide_characters(text: str, lines: list[str]) -> None:
    assert wrap(text, 8).split("\n") == lines


@given(text=TEXT, width=st.integers(1, 40))
def test_nothing_but_blanks_is_lost(text: str, width: int) -> None:
    assert "".join(wrap(text, width).split()) == "".join(text.split())


@given(text=TEXT)
def test_a_line_is_too_wide_only_where_it_cannot_be_broken(text: str) -> None:
    for line in wrap(text, 20).split("\n"):
        if cell_len(line) > 20:
            assert "\n" not in wrap(line.strip(), 1)
