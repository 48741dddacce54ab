"""`make showcase`: the pictures of the README and of the documentation, and the sample report.

All are of one real run of the bundled backtest; the comparison is with one of a mended copy, and
the cluster is that of the page on Dask. Paths of this machine become neutral ones.
"""

from __future__ import annotations

import base64
import gzip
import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from browser import Reader, start
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text
from screenshots import resize
from shown import blocks

from memdeep import pipeline
from memdeep.live.web import WebWatch
from memdeep.report import terminal
from memdeep.rundir import live
from memdeep.rundir.directory import RunDirectory
from memdeep.text.language import language

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
SAMPLE = ROOT / "docs" / "sample" / "report.html"
COMMAND = "memdeep run examples/backtest/deepseek_backtest.py backtest-deepseek"
SHOWN_PLACE = Path("memdeep-runs/deepseek_backtest-20251120-103045/report.html")
MAX_SAMPLE_BYTES = 600 << 10
MAX_PICTURE_BYTES = 150 << 10
LIVE_BYTES = 200 << 20  # of heap: then the picture of a run that goes on is taken
PICTURE = (1280, 860)  # CSS pixels: about what a reader of the page sees first
NEUTRAL = (
    (re.compile(re.escape(str(ROOT))), "/home/you/memdeep"),
    (re.compile(re.escape(sys.base_prefix)), "/usr/local"),
    (re.compile(r"/tmp/python-build\.[^/\"]+/"), "/usr/src/"),
    (re.compile(r"(/tmp|/var/folders)/[^\"<>:]*?/memdeep-showcase-\w+"), "/home/you/memdeep"),
    (re.compile(r"/tmp/memdeep-showcase-\w+"), "/home/you/memdeep"),
)
BLOCK = re.compile(r'(<script type="application/gzip"[^>]*>)([\w+/=]+)(</script>)')
# rich has the reader fetch a font, cuts underscores off, and counts a wide character as narrow.
SVG_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
SVG_CLIP = re.compile(r' clip-path="url\(#memdeep-line-\d+\)"')
SVG_TEXT = re.compile(r'textLength="[\d.]+"([^>]*)>([^<]*)<')
SVG_CELL = 12.2  # width of a character


MENDED = (
    "        config: Config = json.load(handle)\n",
    "        config: Config = json.load(handle, object_hook=without_history)\n",
)
WITHOUT_HISTORY = """
def without_history(section: dict[str, Any]) -> dict[str, Any]:
    \"\"\"Keep the last trades only.\"\"\"
    if "trade_history" in section:
        section["trade_history"] = section["trade_history"][-1000:]
    return section


def load_config("""


def record(run_dir: Path, root: Path = ROOT, options: Sequence[str] = ()) -> None:
    """Run the backtest in ``root`` as the README has it, but for ``options``, into ``run_dir``."""
    words = [sys.executable, "-m", "memdeep", "run", "--output", str(run_dir), *options]
    environment = {**os.environ, "MANUAL_BACKTEST": "true"}
    subprocess.run([*words, *COMMAND.split()[2:]], cwd=root, env=environment, check=True)


def mend(root: Path) -> None:
    """Copy the backtest into ``root``, and mend it: of the history it keeps a part only."""
    shutil.copytree(ROOT / "examples" / "backtest", root / "examples" / "backtest")
    path = root / "examples" / "backtest" / "learning.py"
    source = path.read_text("utf-8")
    for old, new in (MENDED, ("\ndef load_config(", WITHOUT_HISTORY)):
        if old not in source:
            raise SystemExit(f"{path.name} has no {old!r}.")
        source = source.replace(old, new)
    path.write_text(source, "utf-8")


def compare(before: Path, after: Path, page: Path) -> None:
    """Write the comparison of two runs as a page."""
    words = ["diff", before.name, after.name, "--format", "html", "-o", str(page)]
    subprocess.run([sys.executable, "-m", "memdeep", *words], cwd=before.parent, check=True)
    page.write_text(neutral_page(page.read_text("utf-8")), "utf-8")


def record_cluster(place: Path) -> Path:
    """Run the program of the page on Dask in ``place``, and return its report."""
    place.mkdir()
    for block in blocks(ROOT / "docs" / "howto" / "dask.md"):
        if block.title:
            (place / block.title).write_text(block.text, "utf-8")
            subprocess.run([sys.executable, block.title], cwd=place, check=True)
    page = place / "out" / "report.html"
    page.write_text(neutral_page(page.read_text("utf-8")), "utf-8")
    return page


def neutral(text: str) -> str:
    """Return ``text`` without paths of this machine."""
    for pattern, instead in NEUTRAL:
        text = pattern.sub(instead, text)
    return text


def neutral_page(page: str) -> str:
    """Return a page without paths of this machine, in its packed blocks too."""

    def repacked(match: re.Match[str]) -> str:
        text = gzip.decompress(base64.b64decode(match[2])).decode()
        packed = gzip.compress(neutral(text).encode(), compresslevel=9, mtime=0)
        return match[1] + base64.b64encode(packed).decode() + match[3]

    return BLOCK.sub(repacked, neutral(page))


def terminal_picture(run_dir: Path) -> str:
    """Return what the terminal shows of the run, as SVG."""
    report = pipeline.analyse(pipeline.load(run_dir, lambda _: None), lambda _: None)
    console = Console(
        record=True, width=80, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    english = language("en")
    console.print(Text.assemble(("$ ", "bold green"), COMMAND))
    console.print(terminal.verdict(report, console.width, english), highlight=False)
    console.print(Text("\n").append_text(Text("Report: ")).append(f"{SHOWN_PLACE}\n"))
    drawn = console.export_svg(title="memdeep", unique_id="memdeep")
    for pattern in (SVG_FONT, SVG_CLIP):
        drawn = pattern.sub("", drawn)
    return neutral(SVG_TEXT.sub(_measured, drawn)) + "\n"


def _measured(match: re.Match[str]) -> str:
    width = SVG_CELL * cell_len(html.unescape(match[2]))
    return f'textLength="{width:.1f}"{match[1]}>{match[2]}<'


def photograph(page: Path, name: str, profile: Path, themes: Sequence[str], part: str = "") -> None:
    """Take the pictures ``name`` of a page in ``themes``: of its top, or of a ``part``.

    The first group in that part is opened.
    """
    driver = start(profile)
    try:
        reader = Reader(driver)
        resize(reader, *PICTURE)
        for theme in themes:
            feature = {"name": "prefers-color-scheme", "value": theme}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
            reader.open(page)
            reader.run("return new Promise((done) => setTimeout(done, 600))")
            if part:
                reader.run(f"document.getElementById('{part}').scrollIntoView()")
                reader.run(f"document.querySelector('#{part} [data-group]')?.click()")
                reader.run("return new Promise((done) => setTimeout(done, 600))")
            shot = driver.execute_cdp_cmd(
                "Page.captureScreenshot", {"format": "webp", "quality": 80}
            )
            path = IMAGES / f"{name}-{theme}.webp"
            write(path, base64.b64decode(shot["data"]), MAX_PICTURE_BYTES)
    finally:
        driver.quit()


def photograph_live(run_dir: Path, profile: Path) -> None:
    """Take the picture of a run that goes on: `memdeep watch --web` in the middle of it."""
    words = [sys.executable, "-m", "memdeep", "run", "--no-report", "--output", str(run_dir)]
    environment = {**os.environ, "MANUAL_BACKTEST": "true"}
    levels = ["--quiet", "--warning-mb", "400", "--memory-limit", "2G"]
    program = COMMAND.split()[2:]
    with subprocess.Popen([*words, *levels, *program], cwd=ROOT, env=environment) as process:
        heap_bytes = 0
        while process.poll() is None and heap_bytes < LIVE_BYTES:
            time.sleep(0.2)
            found = live.read(run_dir / "live.json")
            heap_bytes = 0 if found is None else found.memory.heap_bytes or 0
        driver = start(profile)
        with WebWatch(RunDirectory(run_dir), pipeline.live_page(run_dir.name)) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                reader = Reader(driver)
                resize(reader, *PICTURE)
                driver.get(server.address)
                reader.wait(lambda: reader.ready() == "yes" and reader.all("[data-rows] tr"))
                asked = {"format": "webp", "quality": 80}
                shot = driver.execute_cdp_cmd("Page.captureScreenshot", asked)
                content = base64.b64decode(shot["data"])
                write(IMAGES / "watch-light.webp", content, MAX_PICTURE_BYTES)
            finally:
                driver.quit()
                server.shutdown()
        process.terminate()


def write(path: Path, content: bytes, most: int) -> None:
    """Write a file of at most so many bytes, and say so."""
    if len(content) > most:
        raise SystemExit(
            f"{path.relative_to(ROOT)} would be {len(content):,} bytes, over {most:,}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    print(f"{path.relative_to(ROOT)}: {len(content):,} bytes")


def main() -> None:
    """Run the backtest, and write the sample report and the pictures."""
    with tempfile.TemporaryDirectory(prefix="memdeep-showcase-") as name:
        run_dir = Path(name, "run")
        record(run_dir)
        page = neutral_page((run_dir / "report.html").read_text("utf-8"))
        write(SAMPLE, page.encode(), MAX_SAMPLE_BYTES)
        svg = terminal_picture(run_dir).encode()
        write(IMAGES / "terminal.svg", svg, MAX_PICTURE_BYTES)
        photograph(SAMPLE, "page", Path(name, "profile"), ("light", "dark"))
        looked_at = Path(name, "holders.html")
        record(Path(name, "looks"), options=("--deep", "--holders"))
        page = neutral_page(Path(name, "looks", "report.html").read_text("utf-8"))
        looked_at.write_text(page, "utf-8")
        photograph(looked_at, "holders", Path(name, "profile"), ("light",), "holders")
        cluster = record_cluster(Path(name, "cluster"))
        photograph(cluster, "cluster", Path(name, "profile"), ("light",), "across")
        before, after = Path(name, "before"), Path(name, "after")
        run_dir.rename(before)
        mend(Path(name, "mended"))
        record(after, Path(name, "mended"))
        compare(before, after, Path(name, "diff.html"))
        photograph(Path(name, "diff.html"), "diff", Path(name, "profile"), ("light",))
        photograph_live(Path(name, "live"), Path(name, "profile"))


if __name__ == "__main__":
    main()
