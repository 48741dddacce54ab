"""A reader with a window of their own: tests change its size, its media, its language."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import browser
import pytest
from browser import Reader
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.remote.webelement import WebElement


class Window(Reader):
    """What `Reader` does, and what concerns the table, the timeline and the window itself."""

    def opened(self, page: Path, link: str = "") -> Window:
        """The page, loaded anew."""
        self.open(page, link)
        return self

    def hold(self, held: str, *keys: str) -> None:
        """Press ``keys`` while ``held`` is down."""
        ActionChains(self.driver, duration=0).key_down(held).send_keys(*keys).key_up(held).perform()
        self.settle()

    def name(self) -> str | None:
        """The name of the phase that is looked at, or None for a stretch between checkpoints."""
        name: str | None = self.run(
            "const {scope} = memdeep.page.store.get();"
            "return memdeep.page.data.core.phases.name[scope.phase] ?? null"
        )
        return name

    def row(self, name: str) -> WebElement:
        """The row of a phase in the table; it must be one of those that exist."""
        found: WebElement | None = self.run(
            """return [...document.querySelectorAll('#phases tbody tr[data-row]')].find((row) =>
            row.querySelector('.phase-name').textContent === arguments[0]) ?? null""",
            name,
        )
        assert found is not None, name
        return found

    def choose_phase(self, name: str) -> None:
        """Click the row of a phase."""
        row = self.row(name)
        self.run("arguments[0].scrollIntoView({ block: 'center' })", row)
        row.click()
        self.settle()
        assert self.name() == name

    def emulate(self, *, width: int = 1280, height: int = 900, **media: str) -> None:
        """Another size, and media features such as ``prefers_color_scheme='dark'``."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        features: list[dict[str, Any]] = [
            {"name": name.replace("_", "-"), "value": value} for name, value in media.items()
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@contextmanager
def opened(profile: Path, *flags: str, script: bool = True) -> Iterator[Window]:
    """A browser whose only way out is a proxy that is not there."""
    driver = browser.start(profile, "proxy-server=127.0.0.1:9", *flags, script=script)
    driver.set_script_timeout(60)
    try:
        yield Window(driver)
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    with opened(tmp_path_factory.mktemp("profile")) as page:
        yield page
