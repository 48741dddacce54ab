"""A baseline: what a later run may differ in, and how it is brought up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from factories import MB, phase, report, run
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.analysis.baseline import Update, baseline_of, compared, mode_of, updated
from memdeep.model import Exit, Mode, Peak, PhaseKind, Report
from memdeep.model.budget import Baseline, Check, NoteKind, Rule, State, Unknown
from memdeep.model.comparison import Figure
from memdeep.report.gate import baseline as file

RULE = Rule("/app/memory.toml")
DEEP = Mode("memray", native=False, python_allocators=True)


def grown(sizes: Mapping[str, int], **changes: Any) -> Report:
    """A run with phases that grew by these bytes, and rose by as much."""
    phases = [
        phase(name, delta_bytes=size, peak=Peak(size, None, None), allocations=100)
        for name, size in sizes.items()
    ]
    return report(phases, run=run(peak_rss_bytes=900 * MB, **changes))


def outcome(before: Report, after: Report, *, allow_missing: bool = False) -> list[str]:
    """The checks that fail."""
    verdicts, _ = compared(after, baseline_of(before), RULE, allow_missing=allow_missing)
    return [f"{one.name} {one.check.value}".strip() for one in verdicts if one.fails]


@pytest.mark.parametrize(
    ("mode", "before", "after", "failing"),
    [
        (None, 100 * MB, 106 * MB, ("growth", "rise")),
        (None, 100 * MB, 105 * MB, ()),
        (None, 10 * MB, 14 * MB, ()),
        (None, 10 * MB, 14 * MB + 1, ("growth", "rise")),
        (None, 100 * MB, 10 * MB, ()),
        (DEEP, 100 * MB, 103 * MB, ("growth", "rise")),
        (DEEP, 1 * MB, 1 * MB + 4096, ()),
        (DEEP, 1 * MB, 1 * MB + 4097, ("growth",)),
        (DEEP, 1 * MB, 1 * MB + 131_073, ("growth", "rise")),
    ],
)
def test_a_figure_may_rise_by_its_noise(
    mode: Mode | None, before: int, after: int, failing: Sequence[str]
) -> None:
    modes = {} if mode is None else {"mode": mode}
    found = outcome(grown({"load": before}, **modes), grown({"load": after}, **modes))
    assert found == [f"load max-{figure}" for figure in failing]


def test_phases_that_are_gone_fail_and_new_ones_are_told() -> None:
    before, after = grown({"a": MB, "b": MB}), grown({"a": MB, "c": MB})
    assert outcome(before, after) == ["b baseline"]
    assert outcome(before, after, allow_missing=True) == []
    _, notes = compared(after, baseline_of(before), RULE, allow_missing=True)
    assert [(note.kind, note.values["names"]) for note in notes] == [
        (NoteKind.GONE, "b"),
        (NoteKind.NEW, "c"),
    ]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"mode": DEEP}, Unknown.OTHER_MODE),
        ({"mode": Mode("memray", True, False, ("load",))}, Unknown.OTHER_MODE),
        ({"python": "3.12.0"}, Unknown.OTHER_PYTHON),
    ],
)
def test_what_cannot_be_compared_is_no_pass(changes: dict[str, Any], why: Unknown) -> None:
    known = baseline_of(grown({"a": MB}))
    (verdict,), notes = compared(grown({"a": MB}, **changes), known, RULE, allow_missing=False)
    assert (verdict.check, verdict.why, verdict.fails) == (Check.BASELINE, why, True)
    assert notes == ()


def test_another_micro_version_and_native_frames_are_the_same() -> None:
    mode = Mode("memray", native=False, python_allocators=False)
    assert outcome(grown({"a": MB}), grown({"a": MB}, python="3.11.99", mode=mode)) == []
    _, notes = compared(
        grown({"a": MB}, memray="2.0"), baseline_of(grown({"a": MB})), RULE, allow_missing=False
    )
    assert [note.kind for note in notes] == [NoteKind.OTHER_MEMRAY]


def test_a_figure_that_is_no_longer_known_is_no_pass() -> None:
    before, after = grown({"a": MB}), replace(grown({}), phases=(phase("a", heap=None),))
    verdicts, _ = compared(after, baseline_of(before), RULE, allow_missing=False)
    assert {one.why for one in verdicts if one.name == "a"} == {Unknown.UNTRACED}


def test_of_a_run_that_did_not_complete_nothing_passes() -> None:
    after = grown({"a": MB}, exit=Exit(None, "SIGKILL", "killed"))
    verdicts, _ = compared(after, baseline_of(grown({"a": MB})), RULE, allow_missing=False)
    assert verdicts and all(one.state is State.UNKNOWN for one in verdicts)


def test_only_lasting_phases_are_in_it() -> None:
    segment = phase("a → b", kind=PhaseKind.SEGMENT)
    assert list(baseline_of(report([phase("a"), segment])).phases) == ["a"]
    assert list(baseline_of(report([segment])).phases) == ["a → b"]


def test_the_mode_says_what_figures_depend_on() -> None:
    assert mode_of(Mode("memray", True, False)) == "memray"
    assert mode_of(Mode("memray", True, True, ("加载*",))) == "memray, deep, focus 加载*"


FIGURES = st.fixed_dictionaries(
    {}, optional={figure: st.integers(-(10**12), 10**12) for figure in (Figure.GROWTH, Figure.RISE)}
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
BASELINES = st.builds(
    Baseline,
    python=st.none() | TEXTS,
    memray=st.none() | TEXTS,
    mode=TEXTS,
    run=FIGURES,
    phases=st.dictionaries(TEXTS, FIGURES, max_size=5),
)


@examples(100)
@given(BASELINES)
def test_the_file_comes_back_as_it_was(known: Baseline) -> None:
    content = file.encode(known)
    assert file.decode(content, "b.toml") == known
    assert len(content.splitlines()) <= 20 + len(known.phases)


SIZES = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 200 * MB), max_size=4)


@examples(100)
@given(SIZES, SIZES)
def test_after_an_update_the_run_passes_and_a_second_update_changes_nothing(
    before: dict[str, int], after: dict[str, int]
) -> None:
    old, now = baseline_of(grown(before)), baseline_of(grown(after))
    new, _ = updated(old, now, deep=False)
    verdicts, _ = compared(grown(after), new, RULE, allow_missing=False)
    assert not [one for one in verdicts if one.fails]
    again, changes = updated(new, now, deep=False)
    assert again is new
    assert changes == []


@examples(100)
@given(SIZES, st.data())
def test_within_noise_nothing_is_rewritten(before: dict[str, int], data: st.DataObject) -> None:
    moved = {name: size + data.draw(st.integers(0, 4 * MB)) for name, size in before.items()}
    old = baseline_of(grown(before))
    new, changes = updated(old, baseline_of(grown(moved)), deep=False)
    assert new is old and changes == []
    assert outcome(grown(before), grown(moved)) == []


def test_an_update_says_what_changed() -> None:
    old = baseline_of(grown({"a": MB, "b": MB, "c": 50 * MB}))
    new, changes = updated(old, baseline_of(grown({"a": MB, "c": 90 * MB, "d": MB})), deep=False)
    assert changes == [
        Update("c", Figure.GROWTH, 50 * MB, 90 * MB),
        Update("c", Figure.RISE, 50 * MB, 90 * MB),
        Update("d", None, None, MB),
        Update("b", None, MB, None),
    ]
    assert list(new.phases) == ["a", "c", "d"]


def test_a_baseline_that_cannot_be_compared_is_written_anew() -> None:
    old, now = baseline_of(grown({"a": MB})), baseline_of(grown({"a": 2 * MB}, mode=DEEP))
    assert updated(old, now, deep=True) == (now, [])
    assert updated(None, now, deep=True) == (now, [])
