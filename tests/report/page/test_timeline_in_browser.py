"""Timeline and phases in a real browser: read, clicked, dragged, sorted, printed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import windows
from browser import needs_browser
from running import Scenes, read_json
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from windows import Window

from memdeep.text.units import size

pytestmark = needs_browser

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"


@pytest.fixture
def few(window: Window, scenes: Scenes) -> Iterator[Window]:
    """The page of a few phases, freshly loaded; it must not have complained by the end."""
    yield window.opened(scenes.page("few"))
    assert window.complaints() == []


def drag(page: Window, start: float, end: float) -> None:
    """Draw the pointer over the plot, from one share of its width to another."""
    plot = page.one(".reader")
    width = plot.size["width"]
    ActionChains(page.driver, duration=30).move_to_element_with_offset(
        plot, int((start - 0.5) * width), 0
    ).click_and_hold().move_by_offset(int((end - start) * width / 2), 0).move_by_offset(
        int((end - start) * width / 2), 0
    ).release().perform()


def share_of(page: Window, checkpoint: int) -> float:
    """Where a checkpoint lies in the plot."""
    end_s = float(page.one("#timeline").get_attribute("data-end-s") or 0)
    times = page.run("return memdeep.page.data.core.checkpoints.time")
    return float(times[checkpoint]) / end_s


def farthest_apart(times: Sequence[float]) -> int:
    """The checkpoint that no other is near, as one span's end is to the next one's begin."""
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return max(range(1, len(times) - 1), key=lambda place: min(gaps[place - 1], gaps[place]))


def test_the_page_begins_with_the_phase_of_the_first_finding(few: Window) -> None:
    assert few.name() == few.text(".finding a[data-phase]")
    assert few.link() == ""


def test_figures_in_the_table_are_those_of_the_report(few: Window, scenes: Scenes) -> None:
    found = read_json(scenes.page("few").with_name("report.json"))
    for number, phase in enumerate(found["phases"]):
        row = few.run(
            "return [...document.querySelectorAll('#phases tbody tr[data-row]')].map("
            "(row) => [row.dataset.row, ...[...row.children].map((c) => c.innerText)])"
        )
        cells = next(cells for cells in row if cells[0] == str(number))
        texts = few.run(
            "return [memdeep.format.signedBytes(arguments[0]), memdeep.format.signedBytes("
            "arguments[1]), memdeep.format.bytes(arguments[2])]",
            phase["rss_delta_bytes"],
            phase["heap_delta_bytes"],
            phase["peak_heap_bytes"],
        )
        assert set(texts) <= set(cells), (phase["name"], texts, cells)


def test_choosing_a_phase_shows_its_graph_and_the_address_keeps_it(few: Window) -> None:
    few.choose_phase("复制")
    assert few.phase() == "复制"
    assert few.text(".timeline-status").endswith("复制")
    assert few.row("复制").get_attribute("aria-selected") == "true"
    assert "phase=" in few.link()


def test_the_graph_is_drawn_and_zooms(few: Window) -> None:
    few.choose_phase("加载config")
    colours = """const c = document.querySelector('canvas');
    const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
    return new Set(new Uint32Array(d.buffer)).size"""
    few.wait(lambda: few.run(colours) > 5)
    few.one("canvas").send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ENTER)
    few.wait(lambda: few.one("[data-reset]").is_displayed())
    assert "frame=" in few.link()
    few.one("canvas").send_keys(Keys.ESCAPE)
    few.wait(lambda: "frame=" not in few.link())


def test_search_tells_how_much_matches(few: Window) -> None:
    few.choose_phase("加载config")
    few.one("[data-search]").send_keys("raw_decode")
    few.wait(lambda: "%" in few.text("[data-matched]"))
    few.click("[data-regex]")
    few.one("[data-search]").send_keys("(")
    few.wait(lambda: few.one("[data-search]").get_attribute("aria-invalid") == "true")


def test_the_pointer_reads_the_timeline(few: Window) -> None:
    plot = few.one(".reader")
    points = few.run("return memdeep.page.data.core.checkpoints")
    alone = farthest_apart(points["time"])
    offset = int((share_of(few, alone) - 0.5) * plot.size["width"])
    ActionChains(few.driver).move_to_element_with_offset(plot, offset, 0).perform()
    few.wait(lambda: few.one(".readout").is_displayed())
    read = few.text(".readout")
    heap = few.run("return memdeep.format.bytes(arguments[0])", points["heap"][alone])
    assert points["label"][alone] in read
    assert heap in read
    assert few.one(".crosshair").is_displayed()


def test_a_drag_compares_two_checkpoints_and_shows_their_difference(few: Window) -> None:
    start, end = share_of(few, 1), share_of(few, 4)
    drag(few, start, end)
    few.wait(lambda: few.state()["scope"]["kind"] == "between")
    first, last = few.state()["scope"]["from"], few.state()["scope"]["to"]
    assert share_of(few, first) == pytest.approx(start, abs=0.01)
    assert share_of(few, last) == pytest.approx(end, abs=0.01)
    heap = few.run("return memdeep.page.data.core.checkpoints.heap")
    grown = few.run("return memdeep.format.signedBytes(arguments[0])", heap[last] - heap[first])
    assert grown in few.text(".timeline-status")
    assert grown in few.text("button[data-metric=growth]")
    assert f"between={first}-{last}" in few.link()


def test_a_band_and_the_plot_choose_a_phase(few: Window) -> None:
    band = next(band for band in few.all(".band") if band.text.startswith("加载"))
    band.click()
    few.wait(lambda: few.name() == "加载config")
    assert "selected" in (band.get_attribute("class") or "")
    plot = few.one(".reader")
    middle = (share_of(few, 3) + share_of(few, 4)) / 2
    offset = int((middle - 0.5) * plot.size["width"])
    ActionChains(few.driver).move_to_element_with_offset(plot, offset, 0).click().perform()
    few.wait(lambda: few.name() == "复制")


def test_the_peak_is_one_click_away(few: Window, scenes: Scenes) -> None:
    few.one("#timeline [data-part=peak]").click()
    few.wait(lambda: few.state()["metric"] == "peak")
    peaks = few.run("return memdeep.page.data.core.phases.peak")
    chosen = few.state()["scope"]["phase"]
    assert peaks[chosen] == max(peak for peak in peaks if peak is not None)
    highest = few.run("return memdeep.format.bytes(arguments[0])", peaks[chosen])
    assert highest in few.text(".peak-label")
    found = read_json(scenes.page("few").with_name("report.json"))
    assert highest == size(max(phase["peak_heap_bytes"] for phase in found["phases"]))
    heap = few.run(
        "return [...document.querySelectorAll('.readout dt')]"
        ".find((one) => one.textContent === 'Heap').nextSibling.textContent"
    )
    assert heap == highest
    share = few.run(
        "return parseFloat(document.querySelector('.peak-dot').style.getPropertyValue('--x'))"
    )
    plot = few.one(".reader")
    offset = round((share / 100 - 0.5) * plot.size["width"])
    ActionChains(few.driver).move_to_element_with_offset(plot, offset, 0).perform()
    assert "the peak" in few.text(".readout-title")
    assert highest in few.text(".readout")


def test_two_phases_are_compared(few: Window) -> None:
    few.choose_phase("加载config")
    ActionChains(few.driver).key_down(Keys.SHIFT).click(few.row("复制")).key_up(
        Keys.SHIFT
    ).perform()
    few.wait(lambda: few.state()["versus"] is not None)
    assert few.name() == "加载config"
    assert "复制" in few.text("[data-heading]")
    assert few.one("[data-direction]").is_displayed()
    assert "vs=phase-" in few.link()


def test_the_language_is_the_browsers_at_first(tmp_path: Path, scenes: Scenes) -> None:
    with windows.opened(tmp_path, "accept-lang=zh-CN") as page:
        page.open(scenes.page("few"))
        assert page.run("return document.documentElement.lang") == "zh-CN"
        assert page.one("[data-set-language=zh]").get_attribute("aria-pressed") == "true"


def test_the_table_sorts_filters_and_folds(window: Window, scenes: Scenes) -> None:
    page = window.opened(scenes.page("thirty"))
    phases = page.run("return memdeep.page.data.core.phases")

    def names() -> list[str]:
        return [name.text for name in page.all("#phases tbody tr[data-row] .phase-name")]

    page.one("[data-sort=rss]").click()
    tops = [
        (rss, name)
        for rss, name, depth in zip(phases["rss"], phases["name"], phases["depth"], strict=True)
        if depth == 0 and rss is not None
    ]
    assert names()[0] == max(tops)[1]
    assert page.one("th.cell-rss").get_attribute("aria-sort") == "descending"
    page.click("[data-nested]")
    single = [
        (rss, name)
        for rss, name, members in zip(phases["rss"], phases["name"], phases["members"], strict=True)
        if not members and rss is not None
    ]
    assert names()[0] == max(single)[1]
    page.click("[data-nested]")
    page.one("[data-sort=rss]").click()
    page.one("[data-sort=rss]").click()
    assert names()[:2] == [phases["name"][0], "step *"]
    page.one("[data-filter]").send_keys("merge")
    page.wait(lambda: "merge" in names())
    steps = [f"step {number:02}" for number in range(4, 30, 5)]
    assert set(names()) == {"merge", "step *", *steps}
    page.one("#phases tr:not(.is-pattern) .twist").click()
    assert names()[:3] == ["step *", "step 04", "step 09"]
    page.one("#phases .is-pattern .twist").click()
    assert names() == ["step *"]
    assert page.complaints() == []


def test_a_thousand_phases_are_within_reach_and_few_exist(window: Window, scenes: Scenes) -> None:
    page = window.opened(scenes.page("thousand"))
    rows = "return document.querySelectorAll('#phases tbody tr[data-row]').length"
    page.one("#phases .is-pattern .twist").click()
    assert page.run(rows) < 60
    assert int(page.one("#phases table").get_attribute("aria-rowcount") or 0) >= 1001
    page.run("const box = document.getElementById('phases'); box.scrollTop = box.scrollHeight")
    last = "return document.querySelector('#phases tbody').innerText.includes('batch 0999')"
    page.wait(lambda: page.run(last))
    assert page.run(rows) < 60
    page.open(scenes.page("thousand"), "#phase=600")
    chosen = page.name()
    assert chosen is not None
    assert page.row(chosen).is_displayed()
    assert page.complaints() == []


# Through the whole table in three seconds, five rows a frame; `each` is called before every frame.
SCROLL = """
const done = arguments[0];
const FRAMES = 180;
const box = document.getElementById('phases');
box.scrollTop = 0;
const scroll = (each) => {
  let frame = 0;
  const step = () => {
    each();
    box.scrollTop = (frame / FRAMES) * (box.scrollHeight - box.clientHeight);
    if ((frame += 1) <= FRAMES) requestAnimationFrame(step);
    else done(looks);
  };
  requestAnimationFrame(() => requestAnimationFrame(step)); // once the table is at its beginning
};
const looks = [];
"""
# How many rows there are after each frame, and whether they fill the box.
LOOK = """
scroll(() => {
  const [head, body] = [box.querySelector('thead'), box.querySelector('tbody')];
  const rows = [...body.querySelectorAll('tr[data-row]')];
  const [top, bottom] = [head.getBoundingClientRect().bottom, box.getBoundingClientRect().bottom];
  const first = rows[0].getBoundingClientRect().top;
  const last = rows.at(-1).getBoundingClientRect().bottom;
  looks.push({ rows: rows.length, isFull: first <= top + 1 && last >= bottom - 2 });
});
"""
FRAMES = 180
FRAME_S = 1 / 60


def busy_s(page: Window) -> float:
    """The computing time of the page's main thread so far, without other threads."""
    known = page.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(float(one["value"]) for one in known if one["name"] == "TaskDuration")


def test_a_thousand_phases_scroll_smoothly(window: Window, scenes: Scenes) -> None:
    page = window.opened(scenes.page("thousand"))
    page.one("#phases .is-pattern .twist").click()
    page.run("document.getElementById('phases').scrollIntoView({ block: 'center' })")
    page.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    before = busy_s(page)
    page.driver.execute_async_script(SCROLL + "scroll(() => {});")
    spent = (busy_s(page) - before) / FRAMES
    page.driver.execute_cdp_cmd("Performance.disable", {})
    assert 0 < spent < FRAME_S
    looks = page.driver.execute_async_script(SCROLL + LOOK)
    assert "batch 0999" in page.text("#phases tbody")
    assert len(looks) == FRAMES + 1
    assert max(look["rows"] for look in looks) < 60
    assert all(look["isFull"] for look in looks)
    assert page.complaints() == []


def test_repeats_show_their_trend(window: Window, scenes: Scenes) -> None:
    page = window.opened(scenes.page("repeats"))
    page.click("[data-whole]")
    row = page.row("handle request")
    assert "× 1,000" in row.text
    assert "KB" in row.find_element("css selector", ".slope").text
    assert row.find_element("css selector", ".spark").is_displayed()
    assert len(page.all(".band")) < 400


def test_a_killed_run_shows_where_it_died(window: Window, scenes: Scenes) -> None:
    page = window.opened(scenes.page("killed"))
    assert page.text(".death-label") == "SIGKILL"
    assert page.text(".verdict") == "Killed"
    assert "unfinished" in page.row("simulate").text


@pytest.mark.parametrize("width", [400, 1280])
def test_a_word_that_a_phase_is_unfinished_costs_nothing_of_its_name(
    window: Window, scenes: Scenes, width: int
) -> None:
    window.emulate(width=width)
    page = window.opened(scenes.page("killed"))
    rows = [row for row in page.all("tr[data-row]") if "unfinished" in row.text]
    assert page.row("simulate") in rows
    for row in rows:
        for part in (".phase-name", ".unfinished", ".narrow-culprit"):
            shown = [one for one in row.find_elements("css selector", part) if one.is_displayed()]
            assert len(shown) == 1 or (part == ".narrow-culprit" and not shown), part
            if not shown:
                continue
            assert page.run(
                """const [part, row, isShort] = arguments;
                const [inner, outer] = [part.getBoundingClientRect(), row.getBoundingClientRect()];
                return (!isShort || part.scrollWidth <= part.clientWidth + 1)
                    && inner.top >= outer.top && inner.bottom <= outer.bottom;""",
                shown[0],
                row,
                row == page.row("simulate"),
            ), part


@pytest.mark.parametrize("width", [360, 400, 768, 1280])
@pytest.mark.parametrize("scene", ["few", "thirty", "killed"])
def test_the_page_never_scrolls_sideways(
    window: Window, scenes: Scenes, width: int, scene: str
) -> None:
    window.emulate(width=width)
    window.open(scenes.page(scene))
    root = "document.documentElement"
    assert window.run(f"return {root}.scrollWidth - {root}.clientWidth") <= 0
    window.emulate()


def test_a_phase_tells_the_parts_of_its_rss_and_whose_its_figures_are_too(
    window: Window, scenes: Scenes
) -> None:
    page = window.opened(scenes.page("threads"))
    page.click("[data-whole]")
    page.choose_phase("map")
    (parts,) = page.texts("[data-scope-notes] p")
    assert re.match(r"RSS Δ \+\d.* = .*file pages 2[45]\.\d MB", parts), parts
    row = page.one("#phases tr.selected .cell-beyond")
    assert row.text.endswith("file pages")
    assert row.get_attribute("title") == parts
    page.one("[data-set-language=zh]").click()
    assert "文件页 2" in page.text("[data-scope-notes] p")
    page.one("[data-set-language=en]").click()
    page.choose_phase("work 1")
    (note,) = page.texts("[data-scope-notes] p")
    assert note == page.one("#phases tr.selected .cell-rss").get_attribute("title")
    assert "other threads moved memory" in note
    assert page.text("#phases tr.selected .cell-rss").endswith("‡")
    own = page.text("#phases tr.selected .cell-heap").split()[0]
    assert own in page.text("[data-scope-facts]")  # of its thread alone
    page.choose_phase("task 2")
    assert "cannot be told apart" in page.texts("[data-scope-notes] p")[-1]
    assert "cannot be told" in page.one("#phases tr.selected .overlaps").get_attribute("title")
    assert window.complaints() == []


def test_all_views_can_be_limited_to_a_thread(window: Window, scenes: Scenes) -> None:
    page = window.opened(scenes.page("threads"))
    last = page.run("return memdeep.page.data.core.checkpoints.time.length - 1")
    page = window.opened(scenes.page("threads"), f"#between=0-{last}&metric=allocated")
    total = "[data-metric=allocated] [data-total]"
    whole = page.text(total)
    Select(page.one("[data-thread-choice]")).select_by_visible_text("worker-2")
    page.wait(lambda: page.text(total) != whole)
    limited = page.text(total)
    assert 19 <= float(limited.removesuffix(" MB")) <= 22
    assert "thread=" in page.link()
    page.one("[data-view=functions]").click()
    page.wait(lambda: len(page.all(".lines tbody tr[data-place]")) > 0)
    (most, *_) = page.all(".lines tbody tr[data-place]")
    assert "19." in most.text
    assert not any("tasks" in name for name in page.texts(".lines .line-name"))
    again = window.opened(scenes.page("threads"), page.link())
    assert again.text(total) == limited
    again.driver.back()
    few = window.opened(scenes.page("few"))
    assert not few.one("[data-thread-choice]").is_displayed()
    assert window.complaints() == []


def print_mode(page: Window, on: bool) -> None:
    page.run(f"dispatchEvent(new Event('{'beforeprint' if on else 'afterprint'}'))")
    media = {"media": "print" if on else ""}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def test_on_paper_the_page_is_light_and_its_details_are_open(few: Window) -> None:
    closed = "return [...document.querySelectorAll('details:not([open], [data-menu])')].length"
    before = few.run(closed)
    assert before > 0
    few.one("[data-set-theme=dark]").click()
    print_mode(few, True)
    assert few.run("return getComputedStyle(document.body).color") == "rgb(29, 27, 25)"
    assert not few.one("[data-set-theme=dark]").is_displayed()
    assert few.run(closed) == 0
    print_mode(few, False)
    assert few.run(closed) == before
    assert few.run("return getComputedStyle(document.body).color") != "rgb(29, 27, 25)"
    few.one("[data-set-theme=auto]").click()


def test_on_paper_the_table_is_whole(window: Window, scenes: Scenes) -> None:
    page = window.opened(scenes.page("thousand"))
    rows = "return document.querySelectorAll('#phases tbody tr[data-row]').length"
    page.one("#phases .is-pattern .twist").click()
    print_mode(page, True)
    assert page.run(rows) > 1000
    box = "const b = document.getElementById('phases'); return b.scrollHeight - b.clientHeight"
    assert page.run(box) <= 1
    print_mode(page, False)
    page.wait(lambda: page.run(rows) < 60)  # the window draws its rows again when it is told


LONGEST = """
for (const row of document.querySelectorAll('#phases tbody tr[data-row]')) {
  for (const column of ['rss', 'heap', 'beyond']) {
    row.querySelector(`.cell-${column} span`).textContent = '+999.9 KB';
  }
  for (const column of ['peak', 'allocated', 'freed', 'churn']) {
    row.querySelector(`.cell-${column} span`).textContent = '999.9 KB';
  }
  row.querySelector('.cell-duration').textContent = '12 h 07 min';
}
const box = document.getElementById('phases');
const cut = [...box.querySelectorAll('td.number')].filter((e) => e.scrollWidth > e.clientWidth);
return [box.scrollWidth - box.clientWidth, cut.map((e) => e.className)];
"""


def test_all_columns_with_the_longest_figures_fit_1280_pixels(
    window: Window, scenes: Scenes
) -> None:
    window.emulate(width=1280 - 2 * 15)  # as if the page and the table had scroll bars
    window.open(scenes.page("repeats"))
    window.click("[data-whole]")
    assert len(window.all("#phases thead th")) == 12
    assert window.run(LONGEST) == [0, []]
    window.emulate()
