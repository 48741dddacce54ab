"""The processes of a run in a real browser: the table folds, the explorer is limited to some."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import windows
from browser import needs_browser, written
from factories import family_report
from selenium.webdriver.common.action_chains import ActionChains
from windows import Window

pytestmark = needs_browser
window = windows.window


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(family_report(3), tmp_path_factory.mktemp("family"))


@pytest.fixture
def page(window: Window, family: Path) -> Iterator[Window]:
    """The page of a run with processes; it must not have complained by the end."""
    window.open(family, "#phase=2&metric=retained")
    yield window
    assert window.complaints() == []


def limits(page: Window) -> list[str]:
    return page.texts("[data-thread-choice] option")


def retained(page: Window) -> str:
    return page.text("[data-metric=retained] [data-total]")


def test_a_group_opens_and_folds(page: Window) -> None:
    assert not any(row.is_displayed() for row in page.all(".is-member"))
    page.click(".is-group [data-group]")
    assert [row.is_displayed() for row in page.all(".is-member")] == [True] * 3
    assert page.one("[data-group]").get_attribute("aria-expanded") == "true"
    page.click(".is-group [data-group]")
    assert not any(row.is_displayed() for row in page.all(".is-member"))


def test_the_explorer_is_limited_to_the_program_a_group_a_process_and_a_thread(
    page: Window,
) -> None:
    assert limits(page)[:3] == ["all", "the program", "fork × 3 · prog.py:30"]
    assert retained(page) == "94.0 MB"
    page.choose("[data-thread-choice]", "g1")
    assert retained(page) == "90.0 MB"
    page.choose("[data-thread-choice]", "p2")
    assert retained(page) == "30.0 MB"
    assert "thread=p2" in page.link()
    page.choose("[data-thread-choice]", "p0")
    assert retained(page) == "0 B"
    page.choose("[data-thread-choice]", "")
    assert retained(page) == "94.0 MB"


def test_the_stacks_of_a_group_are_one_graph_unless_its_threads_are_shown(page: Window) -> None:
    page.choose("[data-thread-choice]", "g1")
    names = """const {core, frames} = memdeep.page.data;
    const state = {...memdeep.page.store.get(), native: 'fold'};
    const sum = memdeep.threadLimit.picture(memdeep.page.data.blocks, state, 'node');
    const tree = memdeep.flameLayout.build(core, sum, state);
    return Array.from(tree.frame).slice(1).map((frame) => frames.functionName(frame));"""
    assert page.run(names) == ["work"]
    page.click("[data-flag=threads]")
    assert sorted(set(page.run(names))) == [
        "fork 101 MainThread",
        "fork 102 MainThread",
        "fork 103 MainThread",
        "work",
    ]


def test_a_row_of_the_table_leads_to_its_stacks_and_its_phase(page: Window) -> None:
    page.click(".is-group a[data-limit]")
    assert page.state()["thread"] == "g1"
    page.click(".is-group a[data-phase]")
    assert page.name() == "search"


def test_a_link_brings_the_limit_again(page: Window) -> None:
    page.choose("[data-thread-choice]", "g1")
    page.wait(lambda: "thread=g1" in page.link())
    page.reload()
    assert page.state()["thread"] == "g1"
    assert retained(page) == "90.0 MB"


def test_the_timeline_stacks_the_processes_and_reads_them(page: Window) -> None:
    layers = page.texts("#timeline .legend li")
    assert layers[:3] == ["PSS by process", "program", "fork 101 · prog.py:30"]
    assert len(page.all("svg .layer")) == 5
    plot = page.one(".reader")
    page.run("arguments[0].scrollIntoView({ block: 'center' })", plot)
    at = int((4.2 / 5 - 0.5) * plot.size["width"])
    ActionChains(page.driver).move_to_element_with_offset(plot, at, 0).perform()
    figures = page.wait(lambda: page.texts(".readout-figures > *"))
    told = dict(zip(figures[::2], figures[1::2], strict=True))
    assert told["PSS of all"] == "217.0 MB"
    assert told["program"] == "62.0 MB"
    assert told["fork 101 · prog.py:30"] == "50.0 MB"
    assert told["subprocess 104 · prog.py:7"] == "5.0 MB"
    assert list(told)[1] == "subprocess 104 · prog.py:7"  # as they lie, the topmost first


def test_the_workers_stand_beside_the_program_in_the_table_of_phases(page: Window) -> None:
    row = page.row("search")
    cells = row.find_elements("css selector", ".cell-workers")
    assert [cell.text.split("\n") for cell in cells] == [["+155.0 MB", "in 4"]]
    assert "+90.0 MB in 3 workers started by prog.py:30" in page.text("[data-scope-notes]")
