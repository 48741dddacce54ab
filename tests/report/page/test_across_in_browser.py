"""The phases over all workers in a real browser: rows open, links lead to stacks, all sizes fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import windows
from browser import needs_browser, written
from clusters import cluster_report
from selenium.webdriver.common.keys import Keys
from windows import Window

pytestmark = needs_browser
window = windows.window


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(cluster_report(9, troubled=True), tmp_path_factory.mktemp("cluster"))


@pytest.fixture
def page(window: Window, cluster: Path) -> Iterator[Window]:
    """The page of a cluster; it must not have complained by the end."""
    window.emulate()
    window.open(cluster)
    yield window
    assert window.complaints() == []
    window.emulate()


def test_a_row_opens_to_its_workers_and_lines(page: Window) -> None:
    opened = "#across [data-within='0']"
    assert not page.one(opened).is_displayed()
    page.click("#across [data-group='0']")
    assert page.one(opened).is_displayed()
    assert page.texts(f"{opened} table:first-child tbody th")[:2] == ["0", "1"]
    assert page.texts(f"{opened} table:last-child tbody th a") == ["prog.py:9"]
    page.click("#across .is-group > th")
    assert not page.one(opened).is_displayed()


def test_links_lead_to_the_stacks_of_a_worker_and_to_a_line(page: Window) -> None:
    page.click("#across thead .across-worker a[data-limit=p2]")
    assert page.state()["thread"] == "p2"
    page.click("#across .is-group:first-child a.place")
    state = page.state()
    assert (state["view"], state["thread"]) == ("lines", None)
    assert (
        page.run(
            "return memdeep.page.data.frames.location(arguments[0])",
            page.state()["selected"]["frame"],
        )
        == "prog.py:9"
    )


def test_a_line_without_stacks_in_the_page_leads_to_its_worker(page: Window) -> None:
    page.click("#across [data-group='1']")
    page.click("#across [data-within='1'] a.place")  # of score, whose stacks the report has not
    assert page.state()["thread"] == "p1"


def test_the_keyboard_opens_a_row(page: Window) -> None:
    page.run("document.querySelector('#across .across-worker a').focus()")
    page.press(*[Keys.TAB] * 7)
    assert page.run("return document.activeElement.dataset.group") == "0"
    page.press(Keys.ENTER)
    assert page.one("#across [data-within='0']").is_displayed()


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_makes_the_page_wider_than_its_window(page: Window, width: int) -> None:
    page.emulate(width=width)
    page.click("#across [data-group='0']")
    assert page.run("return document.documentElement.scrollWidth") == width
    left, right, hidden = page.run(
        """const parts = document.querySelector('.across-parts');
        const { left, right } = parts.getBoundingClientRect();
        return [left, right, parts.scrollWidth - parts.clientWidth]"""
    )
    assert (left >= 0, right <= width, hidden) == (True, True, 0)


def test_on_paper_all_rows_are_open(page: Window) -> None:
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert all(row.is_displayed() for row in page.all("#across [data-within]"))
    page.run("dispatchEvent(new Event('afterprint'))")
    assert not any(row.is_displayed() for row in page.all("#across [data-within]"))


def test_on_paper_both_tables_are_as_wide_as_the_sheet(page: Window) -> None:
    page.emulate(width=720)
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.run("return document.documentElement.scrollWidth") == 720
    shown = "return document.querySelector('.processes-wrap').clientHeight"
    assert page.run(shown) >= page.one(".processes").size["height"]
    page.run("dispatchEvent(new Event('afterprint'))")
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
