"""The page of two runs in a real browser: what it shows, what follows a choice, whom it asks."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from browser import needs_browser
from comparisons import compared, job
from factories import HOSTILE, LONG, Report, hostile_report
from selenium.webdriver.common.keys import Keys
from windows import Window

from memdeep.model import Exit
from memdeep.model.comparison import Comparison
from memdeep.report.comparison import page

pytestmark = needs_browser

BEFORE = {
    "加载config": 30,
    "parse": 12,
    "prepare": 0,
    "index": 8,
    "check": 5,
    "train": 60,
    "save": 9,
}
AFTER = {"加载config": 12, "parse": 12, "prepare": 0, "index": 26, "check": 5, "train": 60}
INSIDE = ("index", "check")
AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CHECK = """
const done = arguments[arguments.length - 1];
axe.run('html', { runOnly: arguments[0], resultTypes: ['violations'] })
  .then((result) => done(result.violations), (error) => done(String(error)));
"""
# At each node both sides hold their own bytes and those of the children; the whole is the view's.
LAW = """
const { data } = memdeep.page;
const options = { native: 'fold', threads: false, imports: false, invert: arguments[1] };
const faults = [];
for (let row = -1; row < data.rows.pattern.length; row += 1) {
  for (const isPeak of [false, true]) {
    const view = data.viewOf(row, isPeak);
    if (view === null) continue;
    const sum = memdeep.compareSums.sumOf(data.core, view, arguments[0]);
    const tree = memdeep.flameTree.build(data.core, sum, options);
    const total = (bytes) => bytes.reduce((all, one) => all + one, 0);
    if (tree.before[0] !== total(view.before)) faults.push(['before', row]);
    if (tree.after[0] !== total(view.before) + total(view.more)) faults.push(['after', row]);
    const net = tree.own.slice();
    const { parent } = tree;
    for (let node = parent.length - 1; node > 0; node -= 1) net[parent[node]] += net[node];
    net.forEach((bytes, node) => {
      if (bytes !== tree.net[node]) faults.push(['net', row, node]);
    });
    tree.net.forEach((bytes, node) => {
      if (bytes !== tree.after[node] - tree.before[node]) faults.push(['sides', row, node]);
      if (tree.width[node] < Math.max(...{
        larger: [tree.before[node], tree.after[node]], before: [tree.before[node]],
        after: [tree.after[node]], difference: [Math.abs(bytes)],
      }[arguments[0]])) faults.push(['width', row, node]);
    });
  }
}
return faults;
"""
TOUR = """
const done = arguments[0];
const { store, data } = memdeep.page;
const frames = () => new Promise((next) => requestAnimationFrame(() => setTimeout(next, 0)));
(async () => {
  for (let phase = 0; phase < data.rows.pattern.length; phase += 1) {
    memdeep.page.explorer.chooseRow(phase);
    for (const width of ['larger', 'before', 'after', 'difference']) {
      store.set({ width });
      await frames();
    }
  }
  for (const link of document.querySelectorAll('main a, main button')) link.focus();
  document.querySelector('[data-set-language=zh]').click();
  await frames();
  document.querySelector('[data-set-language=en]').click();
  await frames();
  done('through');
})();
"""
LEFT_OVER = """
const tables = JSON.parse(document.getElementById('words').textContent);
const [chosen, other] = [tables[arguments[0]], tables[arguments[1]]];
const same = new Set(Object.values(chosen));
const wrong = new Set(Object.values(other).filter((text) => !same.has(text)));
const isText = (e) => e.checkVisibility() && e.closest('code') === null;
const shown = [...document.querySelectorAll('body *')].filter(isText);
const texts = shown.flatMap((element) => [
  ...[...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data),
  ...['aria-label', 'title', 'placeholder'].map((name) => element.getAttribute(name) ?? ''),
]);
return texts.map((text) => text.trim()).filter((text) => wrong.has(text));
"""


def written(comparison: Comparison, place: Path) -> Path:
    place.write_bytes(b"".join(page.encode(comparison)))
    return place


def before() -> Report:
    return job(BEFORE, INSIDE)


def after() -> Report:
    return job(AFTER, INSIDE, shift=4)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages by name."""
    made = tmp_path_factory.mktemp("pages")
    many = {f"phase {place:02}": 1 + place * 7 % 23 for place in range(30)}
    more = {name: size + (12 if name.endswith("7") else 0) for name, size in many.items()}
    last = after()
    killed = replace(last, run=replace(last.run, exit=Exit(None, "SIGKILL", "killed")))
    wordy = {"x" * 400: 10, "加" * 300: 20, LONG[:5000]: 5}
    comparisons = {
        "few": compared(before(), after()),
        "same": compared(before(), before()),
        "one": compared(job({"load": 10}), job({"load": 25}, shift=3)),
        "thirty": compared(job(many), job(more)),
        "killed": compared(before(), killed),
        "hostile": compared(hostile_report(), hostile_report([*HOSTILE[:3], "<img src=x>"])),
        "wordy": compared(job(wordy), job({name: size * 2 for name, size in wordy.items()})),
    }
    return {name: written(one, made / f"{name}.html") for name, one in comparisons.items()}


@pytest.fixture
def screen(window: Window) -> Iterator[Window]:
    """A window of 1280 × 900 pixels, in which nobody complains."""
    window.emulate()
    window.driver.get("about:blank")
    forgotten = {"origin": "file://", "storageTypes": "local_storage"}
    window.driver.execute_cdp_cmd("Storage.clearDataForOrigin", forgotten)
    yield window
    assert window.complaints() == []
    window.emulate()


@pytest.fixture
def few(screen: Window, pages: dict[str, Path]) -> Window:
    return screen.opened(pages["few"])


def names(screen: Window) -> list[str]:
    return screen.texts("#phases .phase-name")


def row(screen: Window, name: str) -> str:
    """The selector of the row of a phase."""
    script = """const { data } = memdeep.page;
    return data.rows.pattern.findIndex((_, row) => data.nameOf(row) === arguments[0])"""
    return f"#phases tr[data-row='{screen.run(script, name)}']"


def test_it_begins_with_what_the_headline_tells(few: Window) -> None:
    assert "加载config keeps 18.0 MB less than before" in few.text("h1")
    assert few.phase() == "加载config"
    assert few.texts(".charged-pair code") == ["rows.append(bytes(1 << 20))"]


def test_the_table_has_both_sides_and_folds_what_is_alike(few: Window) -> None:
    assert names(few) == ["加载config", "parse", "prepare", "index", "check", "train", "save"]
    text = few.text(row(few, "index"))
    assert "+18.0 MB +225 %" in text
    assert "8.0 MB → 26.0 MB" in text
    assert "gone" in few.text(row(few, "save"))
    assert "~" in few.text(row(few, "train"))


def test_thirty_phases_show_those_that_changed(screen: Window, pages: dict[str, Path]) -> None:
    screen.opened(pages["thirty"])
    assert names(screen) == [
        *("7 phases alike", "phase 07", "9 phases alike", "phase 17", "9 phases alike"),
        *("phase 27", "2 phases alike"),
    ]
    screen.click("#phases .twist")
    assert len(names(screen)) == 14


def test_columns_sort_by_their_change(few: Window) -> None:
    few.click("[data-nested]")
    few.press(Keys.ESCAPE)
    few.click("[data-sort=growth]")
    assert names(few)[0] in ("prepare", "index")
    few.click("[data-sort=growth]")
    assert names(few)[0] == "加载config"
    assert few.one("th.cell-growth").get_attribute("aria-sort") == "ascending"


def test_a_click_on_a_row_or_a_band_selects_the_phase(few: Window) -> None:
    few.click(row(few, "index") + " .phase-name")
    assert few.phase() == "index"
    assert len(few.all(".band.selected")) == 2
    few.click("#timeline-before .band[data-phase='0']")
    assert few.phase() == "加载config"
    few.click("#timeline-after [data-part=peak]")
    assert few.phase() == "The run, at its peak"
    assert few.link().startswith("#phase=peak")


def test_a_band_that_is_pointed_at_is_marked_on_the_other_side(few: Window) -> None:
    few.pointer(few.one("#timeline-before .band[data-phase='1']"), 5, 5).perform()
    assert few.texts(".band.linked") == ["parse", "parse"]
    assert len(few.all("#phases tr.linked")) == 1


def test_a_phase_that_is_gone_is_marked_where_it_was(few: Window) -> None:
    few.click(row(few, "save") + " .phase-name")
    assert few.texts(".band.selected") == ["save"]
    assert few.all("#timeline-after .band.selected") == []
    few.click("[data-width=after]")
    assert few.text("[data-empty]") == "Nothing is held here after."
    few.click("[data-width=before]")
    assert few.shown("[data-graph]")


@pytest.mark.parametrize("width", ["larger", "before", "after", "difference"])
@pytest.mark.parametrize("inverted", [False, True])
def test_every_node_holds_what_its_children_and_itself_hold(
    few: Window, width: str, inverted: bool
) -> None:
    assert few.run(LAW, width, inverted) == []


def test_the_colour_of_a_frame_is_that_of_its_change(few: Window) -> None:
    few.choose("[data-phase-choice]", "-1")
    kinds = few.run(
        """const { explorer, data } = memdeep.page;
        const view = data.viewOf(-1);
        const sum = memdeep.compareSums.sumOf(data.core, view, 'larger');
        const tree = memdeep.flameLayout.build(data.core, sum, { native: 'fold' });
        const { KINDS } = memdeep.flameCanvas;
        const kinds = memdeep.compareSums.kindsOf(tree, data.core.noise, KINDS);
        return Object.fromEntries([...kinds].slice(1).map((kind, node) => [
          data.frames.functionName(tree.frame[node + 1]), KINDS[kind]]))"""
    )
    assert kinds["do_加载config"] == "shrank-2"
    assert kinds["do_index"] == "grew-2"
    assert kinds["do_train"] == "even"
    assert kinds["main"] == "shrank-1"  # 18 MB less, 18 MB more, and 9 MB that are gone, of 124


def test_the_keyboard_walks_the_graph_and_hears_both_figures(few: Window) -> None:
    few.run("document.querySelector('[data-canvas]').focus()")
    few.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert "30.0 MB → 12.0 MB · −18.0 MB" in few.text("[data-status]")
    few.press("/")
    few.press("do_加载")
    few.wait(lambda: "1 frame" in few.text("[data-matched]"))
    few.press(Keys.ENTER)
    assert "match 1 of 1" in few.text("[data-status]")


def test_the_tooltip_has_both_figures_and_where_the_line_was(few: Window) -> None:
    canvas = few.one("[data-canvas]")
    few.pointer(canvas, 60, 21 * 2 + 10).perform()
    text = few.wait(lambda: few.one("#tooltip").is_displayed() and few.text("#tooltip"))
    assert "30.0 MB → 12.0 MB" in text
    assert "−18.0 MB" in text
    assert "before: /app/prog.py:10" in text


def test_the_table_is_one_stop_of_the_keyboard(few: Window) -> None:
    few.run("document.querySelector('#phases table').focus()")
    few.press(Keys.HOME, Keys.ARROW_DOWN, Keys.ENTER)
    assert few.phase() == "parse"


def test_lines_of_the_phase_stand_beneath_the_graph(few: Window) -> None:
    text = few.text("[data-lines]")
    assert "prog.py:7 grow (before: /app/prog.py:3)" in text
    assert "−18.0 MB −60 %" in text
    few.click(".line-place button")
    assert few.state()["query"] == "prog.py:7"


def test_an_edited_line_has_both_texts(screen: Window, tmp_path: Path) -> None:
    old, new = job({"load": 30}), job({"load": 60})
    text = "rows.append(bytearray(2 << 20))"
    new = replace(new, sources={**new.sources, ("/app/prog.py", 3): text})
    screen.opened(written(compared(old, new), tmp_path / "edited.html"))
    assert screen.texts("[data-lines] code") == ["rows.append(bytes(1 << 20))", text]
    assert screen.texts(".charged-pair code") == ["rows.append(bytes(1 << 20))", text]
    assert "edited" in screen.text("[data-lines]")


def test_a_link_restores_what_was_looked_at(few: Window, pages: dict[str, Path]) -> None:
    few.click(row(few, "index") + " .phase-name")
    few.click("[data-width=difference]")
    few.one("[data-search]").send_keys("grow")
    few.wait(lambda: "find=grow" in few.link())
    state, link = few.state(), few.link()
    few.opened(pages["few"], link)
    assert few.state() == state
    assert few.phase() == "index"
    few.driver.back()


@pytest.mark.parametrize("link", ["#phase=99", "#phase=x&width=1&frame=9.9.9.9", "#phase=-1", "#x"])
def test_a_damaged_link_does_no_harm(screen: Window, pages: dict[str, Path], link: str) -> None:
    screen.opened(pages["few"], link)
    assert screen.phase()


def test_languages_and_themes_switch(few: Window) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"
    light = few.run(background)
    few.click("[data-set-language=zh]")
    assert few.run(LEFT_OVER, "zh", "en") == []
    assert "比之前" in few.text("h1")
    few.click("[data-set-theme=dark]")
    assert few.run(background) != light
    few.reload()
    assert few.run("return document.documentElement.lang") == "zh-CN"
    few.click("[data-set-language=en]")
    assert few.run(LEFT_OVER, "en", "zh") == []


@pytest.mark.parametrize("name", ["few", "same", "one", "thirty", "killed", "hostile", "wordy"])
def test_no_page_asks_anybody_or_is_wider_than_its_window(
    screen: Window, pages: dict[str, Path], name: str
) -> None:
    for width in (1280, 400):
        screen.emulate(width=width)
        screen.opened(pages[name])
        assert screen.run("return document.documentElement.scrollWidth") <= width
    screen.emulate()
    assert screen.driver.execute_async_script(TOUR) == "through"
    assert screen.run("return performance.getEntriesByType('resource').length") == 0
    assert screen.run("return globalThis.isOwned ?? document.title.includes('owned')") is False


@pytest.mark.parametrize(("theme", "language"), [("light", "en"), ("dark", "zh")])
def test_axe_finds_nothing_serious(few: Window, theme: str, language: str) -> None:
    few.click(f"[data-set-theme={theme}]")
    few.click(f"[data-set-language={language}]")
    few.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    few.run(AXE)
    found: Any = few.driver.execute_async_script(CHECK, RULES)
    serious = [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
    assert serious == []


def test_it_works_in_a_sandboxed_frame(
    screen: Window, pages: dict[str, Path], tmp_path: Path
) -> None:
    outer = tmp_path / "outer.html"
    outer.write_text('<iframe id="inner" sandbox="allow-scripts" width="1200" height="800">')
    screen.driver.get(outer.as_uri())
    screen.run(
        "document.getElementById('inner').srcdoc = arguments[0]", pages["few"].read_text("utf-8")
    )
    screen.driver.switch_to.frame("inner")
    try:
        screen.wait(lambda: screen.ready() == "yes")
        screen.click(row(screen, "index") + " .phase-name")
        assert screen.phase() == "index"
        screen.click("[data-set-theme=dark]")
    finally:
        screen.driver.switch_to.default_content()
    screen.complaints()


def test_without_scripts_figures_timelines_and_phases_are_there(
    tmp_path: Path, pages: dict[str, Path]
) -> None:
    import browser

    driver = browser.start(tmp_path / "profile", script=False)
    try:
        driver.get(pages["few"].as_uri())
        text = driver.find_element("css selector", "body").text
        assert "+18.0 MB +225 %" in text
        assert "need JavaScript" in text
        assert len(driver.find_elements("css selector", ".timeline svg")) == 2
    finally:
        driver.quit()


def test_paper_has_the_table_the_graph_and_the_lines(few: Window) -> None:
    made = few.driver.execute_cdp_cmd("Page.printToPDF", {})
    pages_of_paper = base64.b64decode(made["data"]).count(b"/Type /Page\n")
    assert 1 < pages_of_paper <= 5
