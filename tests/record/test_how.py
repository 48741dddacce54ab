"""How to record travels to the child as words, whatever is in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memdeep.record.how import END, HowToRecord
from memdeep.record.program import WhatToRun

TEXT = st.text(st.characters(exclude_characters="\0"), max_size=20)
BY_TYPE = {
    bool: st.booleans(),
    int: st.integers(-1, 1 << 40),
    float: st.floats(0, 1e9),
    str: TEXT,
}
VALUES = st.fixed_dictionaries(
    {
        name: BY_TYPE.get(kind, st.lists(TEXT, max_size=3).map(tuple))
        for name, kind in HowToRecord.__annotations__.items()
    }
)


@given(values=VALUES, rest=st.lists(TEXT, max_size=3))
def test_the_words_come_back_as_what_they_say(values: dict[str, object], rest: list[str]) -> None:
    words = HowToRecord(**values).to_words()
    how, left = HowToRecord.from_words([*words, *rest])
    assert vars(how) == values
    assert left == rest


def test_the_words_can_be_read_by_people() -> None:
    empty = {name: kind() for name, kind in HowToRecord.__annotations__.items()}
    values = {"backend": "memray", "native": True, "focus": ("加载*", END), "mark_every": 0.5}
    words = HowToRecord(**{**empty, **values}).to_words()
    assert {"backend=memray", "native=1", "focus=加载*", "focus=--", "mark_every=0.5"} <= {*words}
    assert words[-1] == END


def test_a_name_that_says_nothing_of_recording_is_refused() -> None:
    with pytest.raises(TypeError, match="nonsense"):
        HowToRecord(nonsense=1)


def test_a_changed_copy_leaves_the_original() -> None:
    how = HowToRecord(backend="rss", focus=())
    changed = how.but(run_dir="x", orders=3)
    assert (changed.backend, changed.run_dir, changed.orders) == ("rss", "x", 3)
    assert (how.run_dir, how.orders) == ("", -1)


def test_what_limits_tracing_is_said_in_the_words_of_the_command_line() -> None:
    how = HowToRecord(focus=("a", "b"), start_at="c", stop_at="")
    assert how.traced_only == ("--focus a", "--focus b", "--start-at c")
    assert HowToRecord(focus=(), start_at="", stop_at="").traced_only == ()


@given(
    kind=st.sampled_from([WhatToRun.SCRIPT, WhatToRun.MODULE, WhatToRun.CODE]),
    target=TEXT,
    arguments=st.lists(TEXT, max_size=3).map(tuple),
)
def test_what_to_run_comes_back(kind: str, target: str, arguments: tuple[str, ...]) -> None:
    what = WhatToRun.from_words(WhatToRun(kind, target, arguments).to_words())
    assert (what.kind, what.target, what.arguments) == (kind, target, arguments)
