"""Text from a run is shown on one line and steers nothing."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdeep.text.safe import plain

INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
JOINERS = "\u200c\u200d"


@given(text=st.text())
def test_nothing_is_left_that_is_not_seen(text: str) -> None:
    shown = plain(text)
    assert len(shown) == len(text)
    hidden = {char for char in shown if unicodedata.category(char) in INVISIBLE}
    assert hidden <= set(JOINERS)


@given(text=st.text(st.characters(exclude_categories=sorted(INVISIBLE))))
def test_what_is_seen_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "␛[31mred"),
        ("two\nlines\r", "two␊lines␍"),
        ("\x9b31m", "�31m"),
        ("\u202eexe.py", "�exe.py"),
        ("\u2066a\u2069\u200e\u200f\u061c", "�a����"),
        ("soft\u00adhyphen\ufeff\u200b", "soft�hyphen��"),
        ("no\u00a0break\u3000wide", "no\u00a0break\u3000wide"),
        ("\ud800", "�"),
        ("\U000e0041tag", "�tag"),
        ("👩\u200d💻 加载 می\u200cخواهم", "👩\u200d💻 加载 می\u200cخواهم"),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert plain(text) == shown
