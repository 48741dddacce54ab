"""The page in a real browser: what a person sees, clicks and types; skipped without a browser."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

PROGRAM = Path(__file__).parent / "programs" / "page_target.py"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), "")
DRIVER = shutil.which("chromedriver") or ""

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no Chromium with chromedriver is installed"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("page")
    command = [sys.executable, "-m", "memdeep", "run", "--quiet", "-o", "run", str(PROGRAM)]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return directory / "run" / "report.html"


def browser(profile: Path, *, script: bool = True) -> webdriver.Chrome:
    options = Options()
    options.binary_location = CHROMIUM
    words = "headless no-sandbox disable-gpu disable-quic no-first-run disable-sync"
    words += " disable-background-networking disable-component-update window-size=1280,1600"
    for word in words.split():
        options.add_argument(f"--{word}")
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    if not script:
        no_script = {"profile.managed_default_content_settings.javascript": 2}
        options.add_experimental_option("prefs", no_script)
    return webdriver.Chrome(options=options, service=Service(DRIVER))


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    driver = browser(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def opened(chrome: webdriver.Chrome, page: Path) -> webdriver.Chrome:
    """The page, freshly loaded."""
    chrome.get("about:blank")
    chrome.get(page.as_uri())
    return chrome


def row(driver: webdriver.Chrome, name: str) -> Any:
    links = driver.find_elements(By.CSS_SELECTOR, "#phases a[data-phase]")
    (found,) = [link for link in links if link.text == name]
    return found


def shown_detail(driver: webdriver.Chrome) -> str:
    titles = driver.find_elements(By.CSS_SELECTOR, "article.phase h3")
    return " ".join(title.text for title in titles if title.is_displayed())


def status(driver: webdriver.Chrome) -> str:
    return str(driver.find_element(By.ID, "flame-status").text)


def waited(driver: webdriver.Chrome, condition: Any) -> Any:
    return WebDriverWait(driver, 10).until(condition)


def test_the_verdict_names_phase_bytes_line_and_source(opened: webdriver.Chrome) -> None:
    headline = opened.find_element(By.TAG_NAME, "h1").text
    assert "加载config grew RSS by" in headline
    lines = PROGRAM.read_text("utf-8").splitlines()
    assert f"page_target.py:{lines.index('    return json.loads(text)') + 1} " in headline
    finding = opened.find_element(By.CSS_SELECTOR, ".finding").text
    assert "return json.loads(text)" in finding


def test_nothing_is_requested_and_nothing_is_complained_of(opened: webdriver.Chrome) -> None:
    waited(opened, lambda d: d.execute_script("return document.readyState") == "complete")
    assert opened.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert [entry for entry in opened.get_log("browser") if entry["level"] != "INFO"] == []


def test_hostile_labels_stay_text(opened: webdriver.Chrome) -> None:
    assert opened.title == "page_target · memdeep"
    assert row(opened, HOSTILE).is_displayed()
    assert opened.find_elements(By.CSS_SELECTOR, "img") == []


def test_choosing_a_phase_shows_its_graph_and_lines(opened: webdriver.Chrome) -> None:
    row(opened, "复制").click()
    waited(opened, lambda d: "复制" in shown_detail(d))
    assert "copy.deepcopy(config)" in opened.find_element(By.ID, "details").text
    assert "phase=" in opened.execute_script("return location.hash")


def test_the_graph_is_drawn_and_zooms(opened: webdriver.Chrome) -> None:
    row(opened, "加载config").click()
    canvas = opened.find_element(By.CSS_SELECTOR, "canvas")
    pixels = "const c = arguments[0]; const d = c.getContext('2d').getImageData(0, 0, c.width,"
    pixels += " c.height).data; return new Set(new Uint32Array(d.buffer)).size"
    assert waited(opened, lambda d: d.execute_script(pixels, canvas) > 5)
    canvas.send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ENTER)
    reset = opened.find_element(By.CSS_SELECTOR, "[data-reset]")
    waited(opened, lambda _: reset.is_displayed())
    canvas.send_keys(Keys.ESCAPE)
    waited(opened, lambda _: not reset.is_displayed())


def test_search_tells_how_much_matches(opened: webdriver.Chrome) -> None:
    row(opened, "加载config").click()
    opened.find_element(By.CSS_SELECTOR, "[data-search]").send_keys("raw_decode")
    matched = opened.find_element(By.CSS_SELECTOR, "[data-matched]")
    waited(opened, lambda _: "%" in matched.text)


def test_metrics_switch_and_a_link_restores_them(opened: webdriver.Chrome, page: Path) -> None:
    row(opened, "删除").click()
    waited(opened, lambda d: "删除" in shown_detail(d))
    opened.find_element(By.CSS_SELECTOR, "button[data-metric=freed]").click()
    waited(opened, lambda d: "metric=freed" in d.execute_script("return location.hash"))
    address = opened.execute_script("return location.hash")
    opened.get("about:blank")
    opened.get(page.as_uri() + address)
    waited(opened, lambda d: "删除" in shown_detail(d))
    pressed = opened.find_element(By.CSS_SELECTOR, "button[data-metric][aria-pressed=true]")
    assert pressed.get_attribute("data-metric") == "freed"
    assert "1.9 MB" in pressed.text


def test_native_frames_can_be_shown(opened: webdriver.Chrome) -> None:
    row(opened, "加载config").click()
    height = "return document.querySelector('canvas').getBoundingClientRect().height"
    before = waited(opened, lambda d: d.execute_script(height))
    opened.find_element(By.CSS_SELECTOR, "[data-native]:not(label)").click()
    space = "return document.querySelector('[data-space]').getBoundingClientRect().height"
    assert waited(opened, lambda d: d.execute_script(space) > before)


def test_the_theme_switches(opened: webdriver.Chrome) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"
    seen = {opened.execute_script(background)}
    button = next(b for b in opened.find_elements(By.TAG_NAME, "button") if "Theme" in b.text)
    for _ in range(3):
        button.click()
        seen.add(opened.execute_script(background))
    assert len(seen) == 2


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_never_scrolls_sideways(opened: webdriver.Chrome, width: int) -> None:
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert opened.execute_script(overflow) <= 0
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_without_scripts_the_essentials_are_readable(page: Path, tmp_path: Path) -> None:
    driver = browser(tmp_path / "profile", script=False)
    try:
        driver.get(page.as_uri())
        text = driver.find_element(By.TAG_NAME, "body").text
        assert "加载config grew RSS by" in text
        assert "return json.loads(text)" in text
        assert driver.find_element(By.CSS_SELECTOR, "svg").is_displayed()
        details = driver.find_elements(By.CSS_SELECTOR, "article.phase")
        assert len(details) >= 4
        assert all(detail.is_displayed() for detail in details)
    finally:
        driver.quit()
