"""The lines of a run that goes on: their order, their sums, what is chosen, their width."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from lives import MB, line, lived
from rich.cells import cell_len
from rich.console import Console, RenderableType

from memdeep.live import by_line
from memdeep.live.by_line import Choice, Order
from memdeep.rundir.live import Live, LiveLag, LiveLimit
from memdeep.text.language import LANGUAGES, language

ENGLISH = language("en")
LIVE = lived(
    line("a.py", 100, 1, -5),
    line("b.py", 50, 30, 2),
    line("c.py", 20, 10, 19, origin="library", source=None),
)


def rendered(shown: RenderableType, width: int = 80) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, color_system=None, _environ={})
    console.print(shown)
    return [text.rstrip() for text in file.getvalue().splitlines()]


def names(live: Live, order: Order) -> list[str]:
    rows = rendered(by_line.table(live, Choice(order), 10, ENGLISH))
    return [row.split()[-2].partition(":")[0] for row in rows if ".py" in row]


@pytest.mark.parametrize(
    ("order", "files"),
    [
        (Order.ALIVE, ["a.py", "b.py", "c.py"]),
        (Order.PHASE, ["b.py", "c.py", "a.py"]),
        (Order.MINUTE, ["c.py", "b.py", "a.py"]),
    ],
)
def test_lines_are_in_the_order_that_was_chosen(order: Order, files: list[str]) -> None:
    assert names(LIVE, order) == files


def test_a_row_has_the_three_figures_and_all_others_are_summed_up() -> None:
    rows = rendered(by_line.table(LIVE, Choice(), 2, ENGLISH))
    assert rows[3].split() == ["100.0", "MB", "+1.0", "MB", "−5.0", "MB", "a.py:5", "load"]
    assert rows[-1].split("  ")[-1].strip() == "3 other lines"
    assert "20.0 MB" in rows[-1]
    assert "+10.0 MB" in rows[-1]
    assert "+19.0 MB" in rows[-1]


def test_the_line_that_is_chosen_stays_in_sight_and_chosen() -> None:
    choice = Choice()
    live = lived(*(line(f"{number:02}.py", 100 - number) for number in range(40)))
    choice.move(live, 1)
    assert choice.line == ("/app/00.py", 5)
    choice.move(live, -1)
    assert choice.line == ("/app/00.py", 5)
    for _ in range(60):
        choice.move(live, 1)
    assert choice.line == ("/app/39.py", 5)
    rows = rendered(by_line.table(live, choice, 5, ENGLISH))
    assert [row for row in rows if "▸" in row] == [row for row in rows if "39.py" in row]
    assert len([row for row in rows if ".py" in row]) == 5
    choice.order = Order.MINUTE
    assert "39.py" in "".join(rendered(by_line.table(live, choice, 5, ENGLISH)))


def test_the_text_of_the_line_that_is_chosen_is_shown() -> None:
    choice = Choice(line=("/app/a.py", 5))
    detail = by_line.detail(LIVE, choice, ENGLISH)
    assert detail is not None
    assert [text.strip() for text in rendered(detail)] == [
        "",
        "/app/a.py:5  load",
        "kept.append(x)",
        "100.0 MB alive in 7 allocations",
    ]
    unread = by_line.detail(LIVE, Choice(line=("/app/c.py", 5)), ENGLISH)
    assert unread is not None
    assert "the text of the line cannot be read" in "".join(rendered(unread))
    assert by_line.detail(LIVE, Choice(), ENGLISH) is None
    assert by_line.detail(LIVE, Choice(line=("/app/gone.py", 1)), ENGLISH) is None


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_is_wider_than_the_terminal(code: str, width: int) -> None:
    hostile = "恶意\x1b[2J\x07\n[bold]" + "长" * 300
    live = lived(line(f"{hostile}.py", 100, 3, 9, function=hostile, source=hostile))
    choice = Choice(line=(live.lines[0].file, 5))
    detail = by_line.detail(live, choice, language(code))
    assert detail is not None
    for shown in (by_line.table(live, choice, 5, language(code)), detail):
        for row in rendered(shown, width):
            assert cell_len(row) <= width
            assert "\x1b" not in row


def test_files_of_one_name_are_told_with_their_directories() -> None:
    live = lived(line("one/core.py", 3), line("two/core.py", 2), line("other.py", 1))
    assert by_line.short_names(live.lines) == {
        "/app/one/core.py": "one/core.py",
        "/app/two/core.py": "two/core.py",
        "/app/other.py": "other.py",
    }


def test_the_curve_has_a_gap_where_nothing_is_known() -> None:
    assert by_line.heap_curve(LIVE).plain == "  ▁▆█"
    assert (
        by_line.heap_curve(replace(LIVE, heap_curve=replace(LIVE.heap_curve, values=()))).plain
        == ""
    )


def test_headroom_is_told_only_where_it_is_known() -> None:
    assert by_line.headroom(LIVE, ENGLISH) == "full in 5 min 00 s at +2.0 MB a second"
    not_yet = replace(LIVE, limit=LiveLimit(None, None, 1000 * MB, 600 * MB))
    assert by_line.headroom(not_yet, ENGLISH) is None
    steady = replace(LIVE, limit=replace(not_yet.limit, growth_bytes_a_second=0.0))
    assert by_line.headroom(steady, ENGLISH) == "not growing"
    assert by_line.headroom(replace(LIVE, limit=LiveLimit()), ENGLISH) is None


def test_how_far_the_figures_are_behind_is_never_hidden() -> None:
    at_s = LIVE.epoch_s + 3.0
    assert by_line.behind(LIVE, at_s, ENGLISH, has_ended=False).plain == "3.2 s behind"
    late = replace(LIVE, lag=LiveLag(5 * MB, 1.0))
    told = by_line.behind(late, LIVE.epoch_s, ENGLISH, has_ended=False).plain
    assert told == "1.0 s behind, 5.0 MB to replay"
    ended = by_line.behind(LIVE, at_s, ENGLISH, has_ended=True).plain
    assert ended == "as of 1 min 30 s"
