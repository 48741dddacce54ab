"""Page in headless Chromium: its size, time to be ready, and frames a second of its flame graph.

Beside `memray flamegraph --temporal` on the same capture. Says so if there is no Chromium.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from benchmarks import commands

STACKS = 100_000
FRAMES_PER_STACK = 12
FRAMES_MEASURED = 120
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = """headless no-sandbox disable-gpu disable-quic no-first-run disable-sync
disable-background-networking disable-component-update window-size=1280,900"""

# 30 phases; each makes its share of the allocations from many stacks and keeps a tenth of them.
PROGRAM = """
import sys
from memdeep import phase

def leaf(sizes, depth):
    if depth == 0:
        return [bytearray(size) for size in sizes]
    return branch[depth % 4](sizes, depth - 1)

branch = [
    lambda sizes, depth: leaf(sizes, depth),
    lambda sizes, depth: list(leaf(sizes, depth)),
    lambda sizes, depth: leaf(sizes, depth)[:],
    lambda sizes, depth: [*leaf(sizes, depth)],
]
kept = []
each = int(sys.argv[1]) // 30
for number in range(30):
    with phase(f"阶段 {number}"):
        for turn in range(each // 1000):
            made = leaf([600 + turn % 50] * 1000, turn % 40)
            kept.append(made[:100])
            del made
"""

# A tree of STACKS different stacks laid out as the page lays out its own, then moved: every frame a
# step of a zoom into the middle and of a pan. Reports seconds between frames and of drawing alone.
MOVES = """
const [stacks, depth, measured, done] = arguments;
const { page, flameLayout } = memdeep;
const core = { ...page.data.core, nodes: { parent: [], frame: [] } };
const kinds = core.frames.function.length;
let seed = 1;
const random = () => { seed = (seed * 48271) % 2147483647; return seed / 2147483647; };
const ends = [];
const trunk = [-1];
while (ends.length < stacks) {
  let at = trunk[Math.floor(random() * trunk.length)];
  const length = 1 + Math.floor(random() * depth);
  for (let i = 0; i < length; i += 1) {
    core.nodes.parent.push(at);
    core.nodes.frame.push(Math.floor(random() * kinds));
    at = core.nodes.parent.length - 1;
    if (trunk.length < 4000) trunk.push(at);
  }
  ends.push(at);
}
const size = core.nodes.parent.length;
const bytes = new Float64Array(size);
const count = new Float64Array(size);
ends.forEach((end) => { bytes[end] = 1 + Math.floor(random() ** 6 * 1e6); count[end] = 1; });
const view = { ...page.store.get(), native: 'show', imports: true };
const began = performance.now();
const tree = flameLayout.build(core, { bytes, count, signed: false }, view);
const laid = performance.now() - began;
const { flame } = page.explorer;
flame.show(tree, { title: 'bench', label: 'bench', flip: false, frames: [], selected: null });
const times = [];
const draws = [];
function step(now) {
  times.push(now);
  const t = times.length / measured;
  const width = t < 0.5 ? 1 - 1.9 * t : 0.05;
  const from = t < 0.5 ? (1 - width) / 2 : 0.475 + (t - 0.5) * 0.8;
  const start = performance.now();
  flame.drawAt(from, from + width);
  draws.push(performance.now() - start);
  if (times.length < measured) requestAnimationFrame(step);
  else {
    const held = tree.own.filter((own) => own > 0).length;
    done({ nodes: tree.size, stacks: held, laid, times, draws });
  }
}
requestAnimationFrame(step);
"""

# The table of a thousand phases from its first row to its last, and a loop that does nothing.
PHASES = """
from memdeep import phase
kept = []
for number in range(1000):
    with phase(f"batch {number:04}"):
        kept.append(bytearray(20_000 + 500 * (number % 11)))
"""
SCROLLS = """
const [measured, done] = arguments;
const box = document.getElementById('phases');
box.scrollIntoView({ block: 'center' });
const loop = (move) => new Promise((through) => {
  const times = [];
  const step = (now) => {
    move(times.length / measured);
    if (times.push(now) < measured) requestAnimationFrame(step);
    else through(times);
  };
  requestAnimationFrame(step);
});
(async () => {
  const idle = await loop(() => {});
  const end = box.scrollHeight - box.clientHeight;
  const scrolled = await loop((part) => { box.scrollTop = part * end; });
  done({ idle, scrolled, rows: box.querySelectorAll('tbody tr').length });
})();
"""


def measure(console: Console, place: Path, allocations: int, rounds: int) -> None:
    """Print sizes, times from navigation, and frames a second."""
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver_path = shutil.which("chromedriver")
    if chromium is None or driver_path is None:
        console.print("The page is not measured: there is no Chromium with chromedriver.")
        return
    report, flamegraph = _pages(place, allocations)
    driver = _browser(place, chromium, driver_path)
    try:
        ready = [_ready_s(driver, report) for _ in range(rounds)]
        moved = _moves(driver, report)
        scrolled = _scrolls(driver, _page_of_phases(place))
        ours = [_first_paint_s(driver, report) for _ in range(rounds)]
        theirs = [_first_paint_s(driver, flamegraph) for _ in range(rounds)]
    finally:
        driver.quit()
    table = Table(title=f"The page of 30 phases, {allocations:,} allocations, native")
    for column in ("", "memdeep", "memray flamegraph --temporal"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("size", *(f"{page.stat().st_size / 1e6:.2f} MB" for page in (report, flamegraph)))
    table.add_row("first paint", *(f"{median(times):.2f} s" for times in (ours, theirs)))
    table.add_row("navigation to ready", f"{median(ready):.2f} s", "–")
    title = f"flame graph, {moved['stacks']:,} stacks ({moved['nodes']:,} frames)"
    pause = max(end - start for start, end in pairwise(moved["times"]))
    rate = f"{_rate(moved['times']):.0f}, longest pause {pause:.0f} ms"
    table.add_row(f"{title}: frames a second", rate, "–")
    slowest = sorted(moved["draws"])[int(0.99 * len(moved["draws"]))]
    drawing = f"{median(moved['draws']):.1f} ms, 99th percentile {slowest:.1f} ms"
    table.add_row("drawing one of them", drawing, "–")
    table.add_row("laying it out", f"{moved['laid']:.0f} ms", "–")
    rates = f"{_rate(scrolled['scrolled']):.0f}, of {_rate(scrolled['idle']):.0f} doing nothing"
    title = f"scrolling 1,000 phases ({scrolled['rows']} rows exist): frames a second"
    table.add_row(title, rates, "–")
    console.print(table)


def _pages(place: Path, allocations: int) -> tuple[Path, Path]:
    program, run_dir, flamegraph = place / "thirty.py", place / "page-run", place / "temporal.html"
    program.write_text(PROGRAM, "utf-8")
    words = [sys.executable, "-m", "memdeep", "run", "--quiet", "--force", "--native"]
    commands.seconds([*words, "-o", str(run_dir), str(program), str(allocations)])
    memray = [sys.executable, "-m", "memray", "flamegraph", "--temporal", "--force"]
    try:
        commands.seconds([*memray, "--no-web", "-o", str(flamegraph), str(run_dir / "capture.bin")])
    except subprocess.CalledProcessError:  # a memray before `--no-web`
        commands.seconds([*memray, "-o", str(flamegraph), str(run_dir / "capture.bin")])
    return run_dir / "report.html", flamegraph


def _page_of_phases(place: Path) -> Path:
    program, run_dir = place / "thousand.py", place / "phases-run"
    program.write_text(PHASES, "utf-8")
    words = [sys.executable, "-m", "memdeep", "run", "--quiet", "--force"]
    commands.seconds([*words, "-o", str(run_dir), str(program)])
    return run_dir / "report.html"


def _browser(place: Path, chromium: str, driver_path: str) -> webdriver.Chrome:
    options = Options()
    options.binary_location = chromium
    for flag in FLAGS.split():
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={place / 'profile'}")
    return webdriver.Chrome(options=options, service=Service(driver_path))


def _ready_s(driver: webdriver.Chrome, page: Path) -> float:
    """Return the seconds from navigation until the page answers clicks."""
    noted = """
    document.addEventListener('readystatechange', () => {
      new MutationObserver(() => { window.readyAt ??= performance.now(); }).observe(
        document.documentElement, { attributeFilter: ['data-ready'] });
    }, { once: true });
    """
    added = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": noted})
    driver.get("about:blank")
    driver.get(page.as_uri())
    found = _waited(driver, "return window.readyAt ?? null")
    driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
    return float(found) / 1000


def _first_paint_s(driver: webdriver.Chrome, page: Path) -> float:
    driver.get("about:blank")
    driver.get(page.as_uri())
    entry = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
    return float(_waited(driver, entry)) / 1000


def _moves(driver: webdriver.Chrome, page: Path) -> dict[str, Any]:
    _ready_s(driver, page)
    driver.set_script_timeout(120)
    driver.execute_script("document.querySelector('canvas').scrollIntoView({ block: 'center' })")
    words = (MOVES, STACKS, FRAMES_PER_STACK, FRAMES_MEASURED)
    return dict(driver.execute_async_script(*words))


def _scrolls(driver: webdriver.Chrome, page: Path) -> dict[str, Any]:
    _ready_s(driver, page)
    return dict(driver.execute_async_script(SCROLLS, FRAMES_MEASURED))


def _waited(driver: webdriver.Chrome, script: str) -> Any:
    return WebDriverWait(driver, 60, 0.05).until(lambda d: d.execute_script(script))


def _rate(times: list[float]) -> float:
    """Return frames a second from the milliseconds at which each began."""
    return 1000 * (len(times) - 1) / (times[-1] - times[0])
