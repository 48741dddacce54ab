"""The page as a whole in a real browser: it starts, asks and obeys nobody, links and switches."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import PROGRAM, Reader, needs_browser, start, written
from factories import MARKUP, analysed, frame, hostile_report, lifetime, run, tree
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from memdeep.model import Report

pytestmark = needs_browser

HOSTILE_LABEL = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"
BIDI = "\u202e\u2066gnp.exe\u2069\u202c"
ATTRIBUTE = "\"' onmouseover=alert(1) style=display:none x='"
DAMAGED = (
    "#phase=99",
    "#phase=-1",
    "#phase=1e9&metric=none&view=nowhere&native=x",
    "#between=5-2",
    "#between=0-999&vs=phase-77",
    "#phase=1&frame=1.2.999999",
    "#phase=1&frame=x.y&file=99999&view=source",
    "#phase=1&find=%5B&regex=1",
    "#%E0%A4%A&&&===&phase",
)


def test_the_verdict_names_phase_bytes_line_and_source(at_run: Reader) -> None:
    headline = at_run.text("h1")
    assert "in 加载config, still " in headline
    lines = PROGRAM.read_text("utf-8").splitlines()
    assert f"page_target.py:{lines.index('    return json.loads(text)') + 1} " in headline
    assert "return json.loads(text)" in at_run.text(".finding")
    assert at_run.phase() == "加载config"


def test_a_finding_leads_to_its_phase_and_metric(at_run: Reader) -> None:
    links = at_run.all(".finding a[data-phase]")
    wished = [link for link in links if link.get_attribute("data-wish") == "peak"][0]
    at_run.run("arguments[0].closest('details').open = true", wished)
    name = wished.text
    wished.click()
    at_run.wait(lambda: at_run.phase() == name)
    assert at_run.state()["metric"] == "peak"
    assert at_run.text("[data-metrics] [aria-pressed=true]").startswith("At peak")


def test_nothing_is_requested_and_nothing_is_refused(at_run: Reader, recorded: Path) -> None:
    for view in ("lines", "functions", "modules", "source", "flame"):
        at_run.click(f"[data-view={view}]")
        at_run.wait(lambda view=view: at_run.state()["view"] == view)
    assert at_run.run("return performance.getEntriesByType('resource').length") == 0
    assert at_run.run("return violations") == []


def test_the_policy_of_the_page_forbids_requests(reader: Reader, recorded: Path) -> None:
    reader.open(recorded)
    reader.run("fetch('https://example.org/').catch(() => {}); new Image().src = 'http://x.test/'")
    refused = reader.wait(lambda: len(found := reader.run("return violations")) >= 2 and found)
    assert {one.split()[0] for one in refused} == {"connect-src", "img-src"}
    reader.driver.get_log("browser")


def test_behind_a_proxy_that_refuses_the_page_misses_nothing(
    recorded: Path, tmp_path: Path
) -> None:
    driver = start(
        tmp_path / "profile", "proxy-server=127.0.0.1:9", "proxy-bypass-list=<-loopback>"
    )
    try:
        reader = Reader(driver)
        reader.open(recorded)
        assert reader.complaints() == []
    finally:
        driver.quit()


def test_a_link_restores_what_was_looked_at(at_run: Reader, recorded: Path) -> None:
    at_run.click("tr[data-row='4'] a")
    at_run.click("[data-metric=freed]")
    at_run.click("[data-flag=invert]")
    at_run.choose("[data-native-mode]", "show")
    at_run.one("[data-search]").send_keys("page_target")
    at_run.wait(lambda: "find=page_target" in at_run.link())
    before, link = at_run.state(), at_run.link()
    at_run.open(recorded, link)
    assert at_run.state() == before
    assert at_run.phase() == "删除"
    assert at_run.text("[data-metrics] [aria-pressed=true]") == "Freed\n1.9 MB"
    assert at_run.one("[data-flag=invert]").is_selected()


@pytest.mark.parametrize("view", ["lines", "flame"])
def test_a_link_restores_the_row_that_was_selected(
    at_run: Reader, recorded: Path, view: str
) -> None:
    at_run.click(f"[data-view={view}]")
    whole = at_run.text("[data-panel]")
    if view == "lines":
        at_run.one(".lines-box").send_keys(Keys.HOME, Keys.ARROW_DOWN)
    else:
        at_run.one("canvas").send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    at_run.wait(lambda: "row=" in at_run.link())
    selected, told = at_run.state()["selected"], at_run.text("[data-panel]")
    assert told != whole
    at_run.open(recorded, at_run.link())
    assert at_run.state()["selected"] == selected
    assert at_run.text("[data-panel]") == told
    if view == "lines":
        assert at_run.shown("[data-table] [aria-selected=true]")


def test_the_back_button_takes_steps_back(at_run: Reader) -> None:
    at_run.click("tr[data-row='2'] a")
    at_run.click("[data-view=lines]")
    at_run.wait(lambda: at_run.state()["view"] == "lines")
    at_run.driver.back()
    at_run.wait(lambda: at_run.state()["view"] == "flame")
    assert at_run.phase() == "复制"
    at_run.driver.forward()
    at_run.wait(lambda: at_run.shown("[data-table]"))


def test_going_back_to_where_the_page_began(at_run: Reader) -> None:
    at_run.click("tr[data-row='2'] a")
    at_run.wait(lambda: at_run.phase() == "复制")
    at_run.driver.back()
    at_run.wait(lambda: at_run.phase() == "加载config")


@pytest.mark.parametrize("link", DAMAGED)
def test_a_damaged_link_does_no_harm(at_run: Reader, recorded: Path, link: str) -> None:
    at_run.open(recorded, link)
    assert at_run.phase()
    assert at_run.shown("[data-explorer-body]")


# What can be read of one language's words where the other one is chosen.
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


def test_the_language_switches_without_a_reload_and_is_remembered(at_run: Reader) -> None:
    at_run.run("window.kept = true")
    at_run.click("[data-set-language=zh]")
    at_run.wait(lambda: at_run.text("[data-view=flame]") == "火焰图")
    assert at_run.run("return document.documentElement.lang") == "zh-CN"
    assert "在“加载config”中分配" in at_run.text("h1")
    for view in ("tree", "lines", "functions", "modules", "source", "flame"):
        at_run.click(f"[data-view={view}]")
        at_run.wait(lambda view=view: at_run.state()["view"] == view)
        assert at_run.run(LEFT_OVER, "zh", "en") == []
    assert at_run.run("return window.kept")
    at_run.reload()
    assert at_run.text("[data-view=flame]") == "火焰图"
    at_run.click("[data-set-language=en]")
    at_run.wait(lambda: at_run.text("[data-view=flame]") == "Flame graph")
    assert at_run.run(LEFT_OVER, "en", "zh") == []


def test_the_theme_switches_and_is_remembered(at_run: Reader) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"
    at_run.click("[data-set-theme=light]")
    light = at_run.run(background)
    at_run.click("[data-set-theme=dark]")
    dark = at_run.run(background)
    assert dark != light
    at_run.reload()
    assert at_run.run(background) == dark
    at_run.click("[data-set-theme=auto]")
    assert at_run.run(background) == light


def test_the_system_s_theme_is_followed(at_run: Reader) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"
    light = at_run.run(background)
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    at_run.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [dark]})
    assert at_run.run(background) != light


@pytest.mark.parametrize("width", [360, 400, 768, 1280])
def test_the_page_never_scrolls_sideways(at_run: Reader, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    at_run.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    for view in ("flame", "lines", "source"):
        at_run.click(f"[data-view={view}]")
        at_run.wait(lambda view=view: at_run.state()["view"] == view)
        assert at_run.run(overflow) <= 0, view


def test_hostile_labels_of_a_real_run_stay_text(at_run: Reader) -> None:
    assert at_run.driver.title == "page_target · memdeep"
    at_run.click("tr[data-row='3'] a")
    at_run.wait(lambda: at_run.phase() == HOSTILE_LABEL)
    assert at_run.all("img") == []


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(hostile_report(), tmp_path_factory.mktemp("hostile"))


def nasty_report() -> Report:
    """Labels, functions, paths and lines that try markup, attributes and reversed text."""
    names = (MARKUP, BIDI, ATTRIBUTE, "javascript:alert(1)", "{{ 7 * 7 }}${8 * 8}", "__proto__")
    steps = [step for name in names for step in (f"+{name}", f"-{name}")]
    called = [frame(name, filename=f"/app/{name}.py", lineno=7) for name in names]
    stacks, nodes = tree(*([frame("main"), one] for one in called))
    lifetimes = [lifetime(node, 2 * place + 2) for place, node in enumerate(nodes)]
    sources = {(one.filename, one.lineno): one.function for one in called}
    return analysed(run(*steps), stacks, lifetimes, sources)


@pytest.fixture(scope="module")
def nasty_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(nasty_report(), tmp_path_factory.mktemp("nasty"))


@pytest.mark.parametrize("name", ["hostile_page", "nasty_page"])
def test_what_means_harm_executes_nothing(
    reader: Reader, name: str, request: pytest.FixtureRequest
) -> None:
    reader.open(request.getfixturevalue(name))
    title = reader.driver.title
    markup = "img, iframe, object, embed, [onerror], [onmouseover]"
    for phase in range(len(reader.run("return memdeep.page.data.core.phases.name"))):
        for view in ("flame", "lines", "functions", "modules", "source"):
            address = f"#phase={phase}&metric=retained&view={view}"
            reader.run("location.hash = arguments[0]", address)
            reader.wait(lambda view=view: reader.text("[data-views] [aria-pressed=true]") != "")
            reader.wait(lambda phase=phase: reader.state()["scope"].get("phase") == phase)
            assert reader.all(markup) == []
    assert reader.driver.title == title
    hrefs = reader.run(
        "return [...document.querySelectorAll('[href]')].map((e) => e.getAttribute('href'))"
    )
    assert not [one for one in hrefs if one.strip().lower().startswith("javascript:")]
    assert reader.complaints() == []


def test_reversed_text_does_not_reach_beyond_its_name(reader: Reader, nasty_page: Path) -> None:
    reader.open(nasty_page, "#phase=1")
    assert reader.run("return document.querySelector('[data-title]').tagName") == "BDI"
    for cell in reader.all("#phases tbody th a"):
        assert cell.find_elements(By.TAG_NAME, "bdi")


def test_without_scripts_the_essentials_are_readable(recorded: Path, tmp_path: Path) -> None:
    driver = start(tmp_path / "profile", script=False)
    try:
        driver.get(recorded.as_uri())
        text = driver.find_element(By.TAG_NAME, "body").text
        assert "in 加载config, still " in text
        assert "return json.loads(text)" in text
        assert "What became of it" in text
        assert "JavaScript" in text
        assert driver.find_element(By.CSS_SELECTOR, "#timeline svg").is_displayed()
        names = [row.text for row in driver.find_elements(By.CSS_SELECTOR, "#phases tbody th")]
        assert names[1:3] == ["加载config", "复制"]
        tools = driver.find_elements(By.CSS_SELECTOR, "#explorer, button, input, select")
        assert not [tool for tool in tools if tool.is_displayed()]
    finally:
        driver.quit()


def test_a_browser_that_cannot_unpack_is_told_so(reader: Reader, recorded: Path) -> None:
    added = reader.driver.execute_cdp_cmd(
        "Page.addScriptToEvaluateOnNewDocument", {"source": "delete window.DecompressionStream"}
    )
    try:
        reader.driver.get(recorded.as_uri())
        reader.wait(lambda: reader.ready() == "failed")
        assert "DecompressionStream is missing" in reader.shown("[data-failed]").text
        assert not reader.one("[data-explorer-body]").is_displayed()
        assert reader.text("#phases tbody tr:nth-child(2) th .phase-name") == "加载config"
        assert reader.complaints() == []
    finally:
        reader.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def test_a_damaged_block_is_told(reader: Reader, recorded: Path, tmp_path: Path) -> None:
    page = recorded.read_text("utf-8").replace('data-block="core">H4sI', 'data-block="core">H4sX')
    (tmp_path / "damaged.html").write_text(page, "utf-8")
    reader.driver.get((tmp_path / "damaged.html").as_uri())
    reader.wait(lambda: reader.ready() == "failed")
    assert "could not be read" in reader.shown("[data-failed]").text
    reader.driver.get_log("browser")


def test_a_run_without_anything_in_it(reader: Reader, tmp_path: Path) -> None:
    stacks, _ = tree([frame()])
    empty = written(analysed(run(), stacks, []), tmp_path)
    reader.driver.get(empty.as_uri())
    assert reader.shown("h1").text
    assert reader.run("return document.querySelector('[data-failed]')?.hidden ?? true")
    assert reader.complaints() == []
