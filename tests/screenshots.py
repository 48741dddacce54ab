"""`make screenshots`: pictures of pages of real runs, for people to look at; no test.

Writes PNG files into the directory given, `screenshots/` unless told otherwise.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from browser import Reader, start

ROOT = Path(__file__).parent.parent
PROGRAMS = ROOT / "tests" / "programs"
BACKTEST = str(ROOT / "examples" / "backtest" / "deepseek_backtest.py")
RUNS = {
    "backtest": [BACKTEST, "backtest-deepseek", "--scale", "0.3"],
    "small": [str(PROGRAMS / "page_target.py")],
    "30-phases": [str(PROGRAMS / "many_phases.py"), "30", "1"],
    "1-phase": [str(PROGRAMS / "many_phases.py"), "1", "1"],
    "1000-repeats": [str(PROGRAMS / "many_phases.py"), "1", "1000"],
    "killed": [str(PROGRAMS / "dies.py"), "SIGKILL"],
    "4-processes": [str(PROGRAMS / "starts_workers.py"), "3"],
    "40-processes": [str(PROGRAMS / "starts_workers.py"), "39"],
    "400-processes": [str(PROGRAMS / "starts_workers.py"), "399"],
}
# Of which run, how wide, and what is chosen first: (theme, language, link, view).
SHOTS = {
    "light": ("backtest", 1280, "light", "en", ""),
    "dark": ("backtest", 1280, "dark", "en", ""),
    "zh": ("backtest", 1280, "light", "zh", ""),
    "narrow": ("backtest", 400, "light", "en", ""),
    "narrow-dark-zh": ("small", 400, "dark", "zh", "#phase=1&view=lines"),
    "30-phases": ("30-phases", 1280, "light", "en", ""),
    "1-phase": ("1-phase", 1280, "light", "en", ""),
    "1000-repeats": ("1000-repeats", 1280, "dark", "en", ""),
    "killed": ("killed", 1280, "light", "en", ""),
    "killed-narrow": ("killed", 400, "dark", "en", ""),
    "4-processes": ("4-processes", 1280, "light", "en", ""),
    "4-processes-zh": ("4-processes", 1280, "dark", "zh", "#phase=1&thread=g1&threads=1"),
    "40-processes": ("40-processes", 1280, "dark", "en", ""),
    "400-processes": ("400-processes", 1280, "light", "en", ""),
    "400-processes-narrow": ("400-processes", 400, "light", "zh", ""),
    "lines": ("small", 1280, "light", "en", "#phase=1&metric=peak&view=lines"),
    "source": ("small", 1280, "dark", "en", "#phase=2&view=source"),
    "comparison": ("small", 1280, "light", "en", "#phase=1&vs=phase-2&metric=retained"),
    "comparison-dark": ("small", 1280, "dark", "en", "#phase=3&vs=phase-2&metric=peak"),
}


def record(name: str, directory: Path) -> Path:
    words = [sys.executable, "-m", "memdeep", "run", "--quiet", "-o", str(directory / name)]
    environment = {**os.environ, "MANUAL_BACKTEST": "true"}
    subprocess.run([*words, *RUNS[name]], env=environment, stdout=subprocess.DEVNULL)
    return directory / name / "report.html"


def resize(reader: Reader, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    reader.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots")
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="memdeep-screenshots-") as name:
        directory = Path(name)
        pages = {run: record(run, directory) for run in RUNS}
        driver = start(directory / "profile")
        try:
            reader = Reader(driver)
            for shot, (run, width, theme, language, link) in SHOTS.items():
                resize(reader, width, 900)
                reader.open(pages[run], link)
                reader.click(f"[data-set-theme={theme}]")
                reader.click(f"[data-set-language={language}]")
                reader.wait(lambda: reader.run("return scrollTo(0, 0), true"))
                resize(reader, width, reader.run("return document.body.scrollHeight") + 60)
                reader.run("return new Promise((done) => setTimeout(done, 400))")
                driver.save_screenshot(str(target / f"{shot}.png"))
                print(target / f"{shot}.png")
        finally:
            driver.quit()


if __name__ == "__main__":
    main()
