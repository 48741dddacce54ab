"""Who holds the objects, in a real browser: the tree, the types, what is new, ways to them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import windows
from browser import needs_browser, written
from factories import ESCAPES, LONG, MARKUP
from running import PROGRAMS
from selenium.webdriver.common.keys import Keys
from snapshots import TYPES, holding_report
from windows import Window

pytestmark = [
    needs_browser,
    pytest.mark.skipif(sys.platform != "linux", reason="objects are walked on Linux only"),
]
window = windows.window
RTL = "\u202egnp.exe"
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a real run with snapshots at the ends of three phases."""
    directory = tmp_path_factory.mktemp("holders")
    options = ["--quiet", "--deep", "-o", "run"]
    for label in ("load", "learn", "trade"):
        options += ["--holders-at", label]
    command = [sys.executable, "-m", "memdeep", "run", *options, str(PROGRAMS / "holds.py")]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return directory / "run" / "report.html"


@pytest.fixture
def page(window: Window, held: Path) -> Iterator[Window]:
    """A reader before the page of the real run, who finds nothing to complain of."""
    window.emulate()
    window.open(held)
    yield window
    assert window.complaints() == []


def names(page: Window) -> list[str]:
    return page.texts(".holder-tree tbody .tree-name")


def row(page: Window, name: str) -> str:
    """The selector of the row of that name."""
    place = names(page).index(name)
    assert names(page).count(name) == 1, name
    index = page.run(
        "return [...document.querySelectorAll('.holder-tree tbody .tree-name')]"
        "[arguments[0]].closest('tr').dataset.index",
        place,
    )
    return f".holder-tree tbody tr[data-index='{index}']"


def panel(page: Window) -> str:
    return page.text("[data-held-panel] h3")


def test_the_tree_is_open_as_far_as_most_of_the_bytes_are_and_says_who_holds_them(
    page: Window,
) -> None:
    assert names(page)[:3] == ["All objects", "__main__", ".CACHE"]
    for name in ("Garbage", ".features", ".HANDLERS", ".FAILURES", ".LOCAL"):
        assert name in names(page)
    assert panel(page) == "__main__.CACHE['orders']"
    assert "Dropping it frees" in page.text("[data-held-panel]")
    assert "gc is off" in page.text("[data-held-facts]")


def test_a_row_opens_tells_its_lines_and_leads_to_their_stacks(page: Window) -> None:
    page.click(row(page, ".FAILURES") + " .tree-mark")
    page.click(row(page, "[0]") + " .tree-mark")
    page.click(row(page, ".__traceback__"))
    assert panel(page) == "__main__.FAILURES[0].__traceback__"
    assert "holds.py:" in page.text(".held-lines")
    assert "copies = [float(i)" in page.text(".held-lines")
    page.click(".held-lines button")
    assert page.state()["view"] == "lines"
    assert page.state()["selected"]["kind"] == "lines"


def test_the_keys_walk_open_and_choose(page: Window) -> None:
    page.run("document.querySelector('.holder-tree tbody tr').focus()")
    page.press(Keys.HOME, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_LEFT)
    assert page.one(row(page, ".CACHE")).get_attribute("aria-expanded") == "false"
    page.press(Keys.ARROW_RIGHT, Keys.ENTER)
    assert page.one(row(page, ".CACHE")).get_attribute("aria-expanded") == "true"
    page.wait(lambda: panel(page) == "__main__.CACHE")
    page.press(Keys.ARROW_UP, Keys.ENTER)
    page.wait(lambda: panel(page) == "__main__")
    focused = page.run("return document.activeElement.querySelector('.tree-name')?.textContent")
    assert focused == "__main__"


def test_a_search_shows_what_matches_and_the_way_to_it(page: Window) -> None:
    page.one("[data-held-search]").send_keys("scratch")
    page.wait(lambda: ".scratch" in names(page))
    assert names(page)[:3] == ["All objects", "__main__", ".LOCAL"]
    assert ".CACHE" not in names(page)
    page.press(Keys.ESCAPE)
    page.wait(lambda: ".CACHE" in names(page))
    page.one("[data-held-search]").send_keys("no such thing")
    page.wait(lambda: page.text("[data-held-empty]") == "No type and no path matches.")


def test_the_types_are_columns_of_snapshots_that_sort(page: Window) -> None:
    page.click("[data-holding=types]")
    assert page.texts(".holder-types thead th")[2:] == ["load_AFTER", "learn_AFTER", "trade_AFTER"]
    assert "trade" in page.text(".holder-types [aria-sort=descending]")
    types = page.texts(".holder-types tbody th")
    assert types[0] == "float"
    assert "Order\n__main__" in types
    page.click(".holder-types [data-sort='0']")
    assert page.texts(".holder-types tbody th")[0] == "dict"
    page.one("[data-held-search]").send_keys("order")
    page.wait(lambda: page.texts(".holder-types tbody th") == ["Order\n__main__"])


def test_two_snapshots_compared_tell_what_is_new_and_what_is_gone(page: Window) -> None:
    page.choose("[data-held-at]", "2")
    page.choose("[data-held-since]", "1")
    assert "new" in page.text(row(page, "['orders']"))
    assert "gone" in page.text(row(page, "['SOL']"))
    assert "−" in page.text(row(page, "['SOL']") + " .column-own")
    assert page.text(row(page, ".CACHE") + " .column-own").startswith("+")
    page.click("[data-holding=types]")
    assert page.texts(".holder-types thead th")[1] == "Change"
    assert page.texts(".holder-types tbody td.number")[0].startswith("+")
    page.wait(lambda: "since=1" in page.link())
    page.reload()
    assert page.state()["since"] == 1
    assert page.state()["holding"] == "types"
    page.driver.back()
    page.wait(lambda: page.state()["holding"] == "tree")


def test_the_path_of_a_holder_is_copied(page: Window) -> None:
    page.run(
        "const writeText = async (text) => { window.copied = text; };"
        "Object.defineProperty(navigator, 'clipboard', { value: { writeText } });"
    )
    page.click("[data-held-panel] .panel-tools button")
    assert page.run("return window.copied") == "__main__.CACHE['orders']"
    assert page.text("[data-held-panel] .panel-tools button") == "Copied"


def test_the_holder_of_a_finding_leads_to_its_row(page: Window) -> None:
    link = ".finding a[data-holder]:not([data-holder=''])"
    path = page.run("return document.querySelector(arguments[0]).textContent", link)
    page.click(link)
    page.wait(lambda: panel(page) == path)
    chosen = page.run("return document.querySelector('.holder-tree [aria-selected]').title ?? ''")
    assert chosen is not None
    assert page.run("return document.getElementById('holders').getBoundingClientRect().top") < 400
    address = page.run("return document.querySelector(arguments[0]).getAttribute('href')", link)
    page.open(Path(page.run("return location.pathname")), address)
    assert panel(page) == path
    assert page.run("return document.getElementById('holders').getBoundingClientRect().top") < 400


def test_it_speaks_chinese_and_stays_where_it_was(page: Window) -> None:
    page.click(row(page, ".FAILURES"))
    page.click("[data-set-language=zh]")
    page.wait(lambda: names(page)[0] == "全部对象")
    assert panel(page) == "__main__.FAILURES"
    assert "去掉它可释放" in page.text("[data-held-panel]")
    page.click("[data-holding=types]")
    assert "类型" in page.text(".holder-types thead")
    page.click("[data-set-language=en]")


@pytest.mark.parametrize("holding", ["tree", "types"])
def test_a_narrow_window_moves_only_the_table_sideways(
    page: Window, held: Path, holding: str
) -> None:
    page.emulate(width=400, height=900)
    page.open(held, f"#snapshot=2&since=0&holding={holding}")
    assert page.run(OVERFLOW) <= 0


def test_on_paper_nothing_is_cut(page: Window) -> None:
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    box = "const box = document.querySelector('.holder-tree').parentElement;"
    assert page.run(box + "return box.scrollHeight - box.clientHeight") <= 2
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty snapshots of up to 5,000 rows and 400 types."""
    types = (*TYPES, *(f"app.models.Type{n}" for n in range(400)))
    return written(holding_report(30, 2500, types=types), tmp_path_factory.mktemp("many"))


def test_thirty_snapshots_of_thousands_of_rows_stay_small_and_quick(
    window: Window, many: Path
) -> None:
    assert many.stat().st_size < 1 << 20
    window.emulate()
    began = time.monotonic()
    window.open(many)
    assert time.monotonic() - began < 5
    assert len(window.all(".holder-tree tbody tr")) < 40
    window.choose("[data-held-since]", "3")
    window.click("[data-holding=types]")
    window.choose("[data-held-since]", "")
    assert len(window.all(".holder-types thead th")) == 32
    assert len(window.all(".holder-types tbody tr")) == 25
    window.click(".holder-types ~ .hint button, [data-held-types] .hint button")
    assert len(window.all(".holder-types tbody tr")) == 301
    assert window.complaints() == []


def test_one_snapshot_offers_no_comparison(
    window: Window, tmp_path_factory: pytest.TempPathFactory
) -> None:
    window.open(written(holding_report(1), tmp_path_factory.mktemp("single")))
    assert not window.one("[data-held-since]").is_displayed()
    assert window.text("[data-held-at]").startswith("end of phase 0")
    assert "could not be looked at" in window.text(".holders-unseen")


def test_a_run_without_snapshots_has_no_view(window: Window, recorded: Path) -> None:
    window.open(recorded)
    assert window.all("#holders") == []
    assert window.run("return memdeep.page.data.has('holders')") is False


def test_hostile_types_and_paths_are_shown_as_they_are(
    window: Window, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = holding_report(
        2, names=(MARKUP, ESCAPES, LONG, RTL), types=(*TYPES[:3], f"{MARKUP}{RTL}.{LONG}")
    )
    window.open(written(made, tmp_path_factory.mktemp("hostile")), "#snapshot=1")
    shown = names(window)
    assert any(MARKUP in name for name in shown)
    window.click(row(window, f"[{MARKUP!r}]"))
    assert MARKUP in panel(window)
    long = next(name for name in shown if name.startswith("['long long"))
    window.click(row(window, long))
    window.click("[data-holding=types]")
    assert window.run(OVERFLOW) <= 0
    assert window.run("return globalThis.isOwned ?? false") is False
    for holds in (MARKUP, "[", "\\", "(?<", "%"):
        window.run("memdeep.page.store.set({holds: arguments[0]})", holds)
        window.settle()
    assert window.complaints() == []


@pytest.mark.parametrize(
    "link",
    ["#snapshot=99&since=x", "#snapshot=1&since=1", "#holder=99999&snapshot=0", "#holds=%00"],
)
def test_a_damaged_address_shows_what_there_is(window: Window, many: Path, link: str) -> None:
    window.open(many, link)
    assert names(window) == [] or names(window)[0] == "All objects"
    assert window.complaints() == []
