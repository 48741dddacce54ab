"""The page by keyboard alone, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser import needs_browser
from running import Scenes
from selenium.webdriver.common.keys import Keys
from windows import Window

pytestmark = needs_browser

MAX_STOPS = 75


@pytest.fixture
def thirty(window: Window, scenes: Scenes) -> Iterator[Window]:
    yield window.opened(scenes.page("thirty"))
    assert window.complaints() == []


def focused(page: Window, selector: str) -> bool:
    return bool(page.run("return document.activeElement.matches(arguments[0])", selector))


def tab_to(page: Window, selector: str) -> None:
    """Press Tab until the keyboard is there."""
    for _ in range(MAX_STOPS):
        page.press(Keys.TAB)
        if focused(page, selector):
            return
    raise AssertionError(f"Tab does not reach {selector}")


def test_the_first_stop_skips_to_the_report(thirty: Window) -> None:
    thirty.press(Keys.TAB)
    assert focused(thirty, ".skip")
    before = thirty.state()
    thirty.press(Keys.ENTER)
    thirty.wait(lambda: focused(thirty, "#main"))
    assert thirty.state() == before


def test_every_control_is_reached_by_tab_and_none_is_a_trap(thirty: Window) -> None:
    """All that can be used is a stop, in the order it is read, and after the last one it ends."""
    wanted = set(
        thirty.run(
            """const usable = 'a[href], button, input, select, summary, [tabindex]';
            const all = [...document.querySelectorAll(usable)].filter((e) => e.tabIndex >= 0
                && !e.disabled && e.checkVisibility({visibilityProperty: true}));
            all.forEach((e, i) => { e.dataset.stop = i; });
            return all.map((e) => e.dataset.stop)"""
        )
    )
    seen: list[str] = []
    for _ in range(len(wanted) + 3):
        thirty.press(Keys.TAB)
        stop = thirty.run("return document.activeElement.dataset.stop ?? null")
        if stop is not None:
            seen.append(stop)
    assert wanted <= set(seen)
    assert len(wanted) < MAX_STOPS * 2


def test_what_has_the_keyboard_is_seen(thirty: Window) -> None:
    thirty.press(Keys.TAB)
    for selector in (".reader", "[data-sort=rss]", "table.phases", "canvas", "[data-grew]"):
        thirty.run("document.querySelector(arguments[0]).focus()", selector)
        style = thirty.run("return getComputedStyle(document.activeElement).outlineStyle")
        assert style in ("solid", "auto"), selector


def test_arrows_step_through_the_checkpoints(thirty: Window) -> None:
    tab_to(thirty, ".reader")
    reader = thirty.one(".reader")
    labels = thirty.run("return memdeep.page.data.core.checkpoints.label")
    thirty.press(Keys.HOME, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert reader.get_attribute("aria-valuenow") == "2"
    kinds = thirty.run("return memdeep.page.data.core.checkpoints.kind")
    said = (reader.get_attribute("aria-valuetext") or "").split(", ")[0]
    assert (kinds[2], said) == ("begin", f"begin of {labels[2]}")
    assert labels[2] in thirty.text(".readout")
    assert thirty.one("#timeline-keys").is_displayed()
    thirty.press(Keys.END)
    assert reader.get_attribute("aria-valuenow") == str(len(labels) - 1)


def test_shift_and_arrows_stretch_a_choice_and_enter_takes_it(thirty: Window) -> None:
    tab_to(thirty, ".reader")
    thirty.press(Keys.HOME, Keys.ARROW_RIGHT)
    thirty.hold(Keys.SHIFT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    before = thirty.state()["scope"]
    assert "RSS Δ" in thirty.text(".readout")
    assert before["kind"] == "phase"
    thirty.press(Keys.ENTER)
    thirty.wait(lambda: thirty.state()["scope"] == {"kind": "between", "from": 1, "to": 4})
    thirty.driver.back()
    thirty.wait(lambda: thirty.state()["scope"]["kind"] == "phase")


def test_enter_takes_the_phase_p_the_peak_and_escape_lets_go(thirty: Window) -> None:
    tab_to(thirty, ".reader")
    thirty.press(Keys.HOME, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ENTER)
    assert "phase=" in thirty.link()
    thirty.press("p")
    thirty.wait(lambda: thirty.state()["metric"] == "peak")
    thirty.press(Keys.ESCAPE)
    assert not thirty.one(".readout").is_displayed()


def test_the_table_is_walked_folded_and_chosen_from(thirty: Window) -> None:
    tab_to(thirty, "table.phases")
    table = thirty.one("table.phases")

    def active() -> str:
        row = thirty.one("#" + (table.get_attribute("aria-activedescendant") or ""))
        return row.find_element("css selector", ".phase-name").text

    thirty.press(Keys.HOME, Keys.ARROW_DOWN)
    assert active() == "step *"
    thirty.press(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert active() == "step 00"
    rows = table.get_attribute("aria-rowcount")
    thirty.press(Keys.ARROW_LEFT)
    assert table.get_attribute("aria-rowcount") == str(int(rows or 0) - 1)
    thirty.press(Keys.ARROW_RIGHT)
    assert table.get_attribute("aria-rowcount") == rows
    thirty.press(Keys.ARROW_DOWN)
    assert active() == "transform"
    thirty.press(Keys.ARROW_LEFT)
    assert active() == "step 00"
    thirty.press(Keys.ENTER)
    thirty.wait(lambda: thirty.name() == "step 00")
    thirty.press(Keys.END)
    thirty.hold(Keys.SHIFT, Keys.ENTER)
    thirty.wait(lambda: thirty.state()["versus"] is not None)
    assert thirty.name() == "step 00"


def test_the_graph_is_walked_zoomed_and_searched(thirty: Window) -> None:
    tab_to(thirty, "canvas")
    thirty.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert "page_scenes.py" in thirty.text("[data-status]")
    thirty.press(Keys.ENTER)
    thirty.wait(lambda: "frame=" in thirty.link())
    thirty.press(Keys.ESCAPE)
    thirty.wait(lambda: "frame=" not in thirty.link())
    thirty.press("/")
    assert focused(thirty, "[data-search]")
    thirty.press("grow")
    thirty.wait(lambda: "%" in thirty.text("[data-matched]"))
