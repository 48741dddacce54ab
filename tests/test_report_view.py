"""The page's rows and cards: ready to be shown, in order, and never too many."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from factories import (
    MB,
    analysed,
    culprit,
    frame,
    hostile_report,
    lifetime,
    phase,
    report,
    run,
    stdlib,
    tree,
)
from hypothesis import given
from hypothesis import strategies as st

from memdeep.model import Exit, Finding, FindingKind, Mode, Peak, Phase, Process, Report, Stretch
from memdeep.report import view
from memdeep.report.view import PhaseRow, most_telling


def row(found: Phase, *others: Phase) -> PhaseRow:
    return view.page(report([found, *others]), "{}").phases[0]


def repeated(*rss_deltas_bytes: int | None) -> Phase:
    stretches = tuple(Stretch(place, place + 1) for place in range(len(rss_deltas_bytes)))
    points = run(*["tick"] * len(rss_deltas_bytes)).checkpoints
    assert len(points) > len(stretches)
    return phase("step", stretches=stretches, rss_deltas_bytes=rss_deltas_bytes)


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


@given(phases=families(), most=st.integers(0, 30))
def test_the_most_telling_are_at_most_so_many_and_come_with_their_ancestors(
    phases: list[Phase], most: int
) -> None:
    chosen = most_telling(phases, most)
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
    chosen = most_telling(phases, most)
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
    assert most_telling([phase(rss_delta_bytes=MB), telling], 1) == (1,)


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


def test_bars_are_percent_of_the_largest_growth_either_way() -> None:
    shown = row(phase(rss_delta_bytes=5 * MB, delta_bytes=-MB), phase(rss_delta_bytes=-10 * MB))
    assert (shown.rss_bar, shown.heap_bar) == (50.0, 10.0)
    nothing = row(phase())
    assert (nothing.rss_bar, nothing.heap_bar) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("ratio", "tone"), [(None, "none"), (0.3, "low"), (0.7, "fair"), (0.95, "good"), (2.0, "good")]
)
def test_explained_has_a_tone(ratio: float | None, tone: str) -> None:
    assert row(phase(explained_ratio=ratio)).explained_tone == tone


def test_a_single_stretch_has_neither_worst_nor_trend() -> None:
    shown = row(phase())
    assert (shown.repeats_text, shown.worst_text, shown.trend) == ("", "", "")


def test_repeats_show_their_number_the_worst_and_a_trend() -> None:
    found = repeated(MB, 3 * MB, 2 * MB)
    shown = view.page(report([found], run=run("a", "b", "c")), "{}").phases[0]
    assert shown.repeats_text == "× 3"
    assert shown.worst_text == "worst +3.0 MB"
    assert len(shown.trend.split(" ")) == 3


@given(deltas=st.lists(st.none() | st.integers(-(2**40), 2**40), min_size=2, max_size=250))
def test_a_trend_stays_in_its_box(deltas: list[int | None]) -> None:
    made = report([repeated(*deltas)], run=run(*["tick"] * len(deltas)))
    trend = view.page(made, "{}").phases[0].trend
    points = [point.split(",") for point in trend.split()]
    known = [delta for delta in deltas if delta is not None]
    assert bool(points) is (len(known) >= 2)
    assert len(points) <= view.MAX_TREND_POINTS
    xs = [float(x) for x, _ in points]
    assert xs == sorted(xs)
    assert all(0 <= x <= 100 for x in xs)
    assert all(0 <= float(y) <= 20 for _, y in points)


def test_sections_show_totals_and_at_most_ten_lines() -> None:
    many = tuple(culprit(frame(lineno=line)) for line in range(1, 16))
    shown = row(
        phase(
            retained_bytes=3 * MB,
            freed_bytes=2 * MB,
            peak=Peak(5 * MB, None, None),
            culprits=many,
            peak_culprits=many[:2],
        )
    )
    assert [(s.metric, s.total_text, len(s.culprits)) for s in shown.sections] == [
        ("retained", "3.0 MB", 10),
        ("peak", "5.0 MB", 2),
        ("freed", "2.0 MB", 0),
    ]


def test_a_culprit_is_ready_to_show_with_its_stack_and_sources() -> None:
    load, loads = frame("load", lineno=12), stdlib("loads", lineno=346)
    stacks, (node,) = tree([frame("main", lineno=3), load, loads])
    sources = {(load.filename, 12): "return json.loads(text)"}
    made = analysed(run("+a", "-a"), stacks, [lifetime(node, 2, allocations=1204)], sources)
    shown = view.page(made, "{}").phases[0].culprit
    assert shown is not None
    assert (shown.location, shown.path, shown.function) == ("prog.py:12", "/app/prog.py", "load")
    assert (shown.bytes_text, shown.share_text) == ("10.0 MB", "100 %")
    assert shown.allocations_text == "1,204 allocations"
    assert shown.source == "return json.loads(text)"
    assert [(f.function, f.location, f.origin, f.source) for f in shown.stack] == [
        ("main", "prog.py:3", "user", None),
        ("load", "prog.py:12", "user", "return json.loads(text)"),
        ("loads", "json/__init__.py:346", "stdlib", None),
    ]


def growths(count: int) -> Report:
    blamed = culprit()
    item = Finding(FindingKind.GROWTH, 0, 10 * MB, 0.5, blamed, None)
    return report([phase(delta_bytes=10 * MB)], [item] * count)


def test_findings_are_ranked_from_one_on_and_none_is_lost() -> None:
    page = view.page(growths(10), "{}")
    cards = [*page.findings, *page.more_findings]
    assert [card.rank for card in cards] == list(range(1, 11))
    assert page.headline == cards[0].title


@pytest.mark.parametrize(
    ("count", "shown", "hidden"),
    [(300, 300, None), (301, 300, "1 smaller phase"), (1000, 300, "700 smaller phases")],
)
def test_a_page_has_at_most_three_hundred_rows_and_says_so(
    count: int, shown: int, hidden: str | None
) -> None:
    page = view.page(report([phase(str(place)) for place in range(count)]), "{}")
    assert len(page.phases) == shown
    if hidden is None:
        assert page.hidden_phases is None
    else:
        assert page.hidden_phases is not None
        assert page.hidden_phases.startswith(f"{hidden} ")
        assert "report.json" in page.hidden_phases


def test_rows_keep_the_index_of_their_phase() -> None:
    phases = [phase(str(place), rss_delta_bytes=place) for place in range(400)]
    page = view.page(report(phases), "{}")
    assert [shown.index for shown in page.phases] == list(range(100, 400))
    assert all(shown.name == str(shown.index) for shown in page.phases)


def facts(**changes: object) -> dict[str, str]:
    return dict(view.page(report(run=run("one", **changes)), "{}").facts)


def test_facts_are_text_even_where_nothing_is_known() -> None:
    unknown = facts(python=None, memray=None, started=None, duration_s=None, exit=None)
    for label in ("Peak RSS", "Duration", "Exit", "Python", "memray", "Started"):
        assert unknown[label] == "–"
    assert unknown["Checkpoints"] == "1"


def test_facts_say_how_it_was_recorded() -> None:
    deep = facts(mode=Mode("memray", native=True, python_allocators=True))
    assert deep["Recorded with"] == "memray, native stacks, Python allocators"


def processes(count: int) -> Sequence[Process]:
    return tuple(Process(pid, None, None, None, None) for pid in range(count))


def test_processes_are_a_fact_only_where_there_were_several() -> None:
    assert "Processes" not in facts(processes=processes(1))
    assert facts(processes=processes(3))["Processes"] == "3"


@pytest.mark.parametrize(
    ("end", "verdict", "evidence"),
    [
        (None, "unknown", ()),
        (Exit(None, "SIGKILL", "oom-killed", ("It rose.",)), "oom-killed", ("It rose.",)),
    ],
)
def test_the_verdict_comes_with_its_evidence(
    end: Exit | None, verdict: str, evidence: tuple[str, ...]
) -> None:
    page = view.page(report(run=run(exit=end)), "{}")
    assert (page.verdict, page.evidence) == (verdict, evidence)


def test_a_hostile_report_has_a_row_for_each_phase() -> None:
    made = hostile_report()
    page = view.page(made, "{}")
    assert [shown.name for shown in page.phases] == [found.name for found in made.phases]
    assert not page.phases[-1].complete
