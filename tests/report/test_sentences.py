"""The sentences say what is known, in words that fit the figures; names fit the language."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import (
    MB,
    analysed,
    culprit,
    family_report,
    frame,
    lifetime,
    lifetimes_in,
    nested_steps,
    phase,
    report,
    run,
    stdlib,
    tree,
)
from hypothesis import given
from hypothesis import strategies as st

from memdeep.heap.stacks import thread_frame
from memdeep.model import (
    Advice,
    Exit,
    Fate,
    Finding,
    FindingKind,
    Frame,
    Identity,
    Mode,
    Peak,
    Phase,
    PhaseKind,
    Report,
    Stretch,
)
from memdeep.model.statement import state
from memdeep.report import fates, frame_names, sentences
from memdeep.text.language import LANGUAGES, Language, language

ENGLISH = language("en")
CHINESE = language("zh")

LOAD = frame("load_config", filename="/app/learning.py", lineno=212)
ONE_FRAME, _ = tree([frame("main")])


def growth(found: Phase, size: int = 8 * MB) -> Report:
    blamed = culprit(LOAD, bytes=size)
    item = Finding(FindingKind.GROWTH, 0, (0,), size, 0.5, blamed, None)
    return report([found], [item])


def sentence(found: Phase) -> str:
    made = growth(found)
    return sentences.finding(made, made.findings[0], ENGLISH)


@pytest.mark.parametrize(
    ("called", "text"),
    [
        (LOAD, "learning.py:212"),
        (replace(LOAD, lineno=0), "learning.py"),
        (replace(LOAD, filename=""), "load_config"),
        (stdlib("loads", lineno=293), "json/__init__.py:293"),
        (frame(filename="/app/tool/__main__.py", lineno=2), "tool/__main__.py:2"),
        (frame(filename="__main__.py", lineno=2), "__main__.py:2"),
        (frame(filename="<frozen runpy>", lineno=88), "<frozen runpy>:88"),
        (stdlib("dump", filename="/usr/lib/python3.12/copy.py", lineno=5), "copy.py:5"),
        (
            stdlib("dump", filename="/lib/python3.12/multiprocessing/reduction.py", lineno=51),
            "multiprocessing/reduction.py:51",
        ),
        (frame(filename="/v/lib/python3.12/site-packages/six.py", lineno=7), "six.py:7"),
        (
            frame(filename="/v/lib/python3.12/site-packages/pandas/core/frame.py", lineno=7),
            "core/frame.py:7",
        ),
        (
            frame(filename="/v/site-packages/np/_umath.cpython-312-x86_64-linux-gnu.so", lineno=0),
            "_umath.so",
        ),
        (
            frame(filename="/v/libgfortran-040039e1-0352e75f.so.5.0.0", lineno=0),
            "libgfortran.so.5.0.0",
        ),
    ],
)
def test_places_are_short_and_telling(called: Frame, text: str) -> None:
    assert frame_names.location(called) == text


def test_a_finding_says_its_own_bytes_then_the_line_then_the_phase() -> None:
    found = phase("load", rss_delta_bytes=9 * MB, delta_bytes=8 * MB)
    assert sentence(found) == (
        "8.0 MB stayed: allocated by learning.py:212 in load, still alive at its end."
    )


def test_repeats_are_counted() -> None:
    stretches = tuple(Stretch(place, place + 1) for place in range(1200))
    found = phase("step", stretches=stretches, delta_bytes=MB)
    assert sentence(found).endswith(
        " in step over 1,200 repeats, still alive at the end of the last."
    )


def test_a_phase_that_was_never_finished_has_no_end() -> None:
    found = phase("load", stretches=(Stretch(0, 1, complete=False),), delta_bytes=MB)
    assert sentence(found).endswith("still alive when the program ended.")


def test_a_segment_is_called_a_stretch() -> None:
    found = phase("a → b", kind=PhaseKind.SEGMENT, delta_bytes=MB)
    assert sentence(found).endswith("in the stretch (start) → (end), still alive at its end.")


def test_a_peak_says_its_height_and_who_held_most() -> None:
    found = phase("load", peak=Peak(50 * MB, 1.0, None))
    item = Finding(FindingKind.PEAK, 0, (0,), 30 * MB, 0.6, culprit(LOAD), None)
    gone = replace(item, fate=Fate(0, ((0, 30 * MB),)))
    assert sentences.finding(report([found], [gone]), gone, ENGLISH) == (
        "30.0 MB were held by learning.py:212 at the peak of load (50.0 MB of heap), "
        "and freed before it ended."
    )
    later = replace(gone, spans_repeats=True)
    assert sentences.finding(report([found], [later]), later, ENGLISH).endswith(
        ", kept from one repeat to a later one, and freed before the last of 1 ended."
    )
    assert sentences.finding(report([found], [item]), item, ENGLISH) == (
        "30.0 MB were held by learning.py:212 at the highest heap of the run (50.0 MB), in load."
    )


def test_growth_in_many_phases_is_told_once_with_the_pattern_of_their_names() -> None:
    found = [phase(f"day {n}", delta_bytes=MB, rss_delta_bytes=2 * MB) for n in range(3)]
    item = Finding(
        FindingKind.GROWTH, 1, (0, 1, 2), 3 * MB, 0.5, culprit(LOAD), None, pattern="day *"
    )
    made = report(found, [item])
    assert sentences.finding(made, item, ENGLISH) == (
        "3.0 MB stayed: allocated by learning.py:212 in the 3 phases day *, "
        "still alive at the end of the last."
    )
    assert sentences.share(item, ENGLISH) == "50.0 % of what these phases kept"
    nameless = replace(item, pattern="")
    assert sentences.finding_name(made, nameless, ENGLISH) == "3 stretches between checkpoints"


def test_the_headline_is_the_first_finding() -> None:
    made = growth(phase("load", delta_bytes=MB))
    assert sentences.headline(made, ENGLISH) == sentences.finding(made, made.findings[0], ENGLISH)


def test_without_findings_the_headline_says_that_nothing_stands_out() -> None:
    assert sentences.headline(report(), ENGLISH).startswith("Nothing stands out")


def test_where_the_heap_is_not_known_nothing_is_said_of_it() -> None:
    lost = replace(phase("load", rss_delta_bytes=40 * MB), heap=None)
    made = report([phase("import", rss_delta_bytes=MB), lost])
    assert sentences.headline(made, ENGLISH) == (
        "Nothing stands out in what is known of the heap. load grew RSS by 40.0 MB, and the heap "
        "is not known there."
    )


def test_a_peak_is_the_highest_heap_only_where_all_of_it_is_known() -> None:
    made = report()
    last = len(made.run.checkpoints) - 1
    whole = replace(made, heap=replace(made.heap, traced=(Stretch(0, last),), peak_bytes=MB))
    partly = replace(whole, heap=replace(whole.heap, traced=(Stretch(0, last - 1),)))
    assert sentences.peak_heap(whole, ENGLISH) == "1.0 MB"
    assert sentences.peak_heap(partly, ENGLISH) == "1.0 MB as far as it is known"


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (Exit(0, None, "completed"), "The program completed after 12.5 s."),
        (Exit(3, None, "failed"), "The program ended with status 3 after 12.5 s."),
        (
            Exit(1, None, "failed", (state("exit.uncaught", exception="ValueError"),)),
            "The program failed with exit status 1 after 12.5 s.",
        ),
        (
            Exit(None, "SIGKILL", "killed"),
            "The program was killed by SIGKILL after 12.5 s. "
            "The last checkpoint it reached is loaded.",
        ),
        (
            Exit(None, "SIGKILL", "oom-killed"),
            "The kernel killed the program for want of memory after 12.5 s. "
            "The last checkpoint it reached is loaded.",
        ),
        (Exit(None, None, "vanished"), "The program ended after 12.5 s."),
        (None, "How the program ended is not known; it was recorded for 12.5 s."),
    ],
)
def test_outcomes(end: Exit | None, text: str) -> None:
    assert sentences.outcome(report(run=run("loaded", exit=end)), ENGLISH) == text


def test_a_program_killed_before_any_checkpoint_reached_none() -> None:
    killed = run(exit=Exit(None, "SIGTERM", "killed"))
    assert sentences.last_checkpoint(report(run=killed)) is None
    assert (
        sentences.outcome(report(run=killed), ENGLISH)
        == "The program was killed by SIGTERM after 12.5 s."
    )


@pytest.mark.parametrize(
    ("end", "text"),
    [(None, "–"), (Exit(3, None, "failed"), "3"), (Exit(None, "SIGKILL", "killed"), "SIGKILL")],
)
def test_exits_in_a_word(end: Exit | None, text: str) -> None:
    assert sentences.exit_facts(end) == text


def notes(*, native: bool = False, python_allocators: bool = True, **changes: object) -> str:
    mode = Mode("memray", native, python_allocators)
    return "\n".join(sentences.notes(report(run=run(mode=mode, **changes)), ENGLISH))


def test_notes_name_only_the_limits_of_this_recording() -> None:
    assert "--trace-python-allocators" not in notes()
    assert "--trace-python-allocators" in notes(python_allocators=False)
    assert "without native frames" not in notes()
    assert "without native frames" in notes(native=True)


def test_notes_end_with_the_problems_of_the_run() -> None:
    assert notes(problems=("3 damaged lines.",)).endswith("\n3 damaged lines.")
    assert "does not say how the program ended" in notes(exit=None)


EVIDENCE = {
    **{
        advice: {"call": "the.call", "held_bytes": MB, "held_share": 0.75}
        for advice in (
            Advice.DEEP_COPY,
            Advice.WHOLE_PARSE,
            Advice.WHOLE_FILE,
            Advice.MAPPED_FILE,
            Advice.WHOLE_TEXT,
            Advice.WHOLE_PICKLE,
            Advice.UNPICKLE,
            Advice.WORKBOOK,
            Advice.ALL_ROWS,
            Advice.MERGE,
            Advice.FIGURES,
            Advice.IMPORT,
            Advice.BLAS_BUFFERS,
        )
    },
    Advice.CACHED_RESULTS: {"call": "load", "held_bytes": MB},
    Advice.BOUNDED_RESULTS: {"call": "load", "held_bytes": MB},
    **{
        advice: {"held_bytes": MB, "path": "job.CACHE", "call": "generator rows()"}
        for advice in (
            Advice.CACHED_ON_METHOD,
            Advice.UNBOUNDED_CACHE,
            Advice.BOUNDED_CACHE,
            Advice.TRACEBACKS,
            Advice.SUSPENDED,
            Advice.LOG_RECORDS,
            Advice.GARBAGE,
            Advice.GARBAGE_GC_OFF,
        )
    },
    **{
        advice: {
            "call": "concat",
            "times": 9,
            "allocated_bytes": 9 * MB,
            "held_bytes": MB,
        }
        for advice in (Advice.MADE_ANEW, Advice.MADE_ANEW_TRACED)
    },
    Advice.ARROW_POOL: {"held_bytes": MB},
    Advice.POLARS_POOL: {"held_bytes": MB},
    Advice.REPEATED_GROWTH: {
        "repeats": 9,
        "growing": 8,
        "slope_bytes": MB,
        "warm_up_bytes": 4 * MB,
    },
    Advice.GROWING_CONTAINER: {"container": "list", "call": "list_resize", "held_bytes": MB},
    Advice.RECURSION: {"call": "walk", "times": 5_000, "held_bytes": MB},
    Advice.UNTOUCHED: {"heap_bytes": 9 * MB, "rss_bytes": MB, "untouched_bytes": 8 * MB},
    Advice.UNTRACKED: {
        "rss_bytes": 9 * MB,
        "heap_bytes": 1,
        "file_bytes": 2,
        "slack_bytes": 8 * MB,
        "libraries": "polars, duckdb",
    },
    **{
        advice: {"freed_bytes": MB, "kept_bytes": MB, "rss_bytes": 0, "heap_bytes": -MB}
        for advice in (Advice.HELD, Advice.HELD_BY_THREADS, Advice.HELD_BY_PYTHON)
    },
    **{
        advice: {"mapped_bytes": 9 * MB, "slack_bytes": MB}
        for advice in (Advice.IN_ARROW_POOL, Advice.IN_POLARS_POOL)
    },
    **{
        advice: {
            "split_bytes": 9 * MB,
            "largest_bytes": MB,
            "read": 29,
            "forked": 40,
            "unread": 11,
        }
        for advice in (Advice.COPY_ON_WRITE, Advice.WRITTEN_AFTER_FORK)
    },
}


@pytest.mark.parametrize("spoken", [ENGLISH, CHINESE], ids=LANGUAGES)
@pytest.mark.parametrize("advice", Advice)
def test_every_advice_has_its_words_and_its_evidence(advice: Advice, spoken: Language) -> None:
    item = replace(growth(phase()).findings[0], advice=advice, evidence=EVIDENCE[advice])
    for said in (sentences.advice(item, spoken), sentences.evidence(item, spoken)):
        assert said.endswith((".", "。"))
        assert "{" not in said
    assert sentences.evidence(item, spoken) != sentences.advice(item, spoken)


def test_evidence_tells_the_first_rounds_and_libraries_only_where_there_are() -> None:
    item = replace(growth(phase()).findings[0], advice=Advice.REPEATED_GROWTH)
    evidence = EVIDENCE[Advice.REPEATED_GROWTH]
    with_warm_up = sentences.evidence(replace(item, evidence=evidence), ENGLISH)
    assert with_warm_up.endswith(
        "lately by about 1.0 MB a round. 4.0 MB more came in the first rounds."
    )
    without = sentences.evidence(replace(item, evidence={**evidence, "warm_up_bytes": 0}), ENGLISH)
    assert without.endswith("lately by about 1.0 MB a round.")


@pytest.mark.parametrize("spoken", [ENGLISH, CHINESE], ids=LANGUAGES)
def test_of_a_container_that_was_emptied_nothing_is_said_to_stay(spoken: Language) -> None:
    item = replace(growth(phase()).findings[0], advice=Advice.GROWING_CONTAINER)
    emptied = sentences.advice(replace(item, kind=FindingKind.PEAK), spoken)
    assert emptied
    assert emptied != sentences.advice(item, spoken)


def test_no_advice_has_no_evidence() -> None:
    item = growth(phase()).findings[0]
    assert (sentences.advice(item, ENGLISH), sentences.evidence(item, ENGLISH)) == ("", "")


def fate(end: Fate, kind: FindingKind = FindingKind.GROWTH, **changes: object) -> str:
    item = replace(growth(phase()).findings[0], kind=kind, fate=end, bytes=100 * MB)
    phases = [phase("load"), phase("report")]
    return fates.fate(report(phases, [item], **changes), item, ENGLISH)


def test_a_fate_tells_what_stayed_and_where_the_rest_was_freed() -> None:
    assert fate(Fate(40 * MB, ((1, 50 * MB), (None, 10 * MB)))) == (
        "What became of it: 50.0 MB were freed in report; "
        "40.0 MB were still alive at the end of the run; 10.0 MB were freed outside of all phases."
    )


def test_a_fate_tells_what_never_held_memory() -> None:
    assert fate(Fate(80 * MB, (), 20 * MB, unused_bytes=60 * MB)) == (
        "What became of it: 60.0 MB were reserved only and held no memory; 20.0 MB were still "
        "alive at the end of the run; 20.0 MB were given back to the system by the allocator, "
        "which keeps their addresses."
    )


def test_a_peak_s_own_sentence_says_its_fate() -> None:
    assert fate(Fate(0, ((0, 100 * MB),)), kind=FindingKind.PEAK) == ""


def test_a_trifle_that_stayed_is_not_told_before_what_was_freed() -> None:
    assert fate(Fate(80, ((1, 100 * MB),))) == ("What became of it: 100.0 MB were freed in report.")


def test_a_fate_leaves_out_what_is_too_small_to_matter() -> None:
    assert fate(Fate(99 * MB, ((1, MB - 5 * 1024 * 10),))) == (
        "What became of it: 99.0 MB were still alive at the end of the run."
    )
    assert "1.0 MB were freed in report" in fate(Fate(0, ((1, MB),)))


def test_what_a_killed_program_held_was_alive_when_it_died() -> None:
    killed = run(exit=Exit(None, "SIGKILL", "killed"))
    assert "alive when the program died" in fate(Fate(100 * MB, ()), run=killed)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (FindingKind.GROWTH, "50.0 % of what the phase kept"),
        (FindingKind.PEAK, "50.0 % of the peak"),
        (FindingKind.UNTRACKED, "50.0 % of the RSS growth"),
        (FindingKind.HELD, "50.0 % of what it freed"),
    ],
)
def test_a_share_says_of_what(kind: FindingKind, text: str) -> None:
    assert sentences.share(replace(growth(phase()).findings[0], kind=kind), ENGLISH) == text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (
            FindingKind.UNTRACKED,
            "load grew RSS by 9.0 MB, and no line is known of 8.0 MB of it.",
        ),
        (FindingKind.HELD, "load freed memory, but 8.0 MB of it stayed in the RSS."),
    ],
)
def test_what_no_line_can_be_blamed_for_is_said_as_well(kind: FindingKind, text: str) -> None:
    item = Finding(kind, 0, (0,), 8 * MB, 0.5, None, None)
    made = report([phase("load", rss_delta_bytes=9 * MB)], [item])
    assert sentences.finding(made, item, ENGLISH) == text
    assert "8.0 MB" in sentences.finding(made, item, CHINESE)


def test_a_stretch_has_no_capital_within_a_sentence() -> None:
    stretch = phase("a → b", kind=PhaseKind.SEGMENT)
    item = Finding(FindingKind.HELD, 0, (0,), 8 * MB, 0.5, None, None)
    said = sentences.without_line(report([stretch], [item]), item, ENGLISH, beside_size=True)
    assert said.startswith("freed by the stretch ")


def test_chinese_reads_as_a_sentence_of_its_own() -> None:
    found = phase("加载配置", rss_delta_bytes=9 * MB)
    made = growth(found)
    assert sentences.headline(made, CHINESE) == (
        "8.0 MB 留了下来：由 learning.py:212 在“加载配置”中分配，到阶段结束时仍未释放。"
    )


def test_the_analysed_finding_reads_as_a_sentence() -> None:
    stacks, (node,) = tree([LOAD])
    made = analysed(run("+加载配置", "-加载配置"), stacks, [lifetime(node, 2)])
    assert sentences.headline(made, ENGLISH) == (
        "10.0 MB stayed: allocated by learning.py:212 in 加载配置, still alive at its end."
    )


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


def test_the_long_name_of_a_library_is_cut_in_its_middle() -> None:
    name = "lib2to3_of_a_very_long_name__mypyc_and_more_of_it.so.1.2"
    assert frame_names.shortened(name) == "lib2to3_of_a_very…more_of_it.so.1.2"
    assert len(frame_names.shortened(name)) <= 36
    assert frame_names.shortened("libz.so.1") == "libz.so.1"
    assert frame_names.shortened("a" * 60) == "a" * 60


def test_a_line_that_runs_in_another_thread_is_said_to() -> None:
    stacks, nodes = tree([thread_frame("MainThread"), LOAD], [thread_frame("pool-1"), LOAD])
    made = analysed(run("+a", "-a"), stacks, [])
    said = [sentences.place_of(made, culprit(LOAD, node=node), ENGLISH) for node in nodes]
    assert said == ["learning.py:212", "learning.py:212 (in a thread)"]


@pytest.mark.parametrize(
    ("is_dirty", "text"),
    [
        (True, "0123456789ab · with uncommitted changes"),
        (False, "0123456789ab · nothing uncommitted"),
        (None, "0123456789ab"),
    ],
)
def test_a_commit_is_shown_short(is_dirty: bool | None, text: str) -> None:
    known = Identity(commit="0123456789abcdef", is_dirty=is_dirty)
    assert sentences.revision(known, ENGLISH) == text
    assert sentences.revision(known, CHINESE).startswith("0123456789ab")


@pytest.mark.parametrize(
    ("lines", "english", "chinese"),
    [
        ((9,), "phase: p.py:9.", "p.py:9。"),
        ((9, 10), "phase: p.py:9 and p.py:10.", "p.py:9 和 p.py:10。"),
        (
            (9, 10, 11),
            "in that phase: p.py:9, p.py:10 and p.py:11.",
            "p.py:9，p.py:10 和 p.py:11。",
        ),
    ],
)
def test_the_lines_that_called_a_library_are_listed(
    lines: tuple[int, ...], english: str, chinese: str
) -> None:
    made = growth(phase())
    callers = tuple(frame("f", filename="/app/p.py", lineno=line) for line in lines)
    item = replace(made.findings[0], called_by=callers)
    assert sentences.finding(made, item, ENGLISH).endswith(english)
    assert sentences.finding(made, item, CHINESE).endswith(chinese)


def test_shared_memory_is_in_the_heap_of_each_process() -> None:
    made = family_report(2)
    blamed = culprit(LOAD, bytes=64 * MB)
    item = Finding(FindingKind.SHARED, 0, (0,), 64 * MB, 0.5, blamed, None)
    said = sentences.finding(made, item, ENGLISH)
    assert said.endswith("The heap figures have it once for each process that maps it.")
    alone = replace(made, heap=replace(made.heap, processes=()))
    assert "for each process" not in sentences.finding(alone, item, ENGLISH)
