"""Phases of like names are one row of the page's table, which opens: by mouse and by keyboard."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import Reader, needs_browser, written
from factories import MB, analysed, frame, lifetime, program, run, tree, with_rss
from selenium.webdriver.common.keys import Keys

from memdeep.model import Report

pytestmark = needs_browser

DAYS = 1000


def days(count: int) -> Report:
    """A run that loads, and then keeps 2 MB on each of so many days."""
    stacks, (load, keep) = tree([frame("load")], [frame("keep")])
    steps = ["+load", "-load"]
    for day in range(1, count + 1):
        steps += [f"+第{day}天", f"-第{day}天"]
    points = with_rss(program(*steps), *(MB * (place // 2) for place in range(2 * count + 4)))
    lives = [lifetime(load, 2, bytes=30 * MB)]
    lives += [lifetime(keep, 2 * day + 2, bytes=2 * MB) for day in range(1, count + 1)]
    return analysed(run(checkpoints=points), stacks, lives)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(days(DAYS), tmp_path_factory.mktemp("days"))


def names(reader: Reader) -> list[str]:
    return reader.texts("#phases .phase-name")


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_row_of_a_thousand_phases_opens_and_closes(
    reader: Reader, page: Path, width: int, theme: str
) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    reader.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    reader.open(page)
    reader.click(f"[data-set-theme={theme}]")
    assert names(reader) == ["load", "第*天"]
    assert "× 1,000" in reader.text("#phases .is-pattern .repeats")
    reader.click("#phases .is-pattern .twist")
    opened = names(reader)
    assert opened[:4] == ["load", "第*天", "第1天", "第2天"]
    assert len(opened) < 100  # only what is in sight is there
    assert reader.one("#phases table").get_attribute("aria-rowcount") == str(DAYS + 3)
    reader.click("#phases .is-pattern .twist")
    assert names(reader) == ["load", "第*天"]
    assert reader.complaints() == []


def test_a_row_opens_by_keyboard(reader: Reader, page: Path) -> None:
    reader.open(page)
    reader.run("document.querySelector('#phases table').focus()")
    reader.press(Keys.HOME, Keys.ARROW_DOWN)
    row = reader.one("#phases .is-pattern")
    assert row.get_attribute("aria-expanded") == "false"
    reader.press(Keys.ARROW_RIGHT)
    assert reader.one("#phases .is-pattern").get_attribute("aria-expanded") == "true"
    reader.press(Keys.ARROW_DOWN, Keys.ENTER)
    reader.wait(lambda: reader.phase() == "第1天")
    reader.press(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert names(reader) == ["load", "第*天"]


def test_a_row_is_looked_into_as_a_whole(reader: Reader, page: Path) -> None:
    """The finding of a thousand phases leads to their row, and its figures are their sums."""
    reader.open(page)
    assert reader.phase() == "第*天 × 1,000"
    totals = "[data-metrics] [data-metric=retained] [data-total]"
    assert reader.text(totals) == "1.95 GB"
    reader.click("[data-metric=peak]")
    assert "第*天" in reader.texts("#phases .selected .phase-name")


def test_what_is_searched_for_is_found_in_a_closed_row(reader: Reader, page: Path) -> None:
    reader.open(page)
    reader.one("[data-filter]").send_keys("第777天")
    reader.wait(lambda: names(reader) == ["第*天", "第777天"])
    assert reader.text("[data-shown]") == "1 of 1,001"


def test_a_link_to_a_phase_opens_its_row(reader: Reader, page: Path) -> None:
    reader.open(page, "#phase=500")
    assert "第500天" in names(reader)
    assert reader.texts("#phases .selected .phase-name") == ["第500天"]


def test_without_nesting_all_phases_are_ranked(reader: Reader, page: Path) -> None:
    reader.open(page)
    reader.click("[data-nested]")
    assert "第*天" not in names(reader)
    assert reader.one("#phases table").get_attribute("aria-rowcount") == str(DAYS + 2)
