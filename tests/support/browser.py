"""A real Chromium for the page tests, what a reader does in it, and the pages that it opens."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running import PROGRAMS
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from memdeep import pipeline
from memdeep.model import Report

PROGRAM = PROGRAMS / "page_target.py"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), "")
DRIVER = shutil.which("chromedriver") or ""
FLAGS = """headless no-sandbox disable-gpu disable-quic no-first-run disable-sync hide-scrollbars
disable-background-networking disable-component-update"""
TIMEOUT_S = 10

# Before any script of the page: what the browser refuses is noted where a test can read it.
NOTE_VIOLATIONS = """
window.violations = [];
document.addEventListener('securitypolicyviolation', (event) => {
  window.violations.push(event.violatedDirective + ' ' + event.blockedURI);
});
"""

needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no Chromium with chromedriver is installed"
)


def start(
    profile: Path, *flags: str, script: bool = True, size: tuple[int, int] = (1280, 1000)
) -> webdriver.Chrome:
    """A new browser; ``flags`` are further switches of Chromium, without their dashes."""
    options = Options()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS.split(), f"window-size={size[0]},{size[1]}", "lang=en", *flags):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not script:
        refused = {"profile.managed_default_content_settings.javascript": 2}
        options.add_experimental_option("prefs", refused)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": NOTE_VIOLATIONS})
    return driver


def written(report: Report, directory: Path) -> Path:
    """The page of ``report``, written as `memdeep report` writes it."""
    directory.mkdir(parents=True, exist_ok=True)
    page = directory / "report.html"
    pipeline.write(report, {"html": page}, lambda _: None)
    return page


class Reader:
    """Someone who reads a page: opens it, looks, clicks, types, waits for what should follow."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, page: Path, link: str = "") -> None:
        """Load the page anew, up to where it is ready."""
        self.driver.get("about:blank")
        self.driver.get(page.as_uri() + link)
        self.wait(lambda: self.ready() == "yes")

    def reload(self) -> None:
        self.driver.refresh()
        self.wait(lambda: self.ready() == "yes")

    def ready(self) -> str | None:
        return self.run("return document.documentElement?.dataset.ready ?? null")

    def run(self, script: str, *values: Any) -> Any:
        return self.driver.execute_script(script, *values)

    def wait(self, condition: Callable[[], Any]) -> Any:
        return WebDriverWait(self.driver, TIMEOUT_S, 0.03).until(lambda _: condition())

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def shown(self, selector: str) -> WebElement:
        """The one such element that is there to be seen."""
        found = [element for element in self.all(selector) if element.is_displayed()]
        assert len(found) == 1, (selector, len(found))
        return found[0]

    def text(self, selector: str) -> str:
        return self.one(selector).text

    def texts(self, selector: str) -> list[str]:
        script = (
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText.trim())"
        )
        return list(self.run(script, selector))

    def click(self, selector: str) -> None:
        element = self.one(selector)
        self.unfold(selector)
        self.run("arguments[0].scrollIntoView({ block: 'center' })", element)
        element.click()
        self.settle()

    def unfold(self, selector: str) -> None:
        """Open the menu or the finding that an element is folded in."""
        opened = "document.querySelector(arguments[0]).closest('details:not([open])')"
        script = f"const folded = {opened}; if (folded) folded.open = true"
        if not selector.endswith("summary"):
            self.run(script, selector)

    def settle(self) -> None:
        """Wait until what was chosen is shown: the data it needs may be unpacked first."""
        busy = "return document.querySelector('[aria-busy=true]') !== null"
        self.wait(lambda: not self.run(busy))

    def click_at(self, element: WebElement, x: float, y: float) -> None:
        """Click in an element, at pixels from its top left corner."""
        self.pointer(element, x, y).click().perform()
        self.settle()

    def pointer(self, element: WebElement, x: float, y: float) -> ActionChains:
        self.run("arguments[0].scrollIntoView({ block: 'center' })", element)
        size = element.rect
        chain = ActionChains(self.driver, duration=20)
        return chain.move_to_element_with_offset(
            element, round(x - size["width"] / 2), round(y - size["height"] / 2)
        )

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()
        self.settle()

    def choose(self, selector: str, value: str) -> None:
        """Choose an option of a list by its value."""
        option = f"{selector} option[value='{value}']"
        self.unfold(selector)
        self.run("arguments[0].scrollIntoView({ block: 'center' })", self.one(selector))
        self.one(option).click()
        self.settle()

    def state(self) -> dict[str, Any]:
        """What the page looks at, of its own account."""
        return dict(self.run("return memdeep.page.store.get()"))

    def link(self) -> str:
        return str(self.run("return location.hash"))

    def phase(self) -> str:
        """The name of what the explorer shows."""
        return str(self.run("return document.querySelector('[data-title]').textContent"))

    def zoomed_to(self) -> str:
        """The last of the frames on the way to what fills the flame graph; empty for all of it."""
        crumbs = self.one("[data-crumbs]")
        if not crumbs.is_displayed():
            return ""
        return crumbs.find_elements(By.TAG_NAME, "button")[-1].text

    def complaints(self) -> list[str]:
        """What the browser complained of since this was last asked."""
        logged = [entry for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]
        return [str(entry["message"]) for entry in logged] + list(self.run("return violations"))


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a real run of `programs/page_target.py`."""
    directory = tmp_path_factory.mktemp("page")
    command = [sys.executable, "-m", "memdeep", "run", "--quiet", "-o", "run", str(PROGRAM)]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return directory / "run" / "report.html"


@pytest.fixture(scope="session")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    driver = start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def reader(chrome: webdriver.Chrome) -> Reader:
    """A reader who remembers nothing of earlier pages."""
    reader = Reader(chrome)
    chrome.get("about:blank")
    chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    forgotten = {"origin": "file://", "storageTypes": "local_storage"}
    chrome.execute_cdp_cmd("Storage.clearDataForOrigin", forgotten)
    chrome.get_log("browser")
    return reader


@pytest.fixture
def at_run(reader: Reader, recorded: Path) -> Iterator[Reader]:
    """A reader before the page of the recorded run, who finds nothing to complain of."""
    reader.open(recorded)
    yield reader
    assert reader.complaints() == []
