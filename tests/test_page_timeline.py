"""The timeline and the table of phases in a real browser: by pointer and by keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser import Reader, needs_browser, written
from factories import MB, analysed, frame, lifetime, run, tree
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.keys import Keys

pytestmark = needs_browser

LOADED, COPIED = 1, 2  # phases of the program
MANY = 1000


def place_of(reader: Reader, checkpoint: int) -> tuple[int, int]:
    """Where in the window a checkpoint is on the plot of the timeline."""
    script = """
    const plot = document.querySelector('.timeline-plot');
    plot.scrollIntoView({ block: 'center' });
    const area = plot.dataset;
    const time = memdeep.page.data.core.checkpoints.time[arguments[0]];
    const x = Number(area.plotX) + (time / Number(area.endS)) * Number(area.plotWidth);
    const y = Number(area.plotY) + Number(area.plotHeight) / 2;
    const place = new DOMPoint(x, y).matrixTransform(plot.getScreenCTM());
    return [place.x, place.y];
    """
    x, y = reader.run(script, checkpoint)
    return round(x), round(y)


def drag(reader: Reader, start: tuple[int, int], end: tuple[int, int]) -> None:
    builder = ActionBuilder(reader.driver, duration=20)
    pointer = builder.pointer_action
    pointer.move_to_location(*start).pointer_down()
    pointer.move_to_location((start[0] + end[0]) // 2, start[1] + 3).move_to_location(*end)
    pointer.pointer_up()
    builder.perform()


def between(start: int, end: int) -> dict[str, Any]:
    return {"kind": "between", "from": start, "to": end}


def names(reader: Reader) -> list[str]:
    return reader.texts("#phases tbody th a")


def test_a_band_chooses_its_phase(at_run: Reader) -> None:
    at_run.click(f".band[data-phase='{COPIED}']")
    at_run.wait(lambda: at_run.phase() == "复制")
    assert at_run.all(f".band.selected[data-phase='{COPIED}']")
    assert at_run.text("#phases tr.selected th a") == "复制"


def test_a_click_on_the_plot_chooses_what_is_around_it(at_run: Reader) -> None:
    (x, y), (end, _) = place_of(at_run, 3), place_of(at_run, 4)
    spot = ((x + end) // 2, y)
    drag(at_run, spot, spot)
    at_run.wait(lambda: at_run.phase() == "复制")


def test_the_pointer_reads_values(at_run: Reader) -> None:
    builder = ActionBuilder(at_run.driver, duration=20)
    builder.pointer_action.move_to_location(*place_of(at_run, 1))
    builder.perform()
    at_run.wait(lambda: at_run.text("[data-read=rss]").endswith("MB"))
    assert at_run.text("[data-read=heap]").endswith("B")
    assert at_run.text("[data-read=checkpoint]") == "加载config"


def test_a_drag_chooses_the_stretch_between_two_checkpoints(at_run: Reader) -> None:
    drag(at_run, place_of(at_run, 1), place_of(at_run, 4))
    ends = (between(1, 4), between(1, 5))  # one phase begins where the other one ends
    at_run.wait(lambda: at_run.state()["scope"] in ends)
    assert at_run.phase().startswith("加载config → ")
    assert at_run.all(".shade path")
    assert at_run.all("#phases tr.selected") == []


def test_keys_step_and_stretch(at_run: Reader) -> None:
    steps = at_run.one("[data-steps]")
    steps.send_keys(Keys.HOME, Keys.ARROW_RIGHT)
    assert at_run.text("[data-read=checkpoint]") == "加载config"
    shifted = ActionChains(at_run.driver, duration=0).key_down(Keys.SHIFT)
    shifted.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT).key_up(Keys.SHIFT)
    shifted.perform()
    assert "加载config → 复制: RSS +" in at_run.text("[data-read=checkpoint]")
    steps.send_keys(Keys.ENTER)
    at_run.wait(lambda: at_run.state()["scope"] == between(1, 4))


def test_escape_drops_a_stretch_that_was_not_taken(at_run: Reader) -> None:
    before = at_run.state()["scope"]
    steps = at_run.one("[data-steps]")
    steps.send_keys(Keys.HOME)
    shifted = ActionChains(at_run.driver, duration=0).key_down(Keys.SHIFT)
    shifted.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT).key_up(Keys.SHIFT).perform()
    steps.send_keys(Keys.ESCAPE)
    assert at_run.text("[data-read=checkpoint]") == ""
    assert at_run.state()["scope"] == before


def test_jumping_to_the_peak_shows_where_it_is(at_run: Reader) -> None:
    at_run.click("[data-peak]")
    at_run.wait(lambda: at_run.text("[data-read=heap]") == "22.9 MB")
    assert at_run.state()["scope"] == {"kind": "phase", "phase": 3}


def test_the_table_is_sorted(at_run: Reader) -> None:
    known = at_run.run("return memdeep.page.data.core.phases")
    by_heap = sorted(range(len(known["name"])), key=lambda i: -known["heap"][i])
    (header,) = [b for b in at_run.all("#phases thead button") if b.text == "Heap Δ"]
    header.click()
    at_run.wait(lambda: names(at_run) == [known["name"][i] for i in by_heap])
    sorted_by = at_run.all("#phases th[aria-sort=descending]")
    assert [cell.text for cell in sorted_by] == ["Heap Δ"]
    at_run.click("#phases th[aria-sort=descending] button")
    at_run.wait(lambda: names(at_run) == [known["name"][i] for i in reversed(by_heap)])


def test_the_table_is_filtered_by_name_place_and_growth(at_run: Reader) -> None:
    everything = len(names(at_run))
    search = at_run.one("[data-filter]")
    search.send_keys("复")
    at_run.wait(lambda: names(at_run) == ["复制"])
    assert at_run.text("[data-shown]") == f"1 of {everything}"
    search.send_keys(Keys.BACKSPACE, "page_target.py:14")
    at_run.wait(lambda: names(at_run) == ["加载config"])
    search.clear()
    search.send_keys(Keys.SPACE)
    at_run.click("[data-grew]")
    rss = at_run.run("return memdeep.page.data.core.phases.rss")
    at_run.wait(lambda: len(names(at_run)) == sum(grown > 0 for grown in rss))


@pytest.fixture(scope="module")
def many_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand phases within one of two others."""
    inner = [step for place in range(MANY) for step in (f"+part {place}", f"-part {place}")]
    steps = ["+before", "-before", "+all of them", *inner, "-all of them"]
    stacks, nodes = tree([frame("main"), frame("load")], [frame("main"), frame("keep")])
    lifetimes = [
        lifetime(nodes[place % 2], 2 * place + 5, bytes=(1 + place % 7) * MB)
        for place in range(MANY)
    ]
    made = analysed(run(*steps), stacks, lifetimes)
    return written(made, tmp_path_factory.mktemp("many"))


@pytest.fixture
def at_many(reader: Reader, many_page: Path) -> Reader:
    reader.open(many_page, "#phase=0")
    return reader


def test_of_a_thousand_phases_only_those_in_sight_are_there(at_many: Reader) -> None:
    assert len(names(at_many)) < 60
    assert names(at_many)[0] == "before"
    height = at_many.run("return document.getElementById('phases').scrollHeight")
    assert height > MANY * 30
    at_many.run("document.getElementById('phases').scrollTop = arguments[0]", height / 2)
    at_many.wait(lambda: any(name.startswith("part 5") for name in names(at_many)))
    assert len(names(at_many)) < 60
    at_many.run("document.getElementById('phases').scrollTop = arguments[0]", height)
    at_many.wait(lambda: names(at_many)[-1] == f"part {MANY - 1}")
    last = at_many.all("#phases tbody tr[data-row]")[-1].rect
    box = at_many.one("#phases").rect
    assert last["y"] + last["height"] <= box["y"] + box["height"]
    assert at_many.complaints() == []


def test_a_parent_is_folded(at_many: Reader) -> None:
    at_many.click("#phases .fold")
    at_many.wait(lambda: names(at_many) == ["before", "all of them"])
    at_many.click("#phases .fold")
    at_many.wait(lambda: "part 0" in names(at_many))


def test_arrow_keys_choose_fold_and_follow(at_many: Reader) -> None:
    table = at_many.one("#phases")
    table.send_keys(Keys.ARROW_DOWN)
    at_many.wait(lambda: at_many.phase() == "all of them")
    table.send_keys(Keys.ARROW_LEFT)
    at_many.wait(lambda: names(at_many) == ["before", "all of them"])
    table.send_keys(Keys.ARROW_RIGHT)
    at_many.wait(lambda: "part 0" in names(at_many))
    table.send_keys(Keys.END)
    at_many.wait(lambda: at_many.phase() == f"part {MANY - 1}")
    at_many.wait(lambda: at_many.text("#phases tr.selected th a") == f"part {MANY - 1}")


def test_a_linked_phase_is_in_sight(reader: Reader, many_page: Path) -> None:
    reader.open(many_page, "#phase=700")
    row = reader.wait(lambda: reader.all("#phases tr.selected"))[0]
    box = reader.one("#phases").rect
    assert box["y"] <= row.rect["y"] <= box["y"] + box["height"]


def test_repeats_show_their_trend(reader: Reader, tmp_path: Path) -> None:
    steps = [step for _ in range(MANY) for step in ("+turn", "-turn")]
    stacks, (node,) = tree([frame("main"), frame("keep")])
    lifetimes = [lifetime(node, 2 * place + 2, bytes=MB) for place in range(MANY)]
    reader.open(written(analysed(run(*steps), stacks, lifetimes), tmp_path))
    assert reader.text("#phases .repeats") == "× 1,000"
    assert reader.text("#phases .slope") == "+1.0 MB each"
    assert reader.all("#phases .trend polyline")
    assert reader.complaints() == []
