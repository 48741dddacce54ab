"""The page's table of processes: groups with their members, never too many rows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import MARKUP, MB, family_report, phase, report, run

from memdeep.model import GroupShare, Report, Stretch
from memdeep.report import workers
from memdeep.report.options import DEFAULTS
from memdeep.report.page import html, view
from memdeep.report.page.process_table import MAX_ROWS, ProcessTable
from memdeep.text.language import chosen, language

ENGLISH = language("en")


def table(made: Report) -> ProcessTable:
    found = view.page(made, {}, chosen("both")).processes
    assert found is not None
    return found


def test_a_program_that_was_alone_has_no_table_and_no_column() -> None:
    page = view.page(report([phase()], run=run("one")), {}, chosen("both"))
    assert page.processes is None
    assert page.layer_names == ()
    assert page.phases[0].workers_text is None
    assert "peak_pss" not in {fact.name for fact in page.facts}


def test_a_group_is_a_row_and_its_members_are_beneath_it() -> None:
    rows = table(family_report(2)).rows
    told = [(row.name["en"], row.pid, row.depth, row.group, row.within) for row in rows]
    assert told == [
        ("program", "100", 0, None, None),
        ("fork × 2", "", 1, 1, None),
        ("fork", "101", 2, None, 1),
        ("fork", "102", 2, None, 1),
        ("subprocess", "103", 2, None, None),
        ("sh -c ls", "104", 1, None, None),
    ]
    assert [row.limit for row in rows] == ["p0", "g1", "p1", "p2", "p3", ""]
    assert [row.directory for row in rows][2:5] == [f"children/{pid}" for pid in (101, 102, 103)]


def test_a_row_says_where_it_came_from_and_what_it_held() -> None:
    group = table(family_report(3)).rows[1]
    assert (group.line, group.phase_name and group.phase_name["en"]) == ("prog.py:30", "search")
    assert (group.times["en"], group.end["en"]) == ("3.2–4.5 s", "completed")
    assert (group.heap_text, group.uss_text, group.pss_text) == ("30.0 MB", "25.0 MB", "50.0 MB")
    dead = table(family_report(3)).rows[5]
    assert (dead.end["en"], dead.tone) == ("oom-killed", "bad")


@pytest.mark.parametrize("processes", [1, 4, 40, 400, 10_000])
def test_of_many_the_most_telling_are_listed_and_the_rest_is_counted(processes: int) -> None:
    made = family_report(processes)
    killed = replace(made.run.processes[processes // 2 + 1], verdict="killed", signal="SIGKILL")
    started = list(made.run.processes)
    started[processes // 2 + 1] = killed
    found = table(replace(made, run=replace(made.run, processes=tuple(started))))
    assert found.count == processes + 3
    assert len(found.rows) <= MAX_ROWS
    listed = sum(row.count == 1 for row in found.rows)
    assert listed + found.left_out == found.count
    assert found.left_out == sum(row.left_out for row in found.rows)
    assert killed.pid in {int(row.pid) for row in found.rows if row.pid}


def test_the_masthead_counts_shared_pages_once() -> None:
    page = view.page(family_report(2), {}, chosen("en"))
    facts = {fact.name: fact.text for fact in page.facts}
    assert facts["peak_pss"] == "167.0 MB"
    assert "peak_heap" not in facts and "peak_heap_of_all" in facts


def test_the_peak_of_several_heaps_says_when_it_is_known() -> None:
    """The curve adds up readings of different moments, and may lie above it."""
    text = b"".join(html.encode(family_report(2), DEFAULTS)).decode()
    assert text.count(">Peak heap, all processes<") == 2  # the tile, and among all facts
    assert "the curve, which adds up readings of different moments, may lie above it" in text
    alone = b"".join(html.encode(report([phase()], run=run("one")), DEFAULTS)).decode()
    assert "Peak heap, all processes" not in alone.replace("&#34;", '"').split("<script")[0]


def test_no_name_of_a_process_steers_the_page() -> None:
    made = family_report(2)
    hostile = tuple(
        replace(one, command=MARKUP, how=MARKUP, signal=MARKUP, directory=MARKUP)
        for one in made.run.processes
    )
    page = b"".join(html.encode(replace(made, run=replace(made.run, processes=hostile)))).decode()
    assert MARKUP not in page
    assert "alert(1)" in page


def share(group: int, *processes: int, delta: int) -> GroupShare:
    return GroupShare(group, processes, delta * MB, max(delta, 0) * MB, 0)


def test_a_phase_says_what_it_and_its_workers_moved() -> None:
    made = family_report(2)
    of_one = phase(
        rss_delta_bytes=MB, workers=(share(1, 1, 2, delta=60),), workers_added_bytes=64 * MB
    )
    assert workers.moved(made, [of_one], ENGLISH) == (
        "The phase moved +1.0 MB in the program itself (RSS), +64.0 MB in 2 workers started by "
        "prog.py:30 (PSS)."
    )
    assert workers.figure(made.run, of_one, ENGLISH) == "+64.0 MB in 2"
    of_two = replace(of_one, workers=(*of_one.workers, share(3, 3, delta=4)))
    assert workers.moved(made, [of_two], ENGLISH).endswith(
        "By heap: +60.0 MB in 2 workers started by prog.py:30, +4.0 MB in 1 worker started by "
        "prog.py:7."
    )
    assert workers.figure(made.run, of_two, ENGLISH) == "+64.0 MB in 3"


def test_what_several_phases_moved_is_added_up() -> None:
    made = family_report(2)
    one, other = (
        phase(
            stretches=(Stretch(start, start + 1),),
            rss_delta_bytes=MB,
            workers=(share(1, *places, delta=20),),
            workers_added_bytes=24 * MB,
        )
        for start, places in ((0, (1,)), (1, (1, 2)))
    )
    assert workers.moved(made, [one, other], ENGLISH) == (
        "The 2 phases moved +2.0 MB in the program itself (RSS), +48.0 MB in 2 workers started by "
        "prog.py:30 (PSS)."
    )
    assert workers.moved(made, [one, one], ENGLISH) == ""  # they overlap


def test_the_pss_of_all_processes_is_not_that_of_some() -> None:
    """Another one was there, which the tracker of `multiprocessing` may be: it has a PSS, too."""
    made = family_report(2)
    search = next(one for one in made.phases if one.name == "search")
    others = replace(search, workers=search.workers[:1], workers_added_bytes=70 * MB)
    assert "+70.0 MB in its workers (PSS). By heap: +60.0 MB in 2 workers" in workers.moved(
        made, [others], ENGLISH
    )
    assert workers.figure(made.run, others, ENGLISH) == "+70.0 MB"
    places = [place for share in search.workers for place in share.processes]
    there = [one for place, one in enumerate(made.run.processes) if place in (0, *places[:2])]
    alone = replace(made, run=replace(made.run, processes=tuple(there)))
    assert "+70.0 MB in 2 workers started by prog.py:30 (PSS)" in workers.moved(
        alone, [others], ENGLISH
    )
    assert workers.figure(alone.run, others, ENGLISH) == "+70.0 MB in 2"


def test_where_the_pss_was_not_read_the_heap_is_told_and_marked() -> None:
    made = family_report(2)
    unread = phase(rss_delta_bytes=0, workers=(share(1, 1, 2, delta=-60),))
    assert workers.figure(made.run, unread, ENGLISH) == "−60.0 MB* in 2"
    assert "−60.0 MB in 2 workers started by prog.py:30 (heap)" in workers.moved(
        made, [unread], ENGLISH
    )
    assert workers.moved(made, [phase()], ENGLISH) == ""
    assert workers.figure(made.run, phase(), ENGLISH) == "–"
