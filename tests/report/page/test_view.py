"""The page's rows and cards: ready to be shown, in order, and never too many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from factories import (
    MB,
    analysed,
    culprit,
    frame,
    hostile_report,
    library,
    lifetime,
    phase,
    report,
    run,
    stdlib,
    tree,
)
from hypothesis import given
from hypothesis import strategies as st

from memdeep.analysis.table import most_telling, rows
from memdeep.model import (
    CaptureFile,
    Death,
    Exit,
    Finding,
    FindingKind,
    LastGrowth,
    MemoryLimit,
    Mode,
    Peak,
    Phase,
    Process,
    Report,
    Stretch,
)
from memdeep.model.statement import state
from memdeep.report.page import view
from memdeep.report.page.view import FindingView, Page, PhaseRow
from memdeep.text.language import chosen


def page_of(made: Report) -> Page:
    return view.page(made, {}, chosen("both"))


def row(found: Phase, *others: Phase) -> PhaseRow:
    return page_of(report([found, *others])).phases[0]


@st.composite
def families(draw: st.DrawFn) -> list[Phase]:
    """Phases in any tree, with any growth."""
    found: list[Phase] = []
    for place in range(draw(st.integers(0, 25))):
        parent = draw(st.none() | st.integers(0, place - 1)) if place else None
        depth = 0 if parent is None else found[parent].outline.depth + 1
        growth = draw(st.none() | st.integers(-9, 9))
        found.append(phase(str(place), parent=parent, depth=depth, rss_delta_bytes=growth))
    return found


def most_told(phases: Sequence[Phase], most: int) -> tuple[int, ...]:
    """The phases that are told where there is room for so many rows, in order."""
    table = rows(phases, ())
    return tuple(sorted(table[place].place for place in most_telling(table, most)))


@given(phases=families(), most=st.integers(0, 30))
def test_the_most_telling_are_at_most_so_many_and_come_with_their_ancestors(
    phases: list[Phase], most: int
) -> None:
    chosen = most_told(phases, most)
    assert len(chosen) <= most
    assert list(chosen) == sorted(set(chosen))
    for place in chosen:
        parent = phases[place].outline.parent
        assert parent is None or parent in chosen
    if most >= len(phases):
        assert chosen == tuple(range(len(phases)))


@given(growth=st.lists(st.integers(-99, 99), min_size=1, max_size=30), most=st.integers(1, 30))
def test_without_nesting_those_that_moved_most_are_chosen(growth: list[int], most: int) -> None:
    phases = [phase(rss_delta_bytes=delta) for delta in growth]
    chosen = most_told(phases, most)
    left_out = set(range(len(phases))) - set(chosen)
    least = min(abs(growth[place]) for place in chosen)
    assert all(abs(growth[place]) <= least for place in left_out)


@pytest.mark.parametrize(
    "telling",
    [
        phase(rss_delta_bytes=-5 * MB),
        phase(delta_bytes=5 * MB),
        phase(peak=Peak(9 * MB, None, None), start_bytes=4 * MB),
    ],
)
def test_rss_heap_and_peak_all_tell(telling: Phase) -> None:
    assert most_told([phase(rss_delta_bytes=MB), telling], 1) == (1,)


@pytest.mark.parametrize(
    ("delta", "text", "tone"),
    [
        (None, "–", "unknown"),
        (0, "0", "flat"),
        (MB, "+1.0 MB", "up"),
        (-MB, "−1.0 MB", "down"),
    ],
)
def test_growth_has_a_sign_and_a_tone(delta: int | None, text: str, tone: str) -> None:
    shown = row(phase(rss_delta_bytes=delta, delta_bytes=delta or 0))
    assert (shown.rss_delta_text, shown.rss_tone) == (text, tone)
    if delta is not None:
        assert (shown.heap_delta_text, shown.heap_tone) == (text, tone)


@pytest.mark.parametrize(
    ("delta", "tone"),
    [(1, "up is-slight"), (2 * MB, "up is-fair"), (10 * MB, "up"), (-1, "down is-slight")],
)
def test_a_tone_is_as_loud_as_the_share_of_the_largest_change(delta: int, tone: str) -> None:
    shown = row(phase(rss_delta_bytes=delta), phase("other", delta_bytes=-100 * MB))
    assert shown.rss_tone == tone


def test_a_blank_label_has_a_name() -> None:
    shown = page_of(analysed(run("+ ", "- ", "."), *tree())).phases
    names = [one.name["en"] for one in shown]
    assert "(blank label)" in names
    assert all(name.strip() for name in names)


@pytest.mark.parametrize(
    ("ratio", "tone"), [(None, "none"), (0.3, "low"), (0.7, "fair"), (0.95, "good"), (2.0, "good")]
)
def test_explained_has_a_tone(ratio: float | None, tone: str) -> None:
    assert row(phase(explained_ratio=ratio)).explained_tone == tone


def test_repeats_are_shown_where_there_are_several() -> None:
    assert row(phase()).repeats_text == ""
    stretches = tuple(Stretch(place, place + 1) for place in range(1200))
    assert row(phase(stretches=stretches)).repeats_text == "× 1,200"


def test_a_row_names_the_line_that_holds_most() -> None:
    assert row(phase(culprits=(culprit(frame(lineno=7)),))).culprit_text == "prog.py:7"
    assert row(phase()).culprit_text == "–"


def shown_finding(sources: dict[tuple[str, int], str]) -> FindingView:
    load, loads = frame("load", lineno=12), stdlib("loads", lineno=346)
    stacks, (node,) = tree([frame("main", lineno=3), load, loads])
    made = analysed(run("+a", "-a"), stacks, [lifetime(node, 2, allocations=1204)], sources)
    (card,) = page_of(made).findings
    return card


def test_a_finding_is_ready_to_show_with_its_stack_and_source() -> None:
    path = "/app/prog.py"
    card = shown_finding({(path, line): f"    line {line}" for line in range(8, 14)})
    shown = card.culprit
    assert shown is not None
    assert (shown.location, shown.path, shown.function) == ("prog.py:12", path, "load")
    assert (card.bytes_text, shown.allocations) == ("10.0 MB", 1204)
    assert card.share == {"en": "100 % of what the phase kept", "zh": "占该阶段留存量的 100 %"}
    assert [(line.number, line.text, line.is_here) for line in shown.code] == [
        (9, "    line 9", False),
        (10, "    line 10", False),
        (11, "    line 11", False),
        (12, "    line 12", True),
        (13, "    line 13", False),
    ]
    assert [(f.function, f.location, f.origin, f.source) for f in shown.stack] == [
        ("main", "prog.py:3", "user", None),
        ("load", "prog.py:12", "user", "line 12"),
        ("loads", "json/__init__.py:346", "stdlib", None),
    ]


def test_advice_comes_with_its_evidence_and_the_fate_of_the_bytes() -> None:
    card = shown_finding({})
    assert card.culprit is not None
    assert card.culprit.code == ()
    assert card.advice is not None
    assert card.advice.evidence["en"].startswith("json.loads built 10.0 MB, 100 % of this")
    assert card.advice.text["zh"].startswith("这样的调用")
    assert card.fate is not None
    assert "still alive at the end of the run" in card.fate["en"]


def test_the_stack_of_a_finding_tells_the_share_of_its_branch() -> None:
    load, many = frame("load"), library("many")
    stacks, nodes = tree([load, library("one")], [load, many, library("a")], [load, many])
    lives = [
        lifetime(node, bytes=size * MB) for node, size in zip(nodes, (14, 20, 16), strict=True)
    ]
    made = analysed(run("+a", "-a"), stacks, lives)
    shown = page_of(made).findings[0].culprit
    assert shown is not None
    assert [(f.function, f.share_text) for f in shown.stack] == [
        ("load", ""),
        ("many", "72.0 %"),
        ("a", "40.0 %"),
    ]
    assert shown.branch is not None
    assert "40.0 %" in shown.branch["en"]


def test_the_stack_of_a_deep_recursion_tells_its_laps() -> None:
    stacks, (node,) = tree([frame("main"), *[frame("walk")] * 999, library("parse")])
    made = analysed(run("+a", "-a"), stacks, [lifetime(node, bytes=9 * MB)])
    shown = page_of(made).findings[0].culprit
    assert shown is not None
    assert shown.depth == 1001
    assert [(f.function, f.times_text) for f in shown.stack] == [
        ("main", ""),
        ("walk", ""),
        ("walk", ""),
        ("walk", "× 997"),
        ("parse", ""),
    ]


def test_a_finding_without_a_line_has_no_culprit() -> None:
    item = Finding(FindingKind.HELD, 0, (0,), 9 * MB, 0.5, None, None)
    (card,) = page_of(report([phase()], [item])).findings
    assert card.culprit is None
    assert card.advice is None


def growths(count: int) -> Report:
    blamed = culprit()
    item = Finding(FindingKind.GROWTH, 0, (0,), 10 * MB, 0.5, blamed, None)
    return report([phase(delta_bytes=10 * MB)], [item] * count)


def test_findings_are_ranked_from_one_on_and_none_is_lost() -> None:
    page = page_of(growths(10))
    cards = [*page.findings, *page.more_findings]
    assert [card.rank for card in cards] == list(range(1, 11))
    assert page.headline == cards[0].title


@pytest.mark.parametrize(("count", "hidden"), [(40, 0), (41, 1), (1000, 960)])
def test_a_page_has_few_rows_for_those_without_scripts_and_says_so(count: int, hidden: int) -> None:
    page = page_of(report([phase(str(place)) for place in range(count)]))
    assert len(page.phases) == view.MAX_ROWS
    assert page.hidden_phases == hidden


def test_rows_keep_the_index_of_their_phase() -> None:
    phases = [phase(str(place), rss_delta_bytes=place) for place in range(400)]
    page = page_of(report(phases))
    assert [shown.name["en"] for shown in page.phases] == [str(n) for n in range(360, 400)]


def facts(**changes: object) -> dict[str, str | Mapping[str, str]]:
    known = page_of(report(run=run("one", **changes))).facts
    return {fact.name: fact.text or "\n".join(fact.code) for fact in known}


def test_facts_are_text_even_where_nothing_is_known() -> None:
    unknown = facts(python=None, memray=None, started=None, duration_s=None, exit=None)
    for name in ("peak_rss", "duration", "exit", "python", "memray", "started", "processes"):
        assert unknown[name] == "–"
    assert unknown["checkpoints"] == "1"
    assert "capture" not in unknown
    assert "in_memray" not in unknown
    assert "limit" not in unknown


def test_facts_say_how_it_was_recorded() -> None:
    deep = facts(mode=Mode("memray", native=True, python_allocators=True, focus=("--focus x",)))
    assert deep["recorded_with"] == "memray --native --trace-python-allocators --focus x"
    assert deep["command"] == "prog.py --fast"


def test_facts_say_how_to_open_the_capture_in_memray() -> None:
    known = page_of(report(run=run(captures=(CaptureFile("my runs/capture.bin", 3 * MB),)))).facts
    assert ("capture", "my runs/capture.bin · 3.0 MB") in [(f.name, f.text) for f in known]
    (commands,) = (fact.code for fact in known if fact.name == "in_memray")
    assert "memray flamegraph --temporal 'my runs/capture.bin'" in commands


def test_a_limit_is_a_fact_with_its_source() -> None:
    known = facts(limit=MemoryLimit(950 * MB, state("limit.cgroup", file="memory.max")))
    assert known["limit"] == {
        "en": "950.0 MB (memory.max of its cgroup)",
        "zh": "950.0 MB（所在 cgroup 的 memory.max）",
    }


def processes(count: int) -> Sequence[Process]:
    return tuple(Process(pid, None, None, None, None) for pid in range(count))


def test_processes_are_counted() -> None:
    assert facts(processes=processes(3))["processes"] == "3"


def test_a_death_is_told_with_the_lines_that_held_most() -> None:
    stacks, nodes = tree([frame("a", lineno=1)], [frame("b", lineno=2)], [frame("c", lineno=3)])
    lives = [
        lifetime(node, 2, bytes=size)
        for node, size in zip(nodes, (90 * MB, 9 * MB, MB // 9), strict=True)
    ]
    made = analysed(run("+load", "-load"), stacks, lives)
    assert page_of(made).death is None
    lines = (culprit(frame("a", lineno=1), bytes=90 * MB, share=0.9),) + (
        culprit(frame("c", lineno=3), bytes=MB // 9, share=0.001),
    )
    growth = LastGrowth(Stretch(1, 2), 0, 90 * MB, None, lines)
    died = Death((0,), 1, 2.5, 99 * MB, 95 * MB, lines, growth)
    shown = page_of(replace(made, death=died)).death
    assert shown is not None
    assert shown.place["en"].startswith("It ended in load, 2.5 s after its last checkpoint")
    assert [(line.bytes_text, line.location) for line in shown.lines] == [("90.0 MB", "prog.py:1")]
    assert shown.last_growth is not None
    assert "prog.py:1 分配的 90.0 MB 当时仍然存活" in shown.last_growth["zh"]


@pytest.mark.parametrize(
    ("end", "verdict", "evidence"),
    [
        (None, "unknown", ()),
        (
            Exit(None, "SIGKILL", "killed", (state("exit.by_signal", signal="SIGKILL"),)),
            "killed",
            ({"en": "The program was ended by SIGKILL.", "zh": "程序被 SIGKILL 终止。"},),
        ),
    ],
)
def test_the_verdict_comes_with_its_evidence(
    end: Exit | None, verdict: str, evidence: tuple[Mapping[str, str], ...]
) -> None:
    page = page_of(report(run=run(exit=end)))
    assert (page.verdict, page.evidence) == (verdict, evidence)


def test_a_process_that_went_on_was_recorded_and_has_no_end() -> None:
    page = page_of(report(run=run(exit=Exit(0, None, "completed"), earlier_s=1.0)))
    assert (page.verdict, page.program) == ("recorded", "prog.py")
    names = [fact.name for fact in page.facts]
    assert "exit" not in names and names.index("peak_heap") < names.index("peak_rss")


def test_a_hostile_report_has_a_row_for_each_phase() -> None:
    made = hostile_report()
    page = page_of(made)
    names = [found.name for found in made.phases]
    assert [shown.name["en"] for shown in page.phases] == names
    assert {names["en"] for names in page.band_names.values()} == set(names)
    assert not page.phases[-1].complete


@pytest.mark.parametrize(
    ("key", "verdict"), [(None, "ended"), ("exit.not_the_way_of_python", "failed")]
)
def test_a_program_that_chose_its_status_is_not_said_to_have_failed(
    key: str | None, verdict: str
) -> None:
    evidence = () if key is None else (state(key),)
    page = page_of(report(run=run(exit=Exit(1, None, "failed", evidence))))
    assert (page.verdict, page.status) == (verdict, "1")


def test_small_findings_are_folded_behind_the_others() -> None:
    found = [
        Finding(FindingKind.GROWTH, 0, (0,), size * MB, 0.5, culprit(), None)
        for size in (90, 80, 2, 1)
    ]
    page = page_of(report([phase("load")], found))
    assert [card.bytes_text for card in page.findings] == ["90.0 MB", "80.0 MB"]
    assert [card.rank for card in page.more_findings] == [3, 4]
