"""Where things stand: the first screen, what is in sight after a choice, one scale, paper."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browser import needs_browser, written
from factories import analysed, culprit, frame, lifetime, run, tree
from running import PROGRAMS, Scenes
from selenium.webdriver.common.keys import Keys
from windows import Window

from memdeep.model import Death, Exit, Report

pytestmark = needs_browser

CSS = PROGRAMS.parent.parent / "templates" / "css"
MAX_SIZES = 6
RECT = "const {top, bottom, left, right} = arguments[0].getBoundingClientRect();"
EVERYTHING = ["", "&view=lines", "&view=functions", "&view=source", "&vs=phase-0"]


@pytest.fixture
def screen(window: Window) -> Iterator[Window]:
    """A window of 1280 × 900 pixels, in which nobody complains."""
    window.emulate()
    yield window
    assert window.complaints() == []
    window.emulate()


def box(page: Window, selector: str) -> dict[str, float]:
    """The place of an element in the window."""
    return dict(page.run(RECT + "return {top, bottom, left, right}", page.one(selector)))


@pytest.mark.parametrize("scene", ["one", "few", "thirty", "thousand", "killed"])
def test_verdict_figures_and_timeline_are_the_first_screen(
    screen: Window, scenes: Scenes, scene: str
) -> None:
    page = screen.opened(scenes.page(scene))
    order = [".masthead-top", ".headline", ".charged-line", ".facts", "#timeline .timeline"]
    boxes = [box(page, selector) for selector in order]
    for above, below in zip(boxes, boxes[1:], strict=False):
        assert above["bottom"] <= below["top"]
    masthead, headline, _, facts, timeline = boxes
    assert masthead["bottom"] - masthead["top"] < 40
    assert headline["bottom"] - headline["top"] < 2.5 * 24 * 1.25
    assert facts["bottom"] - facts["top"] < 60
    assert timeline["bottom"] <= 900
    plot = box(page, ".timeline-plot")
    assert 180 <= plot["bottom"] - plot["top"] <= 240
    if scene != "killed":  # whose end is told in between
        assert box(page, "#explorer")["top"] < 700


def test_findings_are_a_line_each_but_the_first_which_does_not_repeat_the_headline(
    screen: Window, scenes: Scenes
) -> None:
    page = screen.opened(scenes.page("few"))
    first, *others = page.all(".finding")
    assert first.get_attribute("open") is not None
    assert page.text("h1") not in first.text
    shown = [one for one in others if one.is_displayed()]
    assert shown
    for one in shown:
        assert one.get_attribute("open") is None
        assert one.size["height"] < 44
        assert re.match(r"#?\d+\s[\d.]+ [KM]B\s", one.text.replace("\n", " ")), one.text


@pytest.mark.parametrize("width", [1280, 1000, 400])
def test_what_is_chosen_comes_into_sight(screen: Window, scenes: Scenes, width: int) -> None:
    screen.emulate(width=width)
    page = screen.opened(scenes.page("few"))
    page.choose_phase("复制")
    height = 900
    metrics = box(page, ".metrics")
    assert metrics["top"] >= 0
    assert metrics["bottom"] < height
    assert box(page, "[data-canvas]")["top"] < height
    page.run("scrollTo(0, 0)")
    page.click("[data-look-inside]")
    assert box(page, ".metrics")["bottom"] < height


def test_the_scope_stays_while_the_page_scrolls(screen: Window, scenes: Scenes) -> None:
    page = screen.opened(scenes.page("thirty"))
    work = box(page, ".work")
    for share in (0, 0.3, 0.6):
        room = max(0, work["bottom"] - work["top"] - 900)
        page.run("scrollTo(0, arguments[0])", work["top"] + share * room)
        bar = box(page, ".explorer-scope")
        assert bar["top"] >= 0
        assert bar["bottom"] < 60
        assert box(page, ".metrics")["top"] >= bar["bottom"]  # and covers nothing


def test_nothing_is_empty_beneath_the_graph(screen: Window, scenes: Scenes) -> None:
    page = screen.opened(scenes.page("one"))
    assert box(page, "[data-legend]")["top"] - box(page, "[data-canvas]")["bottom"] < 40


def test_a_search_moves_nothing(screen: Window, scenes: Scenes) -> None:
    page = screen.opened(scenes.page("few"))
    parts = ("[data-views]", "[data-search]", "#explorer .menu", "[data-canvas]")
    before = [box(page, part) for part in parts]
    page.one("[data-search]").send_keys("parse")
    page.wait(lambda: page.one("[data-match-steps]").is_displayed())
    top = before[0]["top"] - box(page, "[data-views]")["top"]  # the window may have scrolled
    after = [box(page, part) for part in parts]
    for was, now in zip(before, after, strict=True):
        assert now["top"] + top == pytest.approx(was["top"], abs=0.5)
        assert now["left"] == pytest.approx(was["left"], abs=0.5)
        assert now["right"] == pytest.approx(was["right"], abs=0.5)


def test_the_table_opens_with_the_rows_around_what_is_selected(
    screen: Window, scenes: Scenes
) -> None:
    page = screen.opened(scenes.page("thirty"))
    phases = page.run("return memdeep.page.data.core.phases")
    last = max(place for place, name in enumerate(phases["name"]) if name == "merge")
    page = screen.opened(scenes.page("thirty"), f"#phase={last}")
    shown = page.run(
        """const table = document.getElementById('phases').getBoundingClientRect();
        const head = document.querySelector('#phases thead').getBoundingClientRect();
        return [...document.querySelectorAll('#phases tr[data-row]')].filter((row) => {
          const { top, bottom } = row.getBoundingClientRect();
          return bottom <= table.bottom + 1 && top >= head.bottom - 1;
        }).map((row) => Number(row.dataset.row))"""
    )
    assert last in shown
    assert phases["parent"][last] in shown


def test_a_filter_that_finds_nothing_says_so_and_is_cleared(screen: Window, scenes: Scenes) -> None:
    page = screen.opened(scenes.page("few"))
    rows = "return document.querySelectorAll('#phases tr[data-row]').length"
    every = page.run(rows)
    page.one("[data-filter]").send_keys("nowhere")
    page.wait(lambda: page.one("[data-nothing]").is_displayed())
    assert "Nothing matches “nowhere”." in page.text("[data-nothing]")
    page.one("[data-clear]").click()
    assert page.run(rows) == every
    assert not page.one("[data-nothing]").is_displayed()
    assert page.run("return document.activeElement.matches('[data-filter]')")


def test_all_columns_are_in_reach_at_400_pixels(screen: Window, scenes: Scenes) -> None:
    screen.emulate(width=400)
    page = screen.opened(scenes.page("few"))
    assert not page.one("th.cell-allocated").is_displayed()
    page.click("[data-whole]")
    page.run("document.querySelector('#phases').scrollLeft = 9999")
    last = box(page, "#phases thead th:last-child")
    assert last["right"] <= 400
    assert box(page, "#phases thead th:first-child")["left"] >= 0  # the names stay
    assert page.run("return document.documentElement.scrollWidth") <= 400


def test_all_columns_take_the_whole_width(screen: Window, scenes: Scenes) -> None:
    page = screen.opened(scenes.page("few"))
    assert box(page, "#phases")["right"] < box(page, "#explorer")["left"]
    page.click("[data-whole]")
    assert box(page, "#phases")["right"] > 1200
    assert box(page, "#phases")["bottom"] < box(page, "#explorer")["top"]


def test_the_legend_of_a_comparison_says_than_what(screen: Window, scenes: Scenes) -> None:
    page = screen.opened(scenes.page("few"), "#phase=1&vs=phase-2")
    page.wait(lambda: page.one("[data-direction]").is_displayed())
    assert page.text("[data-direction]").startswith("compared with 复制")


def test_a_change_is_as_loud_as_its_share_of_the_largest(screen: Window, scenes: Scenes) -> None:
    page = screen.opened(scenes.page("few"))
    tones = page.run(
        """const {phases} = memdeep.page.data.core;
        return phases.heap.map((bytes, phase) =>
          [bytes, document.querySelector(`tr[data-row="${phase}"] .cell-heap`)?.className])"""
    )
    rss = page.run("return memdeep.page.data.core.phases.rss")
    largest = max(abs(value) for value in (*rss, *(value for value, _ in tones)))
    for value, name in tones:
        assert ("is-slight" in name) == (0 < abs(value) < 0.01 * largest), (value, name)


def test_a_menu_closes_by_escape_and_by_a_click_elsewhere(screen: Window, scenes: Scenes) -> None:
    page = screen.opened(scenes.page("few"))
    menu = "#explorer .menu"
    page.click(f"{menu} > summary")
    assert page.one("[data-flag=flip]").is_displayed()
    page.press(Keys.ESCAPE)
    assert page.one(menu).get_attribute("open") is None
    assert page.run("return document.activeElement.matches('#explorer .menu > summary')")
    page.press(Keys.ENTER)
    assert page.one("[data-flag=flip]").is_displayed()
    page.click("[data-view=lines]")
    assert page.one(menu).get_attribute("open") is None


def wordy() -> Report:
    """Labels, functions and files of hundreds of letters without a blank, and a death."""
    names = ("x" * 400, "y" * 2000, "加" * 300, "a.b." * 200)
    steps = [step for name in names for step in (f"+{name}", f"-{name}")]
    called = [frame(name[:300], filename=f"/app/{name[:200]}.py", lineno=7) for name in names]
    stacks, nodes = tree(*([frame("main"), one] for one in called))
    alive = [lifetime(node, 2 * place + 2) for place, node in enumerate(nodes)]
    made = analysed(run(*steps), stacks, alive, {(one.filename, 7): one.function for one in called})
    held = culprit(called[1], bytes=9 << 20, share=0.9)
    died = Death((1,), 3, 2.5, 1 << 30, 1 << 29, (held,), None)
    return replace(made, death=died, run=replace(made.run, exit=Exit(None, "SIGKILL", "killed")))


@pytest.fixture(scope="module")
def wordy_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(wordy(), tmp_path_factory.mktemp("wordy"))


@pytest.mark.parametrize("width", [1920, 1280, 1000, 400])
@pytest.mark.parametrize("view", EVERYTHING)
def test_no_label_is_too_long_for_the_page(
    screen: Window, wordy_page: Path, width: int, view: str
) -> None:
    screen.emulate(width=width)
    page = screen.opened(wordy_page, "#phase=1" + view)
    assert page.run("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_has_six_sizes_of_type(screen: Window, scenes: Scenes, width: int) -> None:
    screen.emulate(width=width)
    found: set[str] = set()
    for view in EVERYTHING:
        page = screen.opened(scenes.page("killed"), "#phase=1" + view)
        page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        found |= set(
            page.run(
                """return [...document.querySelectorAll('body *')]
                .filter((e) => e.checkVisibility() && e.closest('svg') === null)
                .map((e) => getComputedStyle(e).fontSize)"""
            )
        )
    assert len(found) <= MAX_SIZES, sorted(found)


def declarations(pattern: str) -> list[str]:
    """What the style sheets say of properties that match; those of the scale itself left out."""
    text = "".join(path.read_text("utf-8") for path in sorted(CSS.glob("*.css")))
    text = re.sub(r"/\*.*?\*/|--[\w-]+:[^;]*;", "", text, flags=re.DOTALL)
    return re.findall(rf"(?<![\w-]){pattern}(?:-[a-z]+)?:\s*([^;}}]+)", text)


def test_the_style_sheets_know_no_size_beside_the_scale() -> None:
    sizes = {size for size in declarations("font-size") if not size.startswith("var(--text")}
    assert sizes == {"inherit", "12px"}  # 12 px is what 1 rem is on paper
    spaces = declarations("(?:margin|padding|gap|row-gap|column-gap)")
    assert len(spaces) > 100
    assert [space for space in spaces if re.search(r"(?<![\w.-])\d*\.?\d+rem", space)] == []


def printed(page: Window, **options: Any) -> bytes:
    made = page.driver.execute_cdp_cmd("Page.printToPDF", options)
    return base64.b64decode(made["data"])


def test_paper_has_no_empty_page(screen: Window, scenes: Scenes) -> None:
    page = screen.opened(scenes.page("few"))
    pages = printed(page).count(b"/Type /Page\n")
    assert 1 < pages <= 6
    page.emulate(width=718, height=1000)
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert box(page, "#timeline .timeline")["bottom"] < 800
    assert box(page, ".finding")["top"] < 900
    head = page.run("return getComputedStyle(document.querySelector('#phases thead')).display")
    assert head == "table-header-group"
    row = page.one("#phases tbody tr[data-row]")
    cells = row.find_elements("css selector", "th, td")
    assert len({round(cell.rect["y"]) for cell in cells if cell.is_displayed()}) == 1
    assert (
        page.run("return document.querySelectorAll('details:not([open], [data-menu])').length") == 0
    )
    page.run("dispatchEvent(new Event('afterprint'))")
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
