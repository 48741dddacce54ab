"""What checkpoints and phases are called: in English as in report.json, in Chinese in Chinese."""

from __future__ import annotations

from factories import MB, analysed, frame, lifetime, lifetimes_in, nested_steps, run, tree
from hypothesis import given
from hypothesis import strategies as st

from memdeep.model import PhaseKind
from memdeep.report import sentences
from memdeep.text.language import language

ENGLISH, CHINESE = language("en"), language("zh")
ONE_FRAME, _ = tree([frame("main")])


@given(data=st.data())
def test_english_names_are_those_of_the_report(data: st.DataObject) -> None:
    steps = data.draw(nested_steps())
    made = analysed(run(*steps), ONE_FRAME, data.draw(lifetimes_in(1, len(steps) + 2)))
    assert [sentences.phase_label(made.run, found, ENGLISH) for found in made.phases] == [
        found.name for found in made.phases
    ]


def test_a_segment_is_named_in_the_language_of_the_reader() -> None:
    held = [lifetime(born=place, bytes=9 * MB) for place in range(1, 5)]
    made = analysed(run("+load", "half", "-load"), ONE_FRAME, held)
    said = [
        sentences.phase_label(made.run, found, CHINESE)
        for found in made.phases
        if found.outline.kind is PhaseKind.SEGMENT
    ]
    assert said == [
        "运行开始 → load 开始处",
        "load 开始处 → half",
        "half → load 结束处",
        "load 结束处 → 运行结束",
    ]


def test_of_a_long_label_what_tells_its_end_is_kept() -> None:
    label = "long " * 100
    made = run(f"+{label}", f"-{label}")
    said = sentences.checkpoint_label(made, 1, CHINESE, sentences.short)
    assert said.endswith("… 开始处")
    assert len(said) < 120
