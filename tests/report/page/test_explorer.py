"""The explorer in a real browser: phases, metrics, zoom, search, tables, source, comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser import PROGRAM, Reader, needs_browser
from running import read_json
from selenium.webdriver.common.keys import Keys

from memdeep.text import units
from memdeep.text.units import size

pytestmark = needs_browser

LINES = PROGRAM.read_text("utf-8").splitlines()
ROW_PX = 21
LOADED, COPIED, HOSTILE, DELETED = 1, 2, 3, 4  # phases of the program


def place_of(line: str) -> str:
    return f"page_target.py:{LINES.index(line) + 1}"


PARSED = place_of("    return json.loads(text)")
CALLED = place_of("    config = load()")
COPY = place_of("    copied = copy.deepcopy(config)")
BLOCKS = place_of("    blocks = [bytearray(100_000) for _ in range(20)]")


@pytest.fixture
def figures(recorded: Path) -> list[dict[str, Any]]:
    """The phases as report.json tells of them."""
    return list(read_json(recorded.with_name("report.json"))["phases"])


@pytest.fixture
def parsed(figures: list[dict[str, Any]]) -> str:
    """The bytes that parsing kept; they differ between Pythons."""
    culprit = figures[LOADED]["culprits"][0]
    assert culprit["source"].strip() == "return json.loads(text)"
    return size(culprit["bytes"])


def look_at(reader: Reader, phase: int) -> None:
    reader.click(f"tr[data-row='{phase}'] a")
    reader.wait(lambda: reader.state()["scope"] == {"kind": "phase", "phase": phase})


def row_click(reader: Reader, row: int) -> None:
    """Click into the widest frame of a row of the graph."""
    canvas = reader.one("canvas")
    reader.click_at(canvas, canvas.rect["width"] / 2, (row + 0.5) * ROW_PX)


def frame_named(reader: Reader, path: list[int]) -> list[str]:
    names = (
        "const { frames } = memdeep.page.data; return arguments[0].map((f) => frames.location(f))"
    )
    return list(reader.run(names, path))


def panel(reader: Reader) -> dict[str, str]:
    """The figures of the panel beside the graph, by name."""
    names, values = reader.texts("[data-panel] dt"), reader.texts("[data-panel] dd")
    return dict(zip(names, values, strict=True))


def colours(reader: Reader) -> int:
    script = """
    const c = document.querySelector('canvas');
    const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height);
    return new Set(new Uint32Array(data.buffer)).size;
    """
    return int(reader.run(script))


def test_choosing_a_phase_shows_its_graph_and_stack(at_run: Reader) -> None:
    look_at(at_run, COPIED)
    at_run.wait(lambda: at_run.phase() == "复制")
    at_run.wait(lambda: colours(at_run) > 5)
    assert "copy.deepcopy(config)" in at_run.text("[data-panel]")
    assert "phase=2" in at_run.link()


def test_where_nothing_is_selected_the_panel_tells_of_all_of_it(at_run: Reader) -> None:
    look_at(at_run, COPIED)
    at_run.wait(lambda: at_run.phase() == "复制")
    at_run.wait(lambda: at_run.text("[data-panel] h3") == "All of it")
    assert {"Bytes", "Largest"} <= {*panel(at_run)}
    assert not {"First alive in", "Last alive in"} & {*panel(at_run)}
    assert at_run.text("[data-panel] figcaption").startswith("All of it over the whole run: ")


@pytest.mark.parametrize("phase", [LOADED, COPIED, HOSTILE, DELETED])
def test_totals_are_those_of_the_machine_readable_report(
    at_run: Reader, figures: list[dict[str, Any]], phase: int
) -> None:
    look_at(at_run, phase)
    at_run.wait(lambda: at_run.phase() == figures[phase]["name"])
    known = figures[phase]
    totals = {
        button.get_attribute("data-metric"): button.text.splitlines()[-1]
        for button in at_run.all("[data-metrics] button")
        if button.is_displayed()
    }
    assert totals["retained"] == units.size(known["retained_bytes"])
    assert totals["peak"] == units.size(known["peak_heap_bytes"])
    assert totals["freed"] == units.size(known["released_bytes"])
    assert totals["growth"] == units.signed_size(known["heap_delta_bytes"])


def test_the_metric_switches(at_run: Reader, figures: list[dict[str, Any]]) -> None:
    look_at(at_run, DELETED)
    at_run.click("[data-metric=freed]")
    freed = units.size(figures[DELETED]["released_bytes"])
    at_run.wait(lambda: panel(at_run)["Bytes"] == freed)
    assert BLOCKS in at_run.text("[data-panel]")
    assert "metric=freed" in at_run.link()


def test_a_click_zooms_escape_and_back_return(at_run: Reader) -> None:
    look_at(at_run, LOADED)
    row_click(at_run, 2)
    at_run.wait(lambda: at_run.zoomed_to() == "load")
    assert frame_named(at_run, at_run.state()["frames"]) == [CALLED, PARSED]
    row_click(at_run, 4)
    at_run.wait(lambda: at_run.zoomed_to() == "decode")
    at_run.one("canvas").send_keys(Keys.ESCAPE)
    at_run.wait(lambda: at_run.zoomed_to() == "load")
    at_run.driver.back()
    at_run.wait(lambda: at_run.zoomed_to() == "decode")
    at_run.click("[data-reset]")
    at_run.wait(lambda: at_run.zoomed_to() == "")
    assert at_run.state()["frames"] == []


def test_a_zoom_is_in_the_link(at_run: Reader, recorded: Path) -> None:
    look_at(at_run, LOADED)
    row_click(at_run, 3)
    at_run.wait(lambda: "frame=" in at_run.link())
    name = at_run.zoomed_to()
    at_run.open(recorded, at_run.link())
    assert at_run.zoomed_to() == name


def test_keys_walk_and_zoom_the_graph(at_run: Reader) -> None:
    look_at(at_run, LOADED)
    canvas = at_run.one("canvas")
    canvas.send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    at_run.wait(lambda: at_run.text("[data-status]").startswith("load · " + PARSED))
    canvas.send_keys(Keys.ENTER)
    at_run.wait(lambda: at_run.zoomed_to() == "load")
    canvas.send_keys(Keys.ARROW_UP)
    at_run.wait(lambda: at_run.text("[data-status]").startswith("<module>"))
    canvas.send_keys(Keys.HOME)
    at_run.wait(lambda: at_run.zoomed_to() == "")


def test_plain_search_tells_how_much_matches(at_run: Reader, parsed: str) -> None:
    look_at(at_run, LOADED)
    search = at_run.one("[data-search]")
    search.send_keys("RAW_DECODE")
    at_run.wait(lambda: at_run.text("[data-matched]") == f"1 frame · {parsed} · 100 %")
    search.send_keys(Keys.ENTER)
    at_run.wait(lambda: "raw_decode" in at_run.text("[data-status]"))
    search.send_keys("x")
    at_run.wait(lambda: at_run.text("[data-matched]") == "No match")
    search.send_keys(Keys.ESCAPE)
    at_run.wait(lambda: at_run.text("[data-matched]") == "")


def test_a_pattern_is_searched_and_a_bad_one_is_said(at_run: Reader, parsed: str) -> None:
    look_at(at_run, LOADED)
    search = at_run.one("[data-search]")
    search.send_keys("^(loads|decode)$")
    at_run.wait(lambda: at_run.text("[data-matched]") == "No match")
    at_run.click("[data-regex]")
    search.send_keys(Keys.BACKSPACE, "\\b")
    at_run.wait(lambda: at_run.text("[data-matched]").startswith(f"2 frames · {parsed}"))
    search.send_keys("(")
    at_run.wait(lambda: at_run.text("[data-matched]") == "Not a regular expression")
    assert search.get_attribute("aria-invalid") == "true"
    at_run.wait(lambda: "regex=1" in at_run.link())


def test_native_frames_and_callers_can_be_shown(at_run: Reader) -> None:
    look_at(at_run, LOADED)
    height = "return document.querySelector('[data-space]').getBoundingClientRect().height"
    before = at_run.wait(lambda: at_run.run(height))
    at_run.choose("[data-native-mode]", "show")
    at_run.wait(lambda: at_run.run(height) > before)
    at_run.choose("[data-native-mode]", "hide")
    at_run.wait(lambda: at_run.run(height) < before)
    at_run.one("[data-flag=invert]").click()
    at_run.one("canvas").send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    at_run.wait(lambda: at_run.text("[data-status]").startswith("raw_decode"))


@pytest.mark.parametrize(
    ("view", "first"), [("lines", PARSED), ("functions", "load"), ("modules", "page_target.py")]
)
def test_tables_rank_what_is_charged(at_run: Reader, parsed: str, view: str, first: str) -> None:
    look_at(at_run, LOADED)
    at_run.click(f"[data-view={view}]")
    at_run.wait(lambda: at_run.texts("[data-table] tbody .line-name")[:1] == [first])
    at_run.click("[data-table] tbody tr:not(.spacer)")
    at_run.wait(lambda: at_run.text("[data-panel] h3") == first)
    assert panel(at_run)["Bytes"] == parsed
    assert PARSED in at_run.texts("[data-panel] .panel-stack .here .stack-place")


def test_a_table_is_filtered_by_the_search(at_run: Reader) -> None:
    look_at(at_run, LOADED)
    at_run.click("[data-view=lines]")
    at_run.wait(lambda: len(at_run.texts("[data-table] tbody .line-name")) > 1)
    at_run.one("[data-search]").send_keys("decoder")
    at_run.wait(
        lambda: (
            (names := at_run.texts("[data-table] tbody .line-name"))
            and all("decoder.py" in name for name in names)
        )
    )


def test_a_line_leads_to_its_source(at_run: Reader, figures: list[dict[str, Any]]) -> None:
    look_at(at_run, COPIED)
    at_run.click("[data-view=lines]")
    at_run.wait(lambda: at_run.all("[data-table] tbody tr:not(.spacer)"))
    at_run.one(".lines-box").send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    at_run.wait(lambda: at_run.state()["view"] == "source")
    selected = at_run.wait(lambda: at_run.text(".source-lines li.selected"))
    assert "copied = copy.deepcopy(config)" in selected
    (culprit,) = figures[COPIED]["culprits"]
    assert size(culprit["bytes"]) in selected
    shown = at_run.texts(".source-lines code")
    assert "    blocks = [bytearray(100_000) for _ in range(20)]".strip() in shown


def test_the_panel_shows_the_exact_stack_outermost_first(at_run: Reader) -> None:
    look_at(at_run, LOADED)
    row_click(at_run, 2)
    at_run.wait(lambda: at_run.text("[data-panel] h3") == "load")
    # Before 3.11 the interpreter's own C frames lie between a function and its caller.
    stack = at_run.texts("[data-panel] .panel-stack li:not(.origin-native) .stack-place")
    assert stack[:2] == [CALLED, PARSED]
    sources = at_run.texts("[data-panel] .panel-stack code")
    assert sources[:2] == ["config = load()", "return json.loads(text)"]
    editor = at_run.one("[data-panel] .panel-stack a").get_attribute("href")
    assert editor == f"vscode://file{PROGRAM}:{CALLED.split(':')[1]}"
    known = panel(at_run)
    assert known["First alive in"] == "加载config"
    assert "These stacks over the whole run" in at_run.text("[data-panel] figcaption")
    assert known["Last alive in"] == "the end of the run"


def test_two_phases_compare_in_one_picture(at_run: Reader, figures: list[dict[str, Any]]) -> None:
    look_at(at_run, LOADED)
    at_run.choose("[data-versus]", str(COPIED))
    at_run.wait(lambda: at_run.one("[data-direction]").is_displayed())
    assert not at_run.one("[data-legend]").is_displayed()
    difference = figures[LOADED]["retained_bytes"] - figures[COPIED]["retained_bytes"]
    text = units.signed_size(difference)
    assert at_run.text("[data-metrics] [aria-pressed=true]") == f"Retained\n{text}"
    assert panel(at_run)["Bytes"] == text
    canvas = at_run.one("canvas")
    canvas.send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    grew = at_run.wait(lambda: at_run.text("[data-status]"))
    canvas.send_keys(Keys.ARROW_RIGHT)
    shrank = at_run.wait(lambda: (now := at_run.text("[data-status]")) != grew and now)
    assert CALLED in grew
    assert COPY in shrank
    assert f"+{units.size(figures[LOADED]['retained_bytes'])}" in grew
    assert f"−{units.size(figures[COPIED]['retained_bytes'])}" in shrank
    at_run.click("[data-view=lines]")
    at_run.wait(lambda: at_run.texts("[data-table] tbody .line-name")[:2] == [PARSED, COPY])
    assert "vs=phase-2" in at_run.link()


def test_growth_sets_what_grew_against_what_shrank(
    at_run: Reader, figures: list[dict[str, Any]]
) -> None:
    look_at(at_run, DELETED)
    at_run.click("[data-metric=growth]")
    at_run.wait(lambda: at_run.one("[data-direction]").is_displayed())
    delta = units.signed_size(figures[DELETED]["heap_delta_bytes"])
    assert panel(at_run)["Bytes"] == delta
    assert delta.startswith("−")


def test_a_stretch_is_chosen_by_two_checkpoints(at_run: Reader) -> None:
    assert not at_run.one("[data-from]").is_displayed()
    at_run.choose("[data-phase-choice]", "between")
    at_run.choose("[data-from]", "1")
    at_run.choose("[data-to]", "6")
    stretch = {"kind": "between", "from": 1, "to": 6}
    at_run.wait(lambda: at_run.state()["scope"] == stretch)
    heap = at_run.run("return memdeep.page.data.core.checkpoints.heap")
    grown = units.signed_size(heap[6] - heap[1])
    at_run.click("[data-metric=growth]")
    at_run.wait(lambda: panel(at_run)["Bytes"] == grown)
    assert "between=1-6" in at_run.link()
    assert not at_run.one("[data-metric=peak]").is_displayed()


def test_a_stretch_compares_with_another(at_run: Reader) -> None:
    at_run.choose("[data-phase-choice]", "between")
    at_run.choose("[data-from]", "2")
    at_run.choose("[data-to]", "4")
    at_run.choose("[data-versus]", "between")
    at_run.wait(lambda: at_run.one("[data-versus-pair]").is_displayed())
    at_run.choose("[data-versus-from]", "1")
    at_run.choose("[data-versus-to]", "2")
    at_run.wait(lambda: "vs=1-2" in at_run.link())
    heap = at_run.run("return memdeep.page.data.core.checkpoints.heap")
    at_run.click("[data-metric=growth]")
    text = units.signed_size((heap[4] - heap[2]) - (heap[2] - heap[1]))
    at_run.wait(lambda: at_run.text("[data-metrics] [aria-pressed=true]") == f"Growth\n{text}")
