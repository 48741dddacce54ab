"""Everybody can use the page: axe-core finds nothing serious, the keyboard reaches everything."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from browser import Reader, needs_browser, written
from clusters import cluster_report
from factories import family_report, hostile_report
from running import Scenes
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from snapshots import holding_report

pytestmark = needs_browser

AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CHECK = """
const done = arguments[arguments.length - 1];
axe.run(arguments[0], { runOnly: arguments[1], resultTypes: ['violations'] })
  .then((result) => done(result.violations), (error) => done(String(error)));
"""
FOCUSED = """
const e = document.activeElement;
const name = e.getAttribute('aria-label') ?? e.labels?.[0]?.innerText ?? e.innerText;
return [e.tagName.toLowerCase(), name.trim()];
"""


def serious(reader: Reader, part: str = "html") -> list[str]:
    """The serious and critical faults that axe-core finds, with their elements."""
    reader.driver.set_script_timeout(60)
    reader.run(AXE)
    found: Any = reader.driver.execute_async_script(CHECK, part, RULES)
    assert isinstance(found, list), found
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("theme", "language"), [("light", "en"), ("dark", "zh")])
def test_axe_finds_nothing_serious(at_run: Reader, theme: str, language: str) -> None:
    at_run.click(f"[data-set-theme={theme}]")
    at_run.click(f"[data-set-language={language}]")
    for details in at_run.all("details"):
        at_run.run("arguments[0].open = true", details)
    assert serious(at_run) == []
    for view in ("lines", "source", "tree"):
        at_run.click(f"[data-view={view}]")
        at_run.wait(lambda view=view: at_run.state()["view"] == view)
        assert serious(at_run, "#explorer") == []
    at_run.click("[data-view=functions]")
    at_run.click("[data-table] tbody tr:not(.spacer)")
    at_run.wait(lambda: at_run.one(".sandwich").is_displayed())
    assert serious(at_run, "#explorer") == []
    at_run.click("[data-view=flame]")
    at_run.choose("[data-versus]", "2")
    at_run.wait(lambda: at_run.one("[data-direction]").is_displayed())
    assert serious(at_run, "#explorer") == []


@pytest.mark.parametrize(("scene", "theme"), [("thirty", "dark"), ("repeats", "light")])
def test_axe_finds_nothing_serious_in_nested_and_repeated_phases(
    reader: Reader, scenes: Scenes, scene: str, theme: str
) -> None:
    reader.open(scenes.page(scene))
    reader.click(f"[data-set-theme={theme}]")
    assert serious(reader) == []


def test_axe_finds_nothing_serious_where_a_program_died(reader: Reader, scenes: Scenes) -> None:
    reader.open(scenes.page("killed"))
    for theme in ("light", "dark"):
        reader.click(f"[data-set-theme={theme}]")
        assert serious(reader) == []


@pytest.mark.parametrize(("theme", "language"), [("light", "zh"), ("dark", "en")])
def test_axe_finds_nothing_serious_where_there_are_processes(
    reader: Reader, tmp_path: Path, theme: str, language: str
) -> None:
    reader.open(written(family_report(3), tmp_path), "#phase=2&thread=g1&threads=1")
    reader.click(f"[data-set-theme={theme}]")
    reader.click(f"[data-set-language={language}]")
    reader.click("[data-group]")
    assert serious(reader) == []


@pytest.mark.parametrize(("theme", "language"), [("light", "zh"), ("dark", "en")])
def test_axe_finds_nothing_serious_where_workers_have_phases(
    reader: Reader, tmp_path: Path, theme: str, language: str
) -> None:
    reader.open(written(cluster_report(9, troubled=True), tmp_path))
    reader.click(f"[data-set-theme={theme}]")
    reader.click(f"[data-set-language={language}]")
    for part in ("#across", "#processes"):
        reader.click(f"{part} [data-group]")
        assert serious(reader, part) == []


@pytest.mark.parametrize(("theme", "language"), [("light", "en"), ("dark", "zh")])
def test_axe_finds_nothing_serious_in_the_holders(
    reader: Reader, tmp_path: Path, theme: str, language: str
) -> None:
    for link in ("#holding=tree", "#since=0", "#holding=types", "#holding=types&since=0"):
        reader.open(written(holding_report(4), tmp_path), link)
        reader.click(f"[data-set-theme={theme}]")
        reader.click(f"[data-set-language={language}]")
        assert serious(reader, "#holders") == []


def test_without_a_wish_for_motion_nothing_moves(reader: Reader, scenes: Scenes) -> None:
    wish = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    reader.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wish})
    reader.open(scenes.page("thirty"))
    moving = """return [...document.querySelectorAll('*')].filter((element) => {
      const { transitionDuration, animationName } = getComputedStyle(element);
      return !/^(0s(, )?)+$/.test(transitionDuration) || animationName !== 'none';
    }).length"""
    assert reader.run(moving) == 0


def test_axe_is_able_to_find_something(at_run: Reader) -> None:
    at_run.run("document.querySelector('h1').style.color = '#aaa'")
    at_run.run("document.querySelector('#timeline [data-part=peak]').textContent = ''")
    found = {one.split(":")[0] for one in serious(at_run)}
    assert found == {"color-contrast", "button-name"}


@pytest.mark.parametrize(("theme", "language"), [("dark", "en"), ("light", "zh")])
def test_axe_finds_nothing_serious_in_a_killed_run(
    reader: Reader, tmp_path: Path, theme: str, language: str
) -> None:
    reader.open(written(hostile_report(), tmp_path))
    reader.click(f"[data-set-theme={theme}]")
    reader.click(f"[data-set-language={language}]")
    assert serious(reader) == []


def test_the_keyboard_alone_reaches_every_control(at_run: Reader) -> None:
    reachable = """
    return [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex="0"]')]
      .filter((e) => e.tabIndex >= 0 && !e.disabled && e.checkVisibility()).length;
    """
    wanted = at_run.run(reachable)
    at_run.run("document.body.tabIndex = -1; document.body.focus()")
    seen = set()
    for _ in range(wanted + 5):
        at_run.press(Keys.TAB)
        element = at_run.driver.switch_to.active_element
        kind, name = at_run.run(FOCUSED)
        if kind == "body":
            break
        assert name, f"a {kind} has no name: {element.get_attribute('outerHTML')[:200]}"
        seen.add(element.id)
        outlined = at_run.run("return getComputedStyle(arguments[0]).outlineStyle", element)
        assert outlined != "none", (kind, name)
    assert len(seen) == wanted


def focus_by_tab(reader: Reader, selector: str) -> None:
    for _ in range(200):
        if reader.run("return document.activeElement.matches(arguments[0])", selector):
            return
        reader.press(Keys.TAB)
    pytest.fail(f"the Tab key never reaches {selector}")


def test_a_walk_through_the_page_by_keyboard_alone(at_run: Reader) -> None:
    at_run.press(Keys.TAB)
    focus_by_tab(at_run, "[data-set-theme=dark]")
    at_run.press(Keys.ENTER)
    assert at_run.run("return document.documentElement.dataset.theme") == "dark"
    focus_by_tab(at_run, ".finding a[data-phase]")
    at_run.press(Keys.ENTER)
    focus_by_tab(at_run, "#timeline .reader")
    at_run.press(Keys.HOME, Keys.ARROW_RIGHT)
    shifted = ActionChains(at_run.driver, duration=0).key_down(Keys.SHIFT)
    shifted.send_keys(Keys.ARROW_RIGHT).key_up(Keys.SHIFT).send_keys(Keys.ENTER).perform()
    at_run.wait(lambda: at_run.state()["scope"] == {"kind": "between", "from": 1, "to": 2})
    focus_by_tab(at_run, "#phases table")
    at_run.press(Keys.HOME, Keys.ARROW_DOWN, Keys.ENTER)
    at_run.wait(lambda: at_run.phase() == "加载config")
    focus_by_tab(at_run, "[data-metric=peak]")
    at_run.press(Keys.SPACE)
    at_run.wait(lambda: at_run.state()["metric"] == "peak")
    at_run.press("/", "decode")
    at_run.wait(lambda: "MB" in at_run.text("[data-matched]"))
    at_run.press(Keys.ESCAPE, Keys.ESCAPE)
    assert at_run.run("return document.activeElement.tagName") == "CANVAS"
    at_run.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ENTER)
    at_run.wait(lambda: at_run.zoomed_to() == "load")
    at_run.press(Keys.ESCAPE)
    at_run.wait(lambda: at_run.zoomed_to() == "")
    assert at_run.run("return document.activeElement.tagName") == "CANVAS"
