"""Source lines stored with a run come back, and nothing else is taken for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import ANY_TEXT
from hypothesis import given
from hypothesis import strategies as st

from memdeep.capture import source_store
from memdeep.capture.sources import Sources

LINES = st.dictionaries(st.tuples(ANY_TEXT, st.integers(1, 10**6)), ANY_TEXT, max_size=8)


@given(lines=LINES, private=st.lists(ANY_TEXT, max_size=3))
def test_lines_come_back(lines: dict[tuple[str, int], str], private: list[str]) -> None:
    sources = Sources(lines, tuple(private))
    assert source_store.decode(source_store.encode(sources)) == sources


@given(content=st.binary(max_size=200))
def test_what_is_not_ours_is_nothing(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "sources"
    path.write_bytes(content)
    assert source_store.read(path) == source_store.NOTHING


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_torn_file_is_nothing(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "sources"
    path.write_bytes(source_store.encode(Sources({("a.py", 1): "x = 1"}))[:-cut])
    assert source_store.read(path) == source_store.NOTHING
    assert source_store.read(tmp_path / "missing") == source_store.NOTHING


def test_stored_lines_win_over_those_of_an_edited_file() -> None:
    stored = Sources({("a.py", 1): "x = 1"}, ("key.pem",))
    found = Sources({("a.py", 1): "edited", ("a.py", 2): "new", ("b.py", 1): "y"}, ("a.py",))
    assert source_store.merged(stored, found) == Sources(
        {("a.py", 1): "x = 1", ("b.py", 1): "y"}, ("key.pem",)
    )
