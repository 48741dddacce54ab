"""The page asks nobody for anything and obeys no text, whatever is looked at, in a real browser."""

from __future__ import annotations

import http.server
import re
import threading
from pathlib import Path

import pytest
from browser import needs_browser
from factories import hostile_report
from running import Scenes
from windows import Window

from memdeep import pipeline

pytestmark = needs_browser

PAYLOADS = (
    "<img src=x onerror='owned()'>",
    "</script><script>owned()</script>",
    "<svg onload=owned()>",
    "javascript:owned()",
    "\"' onfocus=owned() autofocus='",
)
EVERYTHING = """
const done = arguments[0];
const {store, data} = memdeep.page;
const phases = data.core.phases.name.length;
const frames = () => new Promise((next) => requestAnimationFrame(() => setTimeout(next, 0)));
(async () => {
  for (let phase = 0; phase < phases; phase += 1) {
    store.set({scope: {kind: 'phase', phase}, selected: null});
    for (const view of ['flame', 'lines', 'functions', 'modules', 'source']) {
      store.set({view});
      await frames();
    }
  }
  for (let line = 0; line < data.core.lines.length; line += 1) {
    store.set({selected: {kind: 'lines', frame: data.core.lines[line]}});
    await frames();
  }
  for (const link of document.querySelectorAll('main a, main button')) link.focus();
  document.querySelector('[data-set-language=zh]').click();
  await frames();
  document.querySelector('[data-set-language=en]').click();
  await frames();
  done('through');
})();
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run in which every label, path, function and source line means harm."""
    directory = tmp_path_factory.mktemp("hostile")
    page = directory / "report.html"
    pipeline.write(hostile_report(PAYLOADS), {"html": page}, lambda _: None)
    return page


def look_at_everything(page: Window) -> None:
    assert page.driver.execute_async_script(EVERYTHING) == "through"


def test_hostile_texts_are_shown_as_they_are(window: Window, hostile: Path) -> None:
    window.open(hostile)
    names = window.run("return memdeep.page.data.core.phases.name")
    assert set(PAYLOADS) <= set(names)
    assert [row.text for row in window.all("#phases .phase-name")] == names


def test_a_hostile_address_executes_nothing(window: Window, hostile: Path) -> None:
    for payload in PAYLOADS:
        window.open(hostile, "#phase=0&find=" + payload.replace("#", "%23"))
        assert window.one("[data-search]").get_attribute("value") != ""
        assert window.run("return globalThis.isOwned ?? false") is False
    assert window.complaints() == []


@pytest.mark.parametrize("scene", ["few", "one", "thirty", "repeats", "thousand", "killed"])
def test_no_scene_asks_or_complains(window: Window, scenes: Scenes, scene: str) -> None:
    window.open(scenes.page(scene))
    if scene in ("few", "one", "killed"):
        look_at_everything(window)
    assert window.run("return performance.getEntriesByType('resource').length") == 0
    assert window.complaints() == []


def test_served_by_a_server_it_asks_for_itself_only(window: Window, scenes: Scenes) -> None:
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(scenes.page("few").parent))  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        window.driver.get(f"http://127.0.0.1:{server.server_port}/report.html")
        window.wait(lambda: window.run("return document.documentElement.dataset.ready") == "yes")
        look_at_everything(window)
    finally:
        server.shutdown()
    assert asked == ["/report.html"]


def test_the_text_of_the_page_names_no_other_place(scenes: Scenes) -> None:
    text = scenes.page("few").read_text("utf-8")
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}
