"""The reach of the page in a real browser: what is one click away, and what a link carries."""

from __future__ import annotations

from pathlib import Path

from browser import Reader, needs_browser
from selenium.webdriver.common.by import By

pytestmark = needs_browser


def test_a_page_within_a_page_follows_clicks(reader: Reader, recorded: Path, tmp_path: Path) -> None:
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
