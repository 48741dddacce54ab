"""The page's table of phases over all workers: its rows, its columns, what it calls uneven."""

from __future__ import annotations

from dataclasses import replace

import pytest
from clusters import PATHS, cluster_report
from factories import MARKUP, MB, frame, phase, report, run
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from memdeep.model import GroupShare, Report, Worker
from memdeep.report import workers
from memdeep.report.page import html, view
from memdeep.report.page.across_table import MAX_COLUMNS, MAX_ROWS, AcrossTable
from memdeep.report.page.process_table import ProcessTable
from memdeep.text.language import chosen, language


def table(made: Report) -> AcrossTable:
    found = view.page(made, {}, chosen("both")).across
    assert found is not None
    return found


def processes(made: Report) -> ProcessTable:
    found = view.page(made, {}, chosen("both")).processes
    assert found is not None
    return found


def test_a_run_without_such_phases_has_none_of_it() -> None:
    made = report([phase()], run=run("one"))
    assert view.page(made, {}, chosen("both")).across is None
    page = b"".join(html.encode(made)).decode()
    assert 'id="across"' not in page
    assert ".across" not in page


def test_a_row_has_the_sums_and_a_cell_for_each_worker() -> None:
    found = table(cluster_report(2))
    assert [worker.name["en"] for worker in found.columns] == ["0", "1"]
    first = found.rows[0]
    assert (first.name, first.kept_text, first.times_text, first.workers_text) == (
        *("load", "110.0 MB", "10", "2"),
    )
    assert [(cell.text, cell.level) for cell in first.cells] == [("100.0 MB", 4), ("10.0 MB", 1)]
    assert first.highest is not None
    assert (first.rise_text, first.highest.told["en"]) == ("103.0 MB", "worker 0")
    assert first.highest.told["zh"] == "工作进程 0"
    assert first.line is not None
    assert (first.line.location, first.line.worker.limit) == ("prog.py:9", "p1")
    assert found.most is not None
    assert found.most["en"] == (
        "prog.py:9 retained 109.0 MB in load on 2 workers: more than any other line."
    )


def test_rows_stand_below_those_around_them() -> None:
    told = [(row.name, row.depth) for row in table(cluster_report(2)).rows]
    assert told == [("load", 0), ("score", 0), ("prepare", 1), ("sum", 0)]
    lonely = [(row.name, row.depth) for row in table(cluster_report(2, [("a", "b", "c")])).rows]
    assert lonely == [("a / b / c", 0)]
    skipped = [
        (row.name, row.depth) for row in table(cluster_report(2, [("a",), ("a", "b", "c")])).rows
    ]
    assert skipped == [("a", 0), ("b / c", 1)]


def test_the_line_of_the_innermost_row_is_told() -> None:
    made = cluster_report(2, [("outer",), ("outer", "inner")])
    outer, inner = made.across
    alike = replace(made, across=(outer, replace(outer, path=inner.path)))
    most = table(alike).most
    assert most is not None
    assert "in outer / inner on" in most["en"]


@pytest.mark.parametrize("workers", [1, 2, 8, 9, 64, 1000])
def test_of_many_workers_those_that_kept_most_have_a_column(workers: int) -> None:
    made = cluster_report(workers, alone=workers)
    found = table(made)
    assert found.workers == workers
    assert len(found.columns) + found.others == workers
    assert len(found.columns) + (found.others > 0) <= MAX_COLUMNS
    names = [worker.name["en"] for worker in found.columns]
    assert str(workers - 1) in names
    if found.others:
        assert names[0] == str(workers - 1)
        rest = 10 * MB * found.others
        assert found.rows[0].cells[-1].text == f"{rest / MB:,.1f} MB" or workers == 1000
    assert all(len(row.cells) == len(found.rows[0].cells) for row in found.rows)
    assert all(len(row.shares) + row.others == workers for row in found.rows)


def test_only_a_worker_that_kept_much_more_than_others_is_named() -> None:
    rows = {row.name: row for row in table(cluster_report(8)).rows}
    assert rows["load"].most is not None
    assert (rows["load"].most.name["en"], rows["load"].most_share_text) == ("0", "58.8 %")
    assert not rows["load"].is_alone
    assert rows["score"].most is None
    assert table(cluster_report(2)).rows[0].is_alone


def test_a_row_of_next_to_nothing_has_no_colour_and_names_nobody() -> None:
    made = cluster_report(2)
    load, *others = made.across
    tiny = replace(
        load,
        path=("tiny",),
        retained_bytes=1,
        shares=(replace(load.shares[0], retained_bytes=1, rise_bytes=1),),
    )
    row = table(replace(made, across=(load, *others, tiny))).rows[-1]
    assert (row.name, row.most, row.cells[0].level, row.shares) == ("tiny", None, 0, ())
    assert [cell.text for cell in row.cells] == ["1 B", ""]


def test_what_is_not_known_is_a_dash() -> None:
    made = cluster_report(2)
    unknown = [
        replace(
            row,
            retained_bytes=None,
            lines=(),
            shares=tuple(
                replace(share, retained_bytes=None, rise_bytes=None, peak_bytes=None)
                for share in row.shares
            ),
        )
        for row in made.across
    ]
    found = table(replace(made, across=tuple(unknown)))
    row = found.rows[0]
    assert found.most is None
    assert (row.kept_text, row.rise_text, row.most, row.highest, row.line) == (
        *("–", "–", None, None, None),
    )
    assert [cell.text for cell in row.cells] == ["–", "–"]


def test_of_many_rows_the_most_telling_are_listed_and_the_rest_is_counted() -> None:
    paths = [*PATHS, *((f"task-{n}",) for n in range(90))]
    found = table(cluster_report(2, paths))
    assert len(found.rows) == MAX_ROWS
    assert len(found.rows) + found.left_out == found.count == len(paths)
    assert found.rows[0].name == "load"


def test_the_table_comes_first_where_the_program_itself_was_not_traced() -> None:
    made = cluster_report(2)
    for others_only, in_order in ((True, ["across", "explorer"]), (False, ["explorer", "across"])):
        mode = replace(made.run.mode, others_only=others_only)
        page = b"".join(html.encode(replace(made, run=replace(made.run, mode=mode)))).decode()
        places = {page.index(f'id="{name}"'): name for name in in_order}
        assert [places[at] for at in sorted(places)] == in_order


def test_workers_are_shown_beside_their_limits() -> None:
    found = processes(cluster_report(3, troubled=True))
    assert (found.has_workers, found.has_starts) == (True, False)
    limits = [row.of_limit for row in found.rows]
    assert limits[0] is None
    first, second, third = limits[1:]
    assert first and second and third
    assert (first.size["en"], first.share_text, first.tone) == (
        "1.91 GB of 2.00 GB",
        "95.7 %",
        "bad",
    )
    assert (second.tone, third.tone) == ("warn", "")
    assert [row.end["en"] for row in found.rows[1:]] == [
        *("ended by its nanny", "oom-killed", "lost (end unknown)"),
    ]
    assert [row.threads_text for row in found.rows[1:]] == ["2"] * 3
    assert found.rows[1].command == "tcp://10.0.0.7:40001"
    assert found.deaths[1]["en"] == "Process 101 (dask worker 0) was ended by its nanny at 1.91 GB."


def test_a_worker_without_a_limit_has_its_highest_memory_alone() -> None:
    made = cluster_report(1)
    free = replace(made.run.processes[1], worker=Worker("w", "tcp://a:1", 1))
    run_of_one = replace(made.run, processes=(made.run.processes[0], free))
    limit = processes(replace(made, run=run_of_one)).rows[1].of_limit
    assert limit is not None
    assert (limit.size["en"], limit.share_text, limit.bar) == ("307.0 MB", "", "")


def test_many_workers_are_a_group_with_those_in_trouble_and_near_their_limits_first() -> None:
    found = processes(cluster_report(64, troubled=True))
    group = found.rows[1]
    assert (group.name["en"], group.count, group.limit) == ("workers × 64", 64, "")
    assert group.of_limit is not None
    assert group.of_limit.share_text == "95.7 %"
    assert group.threads_text == "128"
    ends = [row.end["en"] for row in found.rows[2:6]]
    assert ends == ["oom-killed", "ended by its nanny", "lost (end unknown)", "running"]
    shares = [row.of_limit.share_text for row in found.rows[5:] if row.of_limit]
    assert shares[:2] == ["36.5 %", "36.2 %"]


def test_an_address_as_the_name_of_a_worker_loses_its_scheme() -> None:
    made = cluster_report(2)
    named = [
        replace(one, worker=replace(one.worker, name=one.worker.address)) if one.worker else one
        for one in made.run.processes
    ]
    found = table(replace(made, run=replace(made.run, processes=tuple(named))))
    assert [worker.told["en"] for worker in found.columns] == ["10.0.0.7:40001", "10.0.0.7:40002"]


def test_no_name_of_a_phase_or_a_worker_steers_the_page() -> None:
    made = cluster_report(2, [(MARKUP,), (MARKUP, MARKUP)])
    hostile = [
        replace(one, worker=replace(one.worker, name=MARKUP, address=MARKUP)) if one.worker else one
        for one in made.run.processes
    ]
    page = b"".join(
        html.encode(replace(made, run=replace(made.run, processes=tuple(hostile))))
    ).decode()
    assert MARKUP not in page
    assert "alert(1)" in page


@pytest.mark.parametrize(("workers", "most"), [(2, 36 << 10), (64, 44 << 10), (1000, 240 << 10)])
def test_it_stays_small(workers: int, most: int) -> None:
    paths = [*PATHS, *((f"task-{n}",) for n in range(96 if workers == 1000 else 4))]
    made = cluster_report(workers, paths)
    with_rows = len(b"".join(html.encode(made)))
    without = len(b"".join(html.encode(replace(made, across=()))))
    assert with_rows - without < most


def test_what_the_nanny_saw_last_is_the_highest_memory_of_a_worker() -> None:
    made = cluster_report(1, troubled=True)
    seen = replace(made.run.processes[1], peak_rss_bytes=1000 * MB)
    limit = (
        processes(replace(made, run=replace(made.run, processes=(made.run.processes[0], seen))))
        .rows[1]
        .of_limit
    )
    assert limit is not None
    assert limit.size["en"] == "1.91 GB of 2.00 GB"


def test_a_phase_names_the_workers_of_a_cluster_in_which_memory_moved() -> None:
    shares = [GroupShare(place, (place,), place * MB, 0, 0) for place in (1, 2)]
    moved = phase(rss_delta_bytes=0, workers=tuple(shares))
    said = workers.moved(cluster_report(2), [moved], language("en"))
    assert said.endswith("(heap): +1.0 MB in dask worker 0, +2.0 MB in dask worker 1.")


def test_few_workers_stand_in_the_order_of_their_numbers() -> None:
    made = cluster_report(3)
    renamed = [
        replace(one, worker=replace(one.worker, name=name)) if one.worker else one
        for one, name in zip(made.run.processes, ("", "10", "9", "2"), strict=True)
    ]
    found = table(replace(made, run=replace(made.run, processes=tuple(renamed))))
    assert [worker.name["en"] for worker in found.columns] == ["2", "9", "10"]


def test_what_overlaps_is_marked() -> None:
    made = cluster_report(2)
    overlapped = replace(made, across=tuple(replace(row, overlaps=True) for row in made.across))
    assert 'class="overlaps"' not in b"".join(html.encode(made)).decode()
    assert 'class="overlaps"' in b"".join(html.encode(overlapped)).decode()


def test_a_row_that_kept_nothing_is_told_by_its_rise() -> None:
    made = cluster_report(2)
    load, *others = made.across
    passing = replace(
        load,
        path=("passing",),
        retained_bytes=0,
        lines=(),
        shares=tuple(
            replace(share, retained_bytes=0, rise_bytes=300 * MB * share.process)
            for share in load.shares
        ),
    )
    first = table(replace(made, across=(load, *others, passing))).rows[0]
    assert (first.name, first.kept_text, first.rise_text) == ("passing", "0 B", "600.0 MB")
    assert [share.worker.name["en"] for share in first.shares] == ["1", "0"]
    assert [cell.level for cell in first.cells] == [0, 0]


def test_a_part_of_a_parallel_program_has_its_command_and_no_threads() -> None:
    made = cluster_report(2)
    ranks = [
        replace(one, worker=Worker(f"rank {place - 1}", "", 0), started_by=(frame(),), group=1)
        if place
        else one
        for place, one in enumerate(made.run.processes)
    ]
    rows = processes(replace(made, run=replace(made.run, processes=tuple(ranks)))).rows
    assert (rows[1].name["en"], rows[1].limit) == ("rank 0 … rank 1", "g1")
    assert [row.threads_text for row in rows[1:]] == ["", "", ""]


@given(st.sets(st.lists(st.sampled_from("abc"), min_size=1, max_size=5).map(tuple), min_size=1))
@examples(40)
def test_each_row_stands_beneath_the_nearest_one_around_it(paths: set[tuple[str, ...]]) -> None:
    found = table(cluster_report(1, sorted(paths)))
    assert len(found.rows) + found.left_out == len(paths)
    assert len(found.rows) <= MAX_ROWS
    above: list[tuple[str, ...]] = [()]
    for row in found.rows:
        del above[row.depth + 1 :]
        assert len(above) == row.depth + 1
        path = (*above[-1], *row.name.split(" / "))
        assert path in paths
        assert not {path[:end] for end in range(len(above[-1]) + 1, len(path))} & paths
        above.append(path)
