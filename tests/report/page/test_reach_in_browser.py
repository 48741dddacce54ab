"""The reach of the page in a real browser: what is one click away, and what a link carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from browser import PROGRAM, Reader, needs_browser
from running import read_json
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from memdeep.text.units import size

pytestmark = needs_browser

LINES = PROGRAM.read_text("utf-8").splitlines()


def place_of(line: str) -> str:
    return f"page_target.py:{LINES.index(line) + 1}"


def panel(reader: Reader) -> dict[str, str]:
    """The figures of the panel beside the graph, by name."""
    names, values = reader.texts("[data-panel] dt"), reader.texts("[data-panel] dd")
    return dict(zip(names, values, strict=True))


def whole(reader: Reader) -> dict[str, Any]:
    last = reader.run("return memdeep.page.data.core.checkpoints.time.length - 1")
    return {"kind": "between", "from": 0, "to": last}


def test_the_whole_run_is_one_click_away(at_run: Reader, recorded: Path) -> None:
    peak = size(read_json(recorded.with_name("report.json"))["peak_heap_bytes"])
    at_run.click("[data-shortcut=whole_run]")
    assert at_run.state()["scope"] == whole(at_run)
    assert at_run.state()["metric"] == "peak"
    assert at_run.phase() == "Whole run"
    assert panel(at_run)["Bytes"] == peak
    pressed = at_run.one("[data-shortcut=whole_run]").get_attribute("aria-pressed")
    assert pressed == "true"


def test_what_was_never_freed_is_one_click_away(at_run: Reader, recorded: Path) -> None:
    alive = at_run.run("return memdeep.page.data.core.checkpoints.heap.at(-1)")
    at_run.click("[data-shortcut=never_freed]")
    assert at_run.state()["scope"] == whole(at_run)
    assert at_run.state()["metric"] == "retained"
    assert panel(at_run)["Bytes"] == size(alive)
    link = at_run.link()
    at_run.open(recorded, link)
    pressed = at_run.one("[data-shortcut=never_freed]").get_attribute("aria-pressed")
    assert pressed == "true"


def test_the_largest_allocation_says_where_and_leads_there(at_run: Reader) -> None:
    at_run.click("[data-shortcut=whole_run]")
    at_run.click("[data-metric=allocated]")
    line = place_of("    text = f\"[{','.join([item] * 12_000)}]\"")
    where = panel(at_run)["Largest"]
    assert line in where and "加载config" in where
    at_run.click("[data-panel] .figure-link")
    at_run.wait(lambda: at_run.text("[data-panel] h3") == line)
    assert at_run.phase() == "加载config"
    assert at_run.state()["view"] == "lines"


def test_a_page_within_a_page_follows_clicks(
    reader: Reader, recorded: Path, tmp_path: Path
) -> None:
    around = tmp_path / "around.html"
    around.write_text(
        "<!doctype html><title>around</title>"
        '<iframe id="inner" sandbox="allow-scripts" width="1200" height="900"></iframe>'
    )
    reader.driver.get(around.as_uri())
    reader.run(
        "document.getElementById('inner').srcdoc = arguments[0]", recorded.read_text("utf-8")
    )
    reader.driver.switch_to.frame(reader.one("#inner"))
    try:
        reader.wait(lambda: reader.ready() == "yes")
        reader.run("window.faults = []; addEventListener('error', (e) => faults.push(e.message))")
        reader.click("tr[data-row='2'] a")
        reader.wait(lambda: reader.phase() == "复制")
        reader.click("[data-set-theme=dark]")
        reader.click("[data-view=lines]")
        reader.wait(lambda: reader.all("[data-table] tbody tr:not(.spacer)"))
        reader.run("document.querySelector('a.skip').click()")
        assert reader.run("return document.activeElement.id") == "main"
        assert reader.run("return faults") == []
        assert reader.ready() == "yes"
    finally:
        reader.driver.switch_to.default_content()


def test_language_and_theme_are_in_the_link(at_run: Reader, recorded: Path) -> None:
    at_run.click("[data-set-language=zh]")
    at_run.click("[data-set-theme=dark]")
    at_run.wait(lambda: "lang=zh" in at_run.link() and "theme=dark" in at_run.link())
    link = at_run.link()
    at_run.run("localStorage.clear()")
    at_run.open(recorded, link)
    root = at_run.driver.find_element(By.TAG_NAME, "html")
    assert root.get_attribute("data-language") == "zh"
    assert root.get_attribute("data-theme") == "dark"
    at_run.click("tr[data-row='2'] a")
    at_run.wait(lambda: "phase=2" in at_run.link())
    assert "lang=zh" in at_run.link() and "theme=dark" in at_run.link()


def names(reader: Reader, side: str) -> list[str]:
    return reader.texts(f".sandwich-table[data-side={side}] .line-name")


def test_a_row_opens_its_callers_and_callees(at_run: Reader, recorded: Path) -> None:
    at_run.click("tr[data-row='1'] a")
    at_run.click("[data-view=functions]")
    at_run.wait(lambda: at_run.texts("[data-table] tbody .line-name")[:1] == ["load"])
    at_run.click("[data-table] tbody tr:not(.spacer)")
    at_run.wait(lambda: at_run.text(".sandwich-middle").startswith("load"))
    assert names(at_run, "callers") == ["<module>"]
    assert names(at_run, "callees")[0] == "loads"
    kept = panel(at_run)["Bytes"]
    assert at_run.text(".sandwich-card p").startswith(f"{kept} through it")
    at_run.click(".sandwich-table[data-side=callees] button")
    at_run.wait(lambda: at_run.text(".sandwich-middle").startswith("loads"))
    assert names(at_run, "callers") == ["load"]
    link = at_run.link()
    assert "around=functions." in link
    at_run.driver.back()
    at_run.wait(lambda: at_run.text(".sandwich-middle").startswith("load\n"))
    at_run.press(Keys.ESCAPE)
    at_run.wait(lambda: at_run.state()["around"] is None)
    assert not at_run.all(".sandwich")[0].is_displayed()
    assert at_run.run("return document.activeElement.className") == "lines-box"
    at_run.press(Keys.SPACE)
    at_run.wait(lambda: at_run.text(".sandwich-middle").startswith("load"))
    at_run.open(recorded, link)
    assert at_run.text(".sandwich-middle").startswith("loads")


def test_a_row_draws_what_it_held_over_the_run(at_run: Reader) -> None:
    at_run.click("[data-shortcut=whole_run]")
    at_run.click("[data-view=lines]")
    at_run.wait(lambda: at_run.all("[data-table] tbody svg"))
    labels = at_run.run(
        "return [...document.querySelectorAll('[data-table] tbody tr:not(.spacer)')].map((row) => "
        "[row.querySelector('.line-name').innerText, row.querySelector('svg')?.ariaLabel])"
    )
    blocks = place_of("    blocks = [bytearray(100_000) for _ in range(20)]")
    assert dict(labels)[blocks].startswith("At most 1.9 MB, ")


def test_native_code_has_no_link_into_the_machine_that_built_it(at_run: Reader) -> None:
    at_run.click("tr[data-row='1'] a")
    at_run.wait(lambda: at_run.all("[data-panel] .panel-stack li"))
    at_run.click(".panel-folding")
    native = at_run.all("[data-panel] .panel-stack li.origin-native")
    assert native
    assert not at_run.all("[data-panel] .panel-stack li.origin-native a")
    titles = [li.find_element(By.CLASS_NAME, "stack-place").get_attribute("title") for li in native]
    assert not any("/" in (title or "") for title in titles)
    assert at_run.all("[data-panel] .panel-stack li.origin-user a")


def test_native_frames_are_folded_in_the_stack_as_in_the_graph(at_run: Reader) -> None:
    at_run.click("tr[data-row='1'] a")
    frames = "[data-panel] .panel-stack li"
    folded = at_run.wait(lambda: len(at_run.all(frames)))
    origins = [li.get_attribute("class") or "" for li in at_run.all(frames)]
    native = ["origin-native" in origin for origin in origins]
    assert not any(a and b for a, b in zip(native, native[1:], strict=False)), "a run is one"
    at_run.click(".panel-folding")
    unfolded = len(at_run.all(frames))
    assert unfolded > folded
    at_run.choose("[data-native-mode]", "show")
    at_run.wait(lambda: len(at_run.all(frames)) > folded)


def tree_names(reader: Reader) -> list[str]:
    return reader.texts(".tree-name")


def test_the_call_tree_opens_by_keys(at_run: Reader, recorded: Path) -> None:
    at_run.click("tr[data-row='1'] a")
    at_run.click("[data-view=tree]")
    at_run.wait(lambda: "load" in tree_names(at_run))
    rows = at_run.all(".tree tbody tr")
    assert panel(at_run)["Bytes"] in rows[0].text
    at_run.run("document.querySelector('.tree tbody tr').focus()")
    count = len(rows)
    at_run.press(Keys.ARROW_LEFT)
    at_run.wait(lambda: len(at_run.all(".tree tbody tr")) == 1)
    at_run.press(Keys.ARROW_RIGHT)
    at_run.wait(lambda: len(at_run.all(".tree tbody tr")) == count)
    at_run.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ENTER)
    at_run.wait(lambda: at_run.state()["selected"] is not None)
    assert at_run.text("[data-panel] h3") == tree_names(at_run)[2] == "load"
    level = at_run.run("return document.activeElement.getAttribute('aria-level')")
    assert level == "3"
    assert "view=tree" in at_run.link()
    at_run.open(recorded, at_run.link())
    assert at_run.one(".tree").is_displayed()
    at_run.one("[data-search]").send_keys("raw_decode")
    at_run.wait(lambda: at_run.texts(".is-match .tree-name") in (["raw_decode"], []))


def view_box(reader: Reader) -> list[float]:
    shown = reader.one("#timeline svg").get_dom_attribute("viewBox")
    return [float(one) for one in shown.split()]


def wheel(reader: Reader, share: float, delta: int, ctrl: bool) -> bool:
    """Turn the wheel over the timeline; tell if the page kept it from scrolling."""
    script = """
    const plot = document.querySelector('.reader');
    const { left, top, width } = plot.getBoundingClientRect();
    const event = new WheelEvent('wheel', {
      clientX: left + arguments[0] * width, clientY: top + 5, deltaY: arguments[1],
      ctrlKey: arguments[2], bubbles: true, cancelable: true,
    });
    return !plot.dispatchEvent(event);
    """
    return bool(reader.run(script, share, delta, ctrl))


def test_the_wheel_zooms_the_timeline_and_a_double_click_shows_all(at_run: Reader) -> None:
    assert not wheel(at_run, 0.5, -400, False), "the page scrolls"
    assert view_box(at_run) == [0, 0, 100, 100]
    assert wheel(at_run, 0.5, -600, True)
    at_run.wait(lambda: view_box(at_run)[2] < 50)
    x0, _, span, _ = view_box(at_run)
    assert abs(x0 + span / 2 - 50) < 0.2
    end = at_run.run("return Number(document.getElementById('timeline').dataset.endS)")
    plot = at_run.one(".reader")
    read = "return document.querySelector('.readout-title').textContent"
    at_run.pointer(plot, plot.rect["width"] * 0.9, 10).perform()
    shown = at_run.wait(lambda: at_run.one(".readout").is_displayed() and at_run.run(read))
    time = (x0 + 0.9 * span) / 100 * end
    pixel = span / 100 * end / plot.rect["width"]
    expected = [
        at_run.run("return memdeep.format.seconds(arguments[0])", time + place * pixel)
        for place in (-1, 0, 1)
    ]
    assert shown.split(" · ")[0] in expected or "at “" in shown or "peak" in shown
    ActionChains(at_run.driver).double_click(plot).perform()
    at_run.wait(lambda: view_box(at_run) == [0, 0, 100, 100])
    at_run.settle()
    at_run.run("document.querySelector('.reader').focus()")
    at_run.press("+")
    at_run.wait(lambda: abs(view_box(at_run)[2] - 50) < 0.01)
    at_run.press("0")
    at_run.wait(lambda: view_box(at_run)[2] > 99.99)


def test_two_fingers_zoom_the_timeline(at_run: Reader) -> None:
    scope = at_run.state()["scope"]
    script = """
    const plot = document.querySelector('.reader');
    const { left, top, width } = plot.getBoundingClientRect();
    plot.setPointerCapture = () => {};
    for (const [type, id, x] of arguments[0]) {
      plot.dispatchEvent(new PointerEvent(type, {
        pointerId: id, pointerType: 'touch', button: 0, bubbles: true,
        clientX: left + x * width, clientY: top + 5,
      }));
    }
    """
    at_run.run(
        script,
        [
            ("pointerdown", 1, 0.4),
            ("pointerdown", 2, 0.6),
            ("pointermove", 1, 0.3),
            ("pointermove", 2, 0.7),
            ("pointerup", 1, 0.3),
            ("pointerup", 2, 0.7),
        ],
    )
    at_run.wait(lambda: abs(view_box(at_run)[2] - 50) < 0.1)
    assert at_run.state()["scope"] == scope, "fingers that zoom choose nothing"


def test_an_entry_of_the_legend_takes_its_curve_away(at_run: Reader) -> None:
    line = at_run.one("#timeline .heap-line")
    heap = "#timeline .legend li:has(.key-heap) button"
    assert line.is_displayed()
    at_run.click(heap)
    assert not line.is_displayed()
    assert at_run.one(heap).get_attribute("aria-pressed") == "false"
    at_run.click(heap)
    assert line.is_displayed()


def test_what_is_read_is_what_is_drawn(at_run: Reader) -> None:
    """At any time the heap that is read is the height of the curve there: steps, not slopes."""
    off = at_run.run("""
    const { core } = memdeep.page.data;
    const end = Number(document.getElementById('timeline').dataset.endS);
    const reading = memdeep.timelineReading.create(core, end);
    const corners = [];
    for (const [, way, to] of document.querySelector('#timeline .rss-line').getAttribute('d')
      .matchAll(/([MHV])([^MHV]+)/g)) {
      if (way === 'M') corners.push(to.split(' ').map(Number));
      else if (way === 'H') corners.push([Number(to), corners.at(-1)[1]]);
      else corners.push([corners.at(-1)[0], Number(to)]);
    }
    const top = Math.min(...corners.map(([, y]) => y));
    const peak = Math.max(...core.curves.rss.b);
    const scale = (100 - top) / peak;
    let worst = 0;
    for (let x = corners[0][0] + 0.137; x < corners.at(-1)[0]; x += 0.37) {
      if (corners.some(([at]) => Math.abs(at - x) < 0.02)) continue; // rounded to a hundredth
      const drawn = corners.findLast(([at]) => at <= x)[1];
      const read = reading.atTime((x / 100) * end).rss;
      worst = Math.max(worst, Math.abs(100 - drawn - read * scale));
    }
    return worst;
    """)
    assert off < 0.05


def test_source_is_coloured_in_the_stack_the_tooltip_and_the_source_view(at_run: Reader) -> None:
    at_run.click("tr[data-row='1'] a")
    at_run.wait(lambda: "return" in at_run.texts("[data-panel] .panel-stack .py-keyword"))
    canvas = at_run.one("canvas")
    at_run.pointer(canvas, canvas.rect["width"] / 2, 2.5 * 21).perform()
    at_run.wait(lambda: at_run.texts(".tooltip-source .py-keyword") == ["return"])
    at_run.click("[data-view=source]")
    at_run.wait(lambda: "with" in at_run.texts(".source-lines .py-keyword"))


def test_the_timeline_is_told_as_a_table(at_run: Reader) -> None:
    at_run.click(".timeline-table summary")
    rows = at_run.wait(lambda: at_run.texts(".timeline-rows tbody tr"))
    points = at_run.run("return memdeep.page.data.core.checkpoints")
    assert len(rows) == len(points["time"])
    heap = max(points["heap"])
    (row,) = [rows[place] for place, one in enumerate(points["heap"]) if one == heap][:1]
    assert row.endswith(size(heap))
    at_run.click("[data-set-language=zh]")
    at_run.wait(lambda: at_run.text(".timeline-table summary") == "时间线的表格")
    at_run.wait(lambda: "调用树" in (at_run.one("canvas").get_attribute("aria-label") or ""))
