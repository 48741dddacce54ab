"""Source lines stored with a run come back, and nothing else is taken for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import ANY_TEXT
from hypothesis import given
from hypothesis import strategies as st

from memdeep.sources import store
from memdeep.sources.lines import Sources

STARTED = "2026-11-25T08:00:00+00:00"
LINES = st.dictionaries(st.tuples(ANY_TEXT, st.integers(1, 10**6)), ANY_TEXT, max_size=8)


@given(lines=LINES, private=st.lists(ANY_TEXT, max_size=3))
def test_lines_come_back(lines: dict[tuple[str, int], str], private: list[str]) -> None:
    sources = Sources(lines, tuple(private))
    assert store.decode(store.encode(sources, STARTED)) == (sources, STARTED)


@given(content=st.binary(max_size=200))
def test_what_is_not_ours_is_nothing(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "sources"
    path.write_bytes(content)
    read, problem = store.read(path, STARTED)
    assert read == store.NOTHING
    assert problem is not None and "is damaged" in problem


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_torn_file_is_nothing(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "sources"
    path.write_bytes(store.encode(Sources({("a.py", 1): "x = 1"}), STARTED)[:-cut])
    read, problem = store.read(path, STARTED)
    assert read == store.NOTHING
    assert problem is not None and "is damaged" in problem
    assert store.read(tmp_path / "missing", STARTED) == (store.NOTHING, None)


def test_lines_of_another_run_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "sources"
    path.write_bytes(store.encode(Sources({("a.py", 1): "x = 1"}), "2026-01-01T00:00:00"))
    read, problem = store.read(path, STARTED)
    assert read == store.NOTHING
    assert problem is not None and "of another run" in problem


def test_stored_lines_win_over_those_of_an_edited_file() -> None:
    stored = Sources({("a.py", 1): "x = 1"}, ("key.pem",))
    found = Sources({("a.py", 1): "edited", ("a.py", 2): "new", ("b.py", 1): "y"}, ("a.py",))
    assert store.merged(stored, found) == Sources(
        {("a.py", 1): "x = 1", ("b.py", 1): "y"}, ("key.pem",)
    )
