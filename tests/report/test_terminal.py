"""The verdict fits its terminal and says the main things; no label can steer the terminal.

Its lines break where a reader would break them, Chinese as well.
"""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from factories import (
    CHINESE,
    ESCAPES,
    LONG,
    MB,
    analysed,
    culprit,
    family_report,
    frame,
    hostile_report,
    lifetime,
    native,
    phase,
    report,
    run,
    stdlib,
    tree,
    with_rows,
)
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from memdeep.model import (
    Death,
    Exit,
    Finding,
    FindingKind,
    Frame,
    LastGrowth,
    Peak,
    Phase,
    Report,
    StackDump,
    Stretch,
    ThreadStack,
)
from memdeep.model.statement import state
from memdeep.report import terminal, terminal_across
from memdeep.report.terminal_lines import wrap
from memdeep.text.language import language

BREAKABLE = st.text(st.sampled_from("ab cde　 中文，。（）“”/._9é"), max_size=120)
STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # C0 but the newline, DEL, and C1


def verdict(made: Report, width: int = 80, code: str = "en") -> str:
    """The verdict as plain text, the way a pipe gets it."""
    console = Console(width=width, file=io.StringIO(), color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(terminal.verdict(made, width, language(code)))
    return capture.get()


def words_of(made: Report, width: int = 80) -> str:
    """The verdict with its line breaks and indents taken out."""
    return " ".join(verdict(made, width).split())


def growth(found: Phase, blamed: Frame | None = None, count: int = 1) -> Report:
    item = Finding(FindingKind.GROWTH, 0, (0,), 8 * MB, 0.5, culprit(blamed), None)
    return report([found], [item] * count)


def loading(*called: Frame, source: str | None = None, **changes: object) -> Report:
    """A run in whose phase `load` the stack main, load_config, ``called`` kept 10 MB."""
    load = frame("load_config", filename="/app/learning.py", lineno=212)
    stacks, (node,) = tree([frame("main"), load, *called])
    sources = {} if source is None else {(load.filename, load.lineno): source}
    return analysed(run("+load", "-load", **changes), stacks, [lifetime(node, 2)], sources)


def test_it_says_how_the_program_ended_and_its_peaks() -> None:
    said = words_of(loading(peak_rss_bytes=845 * MB))
    assert said.startswith(
        "The program completed after 12.5 s. Peak RSS 845.0 MB, peak heap 10.0 MB."
    )


def test_the_evidence_of_a_death_is_given() -> None:
    risen = state("exit.system_counter", before=0, after=1)
    made = loading(exit=Exit(None, "SIGKILL", "oom-killed", (risen,)))
    assert "The kernel's out-of-memory kill counter of the whole system rose" in words_of(made)
    chinese = "".join(verdict(made, code="zh").split())
    assert "内核对整个系统的内存不足杀进程计数从0升到1。" in chinese


def test_the_top_finding_comes_with_source_stack_and_advice() -> None:
    shown = verdict(loading(stdlib("loads"), native(), source="return json.loads(text)"))
    assert "10.0 MB stayed: allocated by learning.py:212 in load" in " ".join(shown.split())
    assert re.search(r"^    return json\.loads\(text\) *$", shown, re.MULTILINE)
    assert re.search(r"^ +main prog.py:\d+$", shown, re.MULTILINE)
    assert "load_config learning.py:212  ← here\n" in shown
    assert re.search(r"^ +loads json/__init__.py:\d+$", shown, re.MULTILINE)
    assert "malloc" not in shown
    assert "if one call is given the whole input, give it piece by piece" in " ".join(shown.split())


def test_of_a_deep_stack_the_frames_around_the_culprit_are_shown() -> None:
    outer = [frame(f"outer{place}", lineno=place + 1) for place in range(50)]
    load = frame("load")
    inner = [stdlib(f"inner{place}", lineno=place + 1) for place in range(50)]
    stacks, (node,) = tree([*outer, load, *inner])
    shown = verdict(analysed(run("+a", "-a"), stacks, [lifetime(node, 2)]))
    assert "… 47 frames\n" in shown
    assert "… 46 frames\n" in shown
    for name in ("outer47", "outer49", "inner46", "inner49"):
        assert f"    {name} " in shown
    for name in ("outer0", "outer46", "inner0", "inner45"):
        assert f"    {name} " not in shown


def test_without_findings_it_says_that_nothing_stands_out() -> None:
    assert "Nothing stands out" in words_of(report([phase()]))


def test_other_findings_follow_and_are_few() -> None:
    shown = verdict(growth(phase(delta_bytes=MB), count=10))
    assert "Then:" in shown
    assert shown.count("kept by load") == terminal.MAX_OTHER_FINDINGS
    assert "Then:" not in verdict(growth(phase(delta_bytes=MB)))


def table(shown: str) -> list[str]:
    """The rows of the table below its head."""
    lines = shown.splitlines()
    head = next(place for place, line in enumerate(lines) if line.startswith("Phase "))
    rows = lines[head + 2 :]
    return rows[: rows.index("")] if "" in rows else rows


def test_a_row_shows_growth_peak_ratio_and_culprit() -> None:
    blamed = culprit(frame(filename="/app/learning.py", lineno=212))
    found = phase(
        rss_delta_bytes=329 * MB,
        delta_bytes=-MB,
        main_line=blamed.line,
        explained_ratio=0.982,
        culprits=(blamed,),
    )
    (row,) = table(verdict(report([found])))
    assert row.split() == [
        *("load", "+329.0", "MB", "−1.0", "MB", "0", "B", "98", "%", "learning.py:212")
    ]


def test_unknown_figures_are_a_dash() -> None:
    (row,) = table(verdict(report([phase()])))
    assert row.split() == ["load", "–", "0", "0", "B", "–", "–"]


def test_depth_repeats_and_missing_ends_are_seen() -> None:
    inner = phase("inner", depth=1, parent=0, stretches=(Stretch(0, 1), Stretch(0, 1, False)))
    outer_row, inner_row = table(verdict(report([phase("outer"), inner]), width=120))
    assert outer_row.startswith("outer ")
    assert inner_row.startswith("  inner × 2 unfinished ")


def test_what_a_phase_shares_with_others_is_marked_and_said_once_beneath() -> None:
    shared = phase("b", process_peak=Peak(2 * MB, 1.0, None), overlaps=True)
    shown = verdict(report([phase("a", overlaps=True), shared]))
    first, second, *_ = table(shown)
    assert first.startswith("a †") and second.startswith("b †‡")
    assert shown.count("\n† Overlapped") == shown.count("\n‡ The RSS is the process's") == 1
    assert "†" not in verdict(report([phase()])) and "RSS is the" not in verdict(report([phase()]))


def test_a_wide_terminal_shows_the_time_as_well() -> None:
    assert "Time" not in verdict(report([phase()]), width=99)
    (row,) = table(verdict(report([phase(duration_s=3.2)]), width=100))
    assert row.rstrip().endswith("3.2 s")


def test_a_long_file_name_keeps_its_line_number() -> None:
    blamed = culprit(frame(filename=f"/app/{'very_' * 20}long.py", lineno=4321))
    (row,) = table(verdict(report([phase(culprits=(blamed,))])))
    assert row.rstrip().endswith("long.py:4321")
    assert "…" in row


def test_a_long_table_is_cut_and_says_so() -> None:
    shown = verdict(report([phase(str(place)) for place in range(1000)]))
    assert "and 975 smaller phases on the page" in shown


def test_figures_are_never_cut_for_the_sake_of_a_name() -> None:
    found = phase(
        "a phase of a very long name " * 9,
        rss_delta_bytes=-999 * MB,
        delta_bytes=-999 * MB,
        main_line=("/app/a_very_long_module_name.py", 1234),
        culprits=(culprit(frame(filename="/app/a_very_long_module_name.py", lineno=1234)),),
    )
    (row,) = table(verdict(report([found])))
    assert row.count("−999.0 MB") == 2
    assert row.rstrip().endswith(":1234")


def test_figures_are_never_cut_for_the_sake_of_a_thread() -> None:
    of_threads = [
        phase(
            name,
            threads=(f"worker of the pool {name}",),
            rss_delta_bytes=-999 * MB,
            delta_bytes=-999 * MB,
        )
        for name in "ab"
    ]
    narrow, wide = (verdict(report(of_threads), width=width) for width in (66, 120))
    assert "worker" in wide and "worker" not in narrow
    assert all(row.count("−999.0 MB") == 2 for shown in (narrow, wide) for row in table(shown))


WIDTHS = [40, 60, 80, 99, 100, 120, 200]


@pytest.mark.parametrize("code", ["en", "zh"])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal(width: int, code: str) -> None:
    for line in verdict(hostile_report(), width, code).splitlines():
        assert cell_len(line) <= width, line


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=200) | st.sampled_from(
    [CHINESE * 20, "🚀" * 40, "👩‍👩‍👧 " * 30, "x" * 300, "a\nb", "a\tb" * 30, ESCAPES]
)


@given(name=NAMES, function=NAMES, filename=NAMES, source=NAMES)
@example(name=ESCAPES, function=ESCAPES, filename=ESCAPES, source=ESCAPES)
def test_any_names_stay_within_eighty_cells_and_steer_nothing(
    name: str, function: str, filename: str, source: str
) -> None:
    load = frame(function, filename=filename, lineno=7)
    stacks, (node,) = tree([frame("main"), load])
    made = analysed(
        run(f"+{name}", f"-{name}"),
        stacks,
        [lifetime(node, 2)],
        {(load.filename, load.lineno): source},
    )
    shown = verdict(made)
    assert not STEERING.findall(shown)
    assert all(cell_len(line) <= 80 for line in shown.split("\n"))


@pytest.mark.parametrize("width", range(40, 81))
def test_no_figure_of_the_phases_is_cut_on_a_narrow_terminal(width: int) -> None:
    blamed = culprit(frame(filename="/app/learning.py", lineno=212))
    found = phase(
        rss_delta_bytes=329 * MB,
        delta_bytes=-110 * MB,
        explained_ratio=0.982,
        culprits=(blamed,),
        main_line=blamed.line,
    )
    (row,) = table(verdict(report([found]), width=width))
    assert row.startswith("load ")
    assert "+329.0 MB" in row
    assert row.rstrip().endswith(":212")
    assert "…" not in row.split("MB")[0]


@pytest.mark.parametrize("width", [80, 120])
def test_no_control_character_reaches_the_terminal(width: int) -> None:
    assert not STEERING.findall(verdict(hostile_report(), width))


def test_a_label_of_many_lines_is_one_row_of_the_table() -> None:
    made = report([phase("one\ntwo\r\nthree"), phase("next")])
    assert len(table(verdict(made))) == 2


def test_a_very_long_label_does_not_push_the_verdict_off_the_screen() -> None:
    made = loading(exit=Exit(None, "SIGKILL", "killed"))
    long = analysed(
        run(f"+{LONG}", f"-{LONG}", exit=made.run.exit), made.heap.tree, made.heap.lifetimes
    )
    assert verdict(long).count("\n") <= verdict(made).count("\n") + 10


def test_a_last_checkpoint_that_steers_is_only_named() -> None:
    made = loading(exit=Exit(None, "SIGKILL", "killed"))
    points = list(made.run.checkpoints)
    points[-2] = replace(points[-2], label=ESCAPES)
    steered = replace(made, run=replace(made.run, checkpoints=tuple(points)))
    assert not STEERING.findall(verdict(steered))


def test_markup_of_rich_in_a_label_is_shown_as_it_is() -> None:
    assert "[red]load[/red]" in verdict(report([phase("[red]load[/red]")]))


def test_markup_of_rich_in_the_name_of_a_thread_is_shown_as_it_is() -> None:
    of_threads = [phase(name, threads=(f"[b]{name}:dog:",)) for name in "xy"]
    assert "[b]x:dog:" in verdict(report(of_threads), width=140)


def test_the_page_is_named_as_typed_and_linked_by_its_whole_path(tmp_path: Path) -> None:
    place = terminal.place(Path("runs/one/report.html"), language("en"))
    assert place.plain == "Report: runs/one/report.html"
    (style,) = (str(span.style) for span in place.spans)
    assert style.startswith("bold link file:///")
    assert style.endswith("/runs/one/report.html")


def test_chinese_has_no_english_words_around_the_names() -> None:
    shown = verdict(loading(stdlib("loads"), peak_rss_bytes=845 * MB), code="zh")
    for name in (*("load_config", "load", "loads", "json", "learning", "prog", "main", "Python"),):
        shown = shown.replace(name, "")
    assert set(re.findall("[A-Za-z]{2,}", shown)) <= {"RSS", "MB", "py", "init", "s"}


def dead(**changes: object) -> Report:
    made = loading(exit=Exit(None, "SIGKILL", "killed"))
    growth = LastGrowth(Stretch(1, 2), 0, 10 * MB, None, (culprit(bytes=9 * MB),))
    end = len(made.run.checkpoints) - 1
    died = Death((0,), 1, 2.5, 90 * MB, 10 * MB, (culprit(bytes=7 * MB),), growth, end)
    return replace(made, death=replace(died, **changes))


def test_a_death_says_where_it_was_what_was_alive_and_what_grew_last() -> None:
    said = words_of(dead())
    assert "It ended in load, 2.5 s after its last checkpoint: begin of load." in said
    assert "Alive then: 10.0 MB of heap, RSS 90.0 MB." in said
    assert "7.0 MB prog.py:" in said
    assert "Last growth before: the heap grew by 10.0 MB in load, between begin of load" in said


def test_a_death_that_was_not_traced_says_so() -> None:
    nothing = dead(
        heap_bytes=None, culprits=(), last_growth=None, last_checkpoint=None, known_at=None
    )
    said = words_of(nothing)
    assert "What was alive then was not traced; its RSS was 90.0 MB. Phase" in said
    earlier = words_of(dead(known_at=1))
    assert "Alive at begin of load, the last that was: 10.0 MB of heap." in earlier
    assert "2.5 s after its start, before any checkpoint" in said
    assert "Last growth" not in said


def test_a_dump_says_who_was_running() -> None:
    thread = ThreadStack("MainThread", True, (frame("main"), frame("load", lineno=8), stdlib()))
    dump = StackDump("--kill-at", 3.5, 900 * MB, (ThreadStack("other", False, ()), thread))
    made = loading(stack_dumps=(dump,))
    assert (
        "At 3.5 s its memory was 900.0 MB, over --kill-at: load was at prog.py:8. "
        "The stacks of all threads then are in stacks.txt."
    ) in words_of(made)
    assert "over --kill-at. The" in words_of(loading(stack_dumps=(replace(dump, threads=()),)))


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


@given(text=BREAKABLE, width=st.integers(1, 40))
def test_nothing_but_blanks_is_lost(text: str, width: int) -> None:
    assert "".join(wrap(text, width).split()) == "".join(text.split())


@given(text=BREAKABLE)
def test_a_line_is_too_wide_only_where_it_cannot_be_broken(text: str) -> None:
    for line in wrap(text, 20).split("\n"):
        if cell_len(line) > 20:
            assert "\n" not in wrap(line.strip(), 1)


def test_of_a_long_name_the_number_of_its_phases_is_never_cut() -> None:
    stacks, (node,) = tree([frame("keep")])
    names = [f"a long name of a stage of the program, number {number}" for number in range(8)]
    steps = [step for name in names for step in (f"+{name}", f"-{name}")]
    lives = [lifetime(node, 2 * place) for place in range(1, 9)]
    shown = verdict(analysed(run(*steps), stacks, lives))
    assert re.search(r"^a long name .*… × 8 ", shown, re.MULTILINE)


def test_small_findings_are_one_line() -> None:
    found = [phase("load"), phase("train")]
    items = [
        Finding(FindingKind.GROWTH, place % 2, (place % 2,), size, 0.1, culprit(), None)
        for place, size in enumerate((100 * MB, 50 * MB, 4 * MB, 3 * MB))
    ]
    shown = verdict(report(found, items))
    assert "50.0 MB kept by train" in shown
    assert "and 2 other findings on the page, at most 4.0 MB each" in shown
    assert "kept by load" not in shown


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("code", ["en", "zh"])
def test_the_processes_fit_and_steer_no_terminal(width: int, code: str) -> None:
    made = family_report(3)
    hostile = [
        replace(one, command=f"{ESCAPES} {LONG}", how=ESCAPES, signal=ESCAPES, verdict="killed")
        for one in made.run.processes[1:]
    ]
    run = replace(made.run, processes=(made.run.processes[0], *hostile))
    for shown in (made, replace(made, run=run)):
        printed = verdict(shown, width, code)
        assert not STEERING.search(printed)
        assert max(map(cell_len, printed.split("\n"))) <= max(width, 80)


def test_a_run_of_one_process_shows_nothing_of_processes() -> None:
    printed = verdict(analysed(run("one"), tree([frame()])[0], []))
    assert "Process" not in printed
    assert "Workers" not in printed


def test_of_a_process_that_went_on_the_heap_comes_first() -> None:
    made = report([phase()])
    shown = verdict(replace(made, run=replace(made.run, earlier_s=3.0)))
    title = next(line for line in shown.splitlines() if line.startswith("Phase"))
    assert title.index("Heap") < title.index("Peak") < title.index("RSS")
    assert "Before the recording it held" in " ".join(shown.split())


def in_processes(*names: str, keeps: int = 3 * MB) -> Report:
    """A report on two processes with phases of these names."""
    steps = [step for name in names for step in (f"+{name}", f"-{name}")]
    stacks, (node,) = tree([frame("work", lineno=12)])
    lives = [lifetime(node, 2 * place, bytes=keeps * place) for place in range(1, len(names) + 1)]
    own = analysed(run(*steps), stacks, lives)
    return with_rows(family_report(2), {1: own, 2: own})


def rows_over_all(made: Report, width: int = 80, code: str = "en") -> list[str]:
    """The lines of the table of all processes, with what is beneath it."""
    title = language(code).say("terminal.across")[:8]
    told = verdict(made, width, code).split("\n")
    first = next(place for place, line in enumerate(told) if line.startswith(title))
    return told[first : told.index("", first)]


def test_what_phases_did_in_all_processes_is_one_table() -> None:
    head, _, *told = rows_over_all(in_processes("load", "score"))
    assert head.split() == [
        "In",
        "all",
        "processes",
        "Retained",
        "Rise",
        "Times",
        "Proc.",
        "Retained",
        "by",
    ]
    assert told[0].split() == ["score", "12.0", "MB", "6.0", "MB", "2", "2", "prog.py:12"]
    assert told[1].split() == ["load", "6.0", "MB", "3.0", "MB", "2", "2", "prog.py:12"]
    assert told[2].startswith("Retained: added up over all")
    assert rows_over_all(in_processes("加载"), code="zh")[2].split()[:3] == ["加载", "6.0", "MB"]


def test_a_narrow_terminal_keeps_the_name_what_was_retained_and_the_line() -> None:
    made = in_processes("a phase with a long name of its own")
    head, _, row, *_ = rows_over_all(made, 40)
    assert head.split()[-4:] == ["Retained", "Rise", "Retained", "by"]
    assert row.startswith("…") and "ts own" in row
    assert row.split()[-5:] == ["6.0", "MB", "3.0", "MB", "prog.py:12"]
    assert max(map(cell_len, rows_over_all(made, 40))) <= 40


def test_of_many_rows_those_that_moved_most_are_told() -> None:
    told = rows_over_all(in_processes(*(f"task_{letter}" for letter in "abcdefghijk")))
    assert told[2].startswith("task_k") and told[9].startswith("task_d")
    assert told[10] == "and 3 more rows on the page"


def test_one_process_alone_has_no_table_of_all() -> None:
    made = in_processes("load")
    alone = with_rows(made, {1: made.own_reports[1]})
    assert not terminal_across.across(alone, 80, language("en"))


def test_a_phase_in_which_all_of_another_happened_is_told_once() -> None:
    stacks, (node, other) = tree([frame("work", lineno=12)], [frame("after", lineno=15)])
    recorded = run("+load", "+parse", "-parse", "+check", "-check", "-load")
    lives = [lifetime(node, 3, bytes=9 * MB), lifetime(other, 5, 6, bytes=50 * MB)]
    own = analysed(recorded, stacks, lives[:1])
    told = rows_over_all(with_rows(family_report(2), {1: own, 2: own}))
    assert told[2].split()[0] == "load"  # what moved nothing has no row
    assert told[3] == "and 2 more rows on the page"
    own = analysed(recorded, stacks, lives)
    told = rows_over_all(with_rows(family_report(2), {1: own, 2: own}))
    assert [line.split()[0] for line in told[2:5]] == ["load/check", "load", "load/parse"]


def test_a_line_that_retained_next_to_nothing_of_a_rise_is_not_named() -> None:
    own = phase("load", culprits=(culprit(bytes=100),), peak=Peak(9 * MB, None, None))
    own = replace(own, heap=replace(own.heap, retained_bytes=100))  # type: ignore[arg-type]
    made = report([own])
    told = rows_over_all(with_rows(family_report(2), {1: made, 2: made}))
    assert told[2].split() == ["load", "200", "B", "9.0", "MB", "2", "2", "–"]
