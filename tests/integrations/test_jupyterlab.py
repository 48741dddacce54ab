"""The page of a recorded cell, in a real JupyterLab in a real browser."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import browser
import pytest
from browser import needs_browser
from running import environment
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")
pytest.importorskip("jupyterlab")

WAIT_S = 90
CONNECTED = """
const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
return kernel?.status === 'idle' && kernel.connectionStatus === 'connected';
"""
CELLS = [
    "%load_ext memdeep",
    "def rows(count):\n    return [str(number) * 100 for number in range(count)]",
    "%%memdeep --no-native\ntable = rows(50_000)\nindex = dict(enumerate(table))",
    "len(table)",
]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """The address of a JupyterLab that has a notebook with CELLS."""
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, tmp_path / "cells.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *("--LabApp.expose_app_in_browser=True", "--LabApp.news_url="),
            *("--ServerApp.token=", "--ServerApp.password=", f"--ServerApp.port={port}"),
            f"--ServerApp.root_dir={tmp_path}",
        ],
        env=environment() | own,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api/status")
        yield f"{address}/lab/tree/cells.ipynb?reset"
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(address: str) -> None:
    until_s = time.monotonic() + WAIT_S
    while time.monotonic() < until_s:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                json.load(answer)
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail("JupyterLab did not start")


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    driver = browser.start(tmp_path / "profile", size=(1400, 1300))
    yield driver
    driver.quit()


@needs_browser
def test_the_page_works_beneath_its_cell(
    lab: str, driver: webdriver.Chrome, tmp_path: Path
) -> None:
    # A headless window need not have the focus: then JupyterLab has no notebook at hand.
    driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
    driver.get(lab)
    wait = WebDriverWait(driver, WAIT_S)
    wait.until(lambda _: driver.execute_script(CONNECTED))
    driver.execute_script("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    frame = wait.until(lambda _: driver.find_element(By.CSS_SELECTOR, "iframe[srcdoc]"))
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", frame)
    driver.switch_to.frame(frame)
    ready = "return document.documentElement.dataset.ready"
    wait.until(lambda _: driver.execute_script(ready))
    assert driver.execute_script(ready) != "failed"
    text = driver.find_element(By.TAG_NAME, "body").text
    assert "In [2]:2" in text
    assert "return [str(number) * 100 for number in range(count)]" in text
    for tab in driver.find_elements(By.CSS_SELECTOR, "[role=tab]"):
        if tab.is_displayed():
            tab.click()  # each is a step in the history, which a page within a page has not
    driver.switch_to.default_content()
    driver.save_screenshot(str(tmp_path / "cell.png"))  # for those who want to see it
    logged = [entry["message"] for entry in driver.get_log("browser")]
    assert not [message for message in logged if "srcdoc" in message and "SecurityError" in message]
