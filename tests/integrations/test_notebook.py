"""Cells of a notebook, in a real kernel: recorded, and otherwise as they would be without."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import environment

import memdeep
from memdeep.report.page.html import MOST_WITHIN_BYTES, within

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

LOAD = "%load_ext memdeep"


class Cell:
    """What a cell has put out."""

    def __init__(self, cell: Any) -> None:
        self.number = cell.execution_count
        self.results = self._data(cell, "execute_result")
        self.pages = self._data(cell, "display_data")
        streams = [one for one in cell.outputs if one.output_type == "stream"]
        self.stdout = "".join(one.text for one in streams if one.name == "stdout")
        self.stderr = "".join(one.text for one in streams if one.name == "stderr")
        errors = [one for one in cell.outputs if one.output_type == "error"]
        self.error = errors[0].ename if errors else None
        lines = errors[0].traceback if errors else []
        self.traceback = re.sub("\x1b\\[[0-9;]*m", "", "\n".join(lines))

    @staticmethod
    def _data(cell: Any, kind: str) -> list[dict[str, str]]:
        return [dict(one.data) for one in cell.outputs if one.output_type == kind]


def execute(directory: Path, *sources: str) -> list[Cell]:
    """Execute the cells of a notebook in a kernel of its own, whatever becomes of them."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(directory)}},
    )
    client.execute(env=environment())
    return [Cell(cell) for cell in notebook.cells]


def only(cell: Cell) -> dict[str, str]:
    """Return the page that a cell shows."""
    (page,) = cell.pages
    return page


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def cells(directory: Path) -> list[Cell]:
    return execute(
        directory,
        LOAD,
        "def make(size):\n    return bytearray(size)",
        "%%memdeep --no-native --deep -o awaited\nimport asyncio\n"
        "kept = make(20_000_000)\nawait asyncio.sleep(0.01)\nlen(kept)",
        "_, len(kept)",
        "%%memdeep --no-native -o failed\nmore = bytearray(5_000_000)\n1 / 0",
        "%%memdeep --no-native --force -o failed\nagain = bytearray(9_000_000)\n1 / 0",
        "%%memdeep --no-native -o after\nlast = bytearray(4_000_000)",
        "%%memdeep --nonsense\nprint('never')",
        "%%memdeep --mark-every 1\nprint('never')",
        "%%memdeep --no-native -o timed\n%%time\nwith_time = bytearray(3_000_000)",
        "%memdeep off",
        "import memray, sys\nmemray.Tracker.__name__, sys.getprofile()",
    )


def test_a_cell_with_await_has_its_result_and_then_the_page(cells: list[Cell]) -> None:
    assert cells[2].results == [{"text/plain": "20000000"}]
    page = only(cells[2])
    assert page["text/html"].startswith("<iframe srcdoc=")
    assert 'sandbox="allow-scripts"' in page["text/html"]
    assert len(page["text/html"]) < 1 << 20
    assert "return bytearray(size)" in page["text/plain"]
    assert "awaited/report.html" in page["text/plain"]


def test_results_are_as_without(cells: list[Cell]) -> None:
    assert cells[3].results == [{"text/plain": "(20000000, 20000000)"}]
    assert [cell.number for cell in cells] == list(range(1, len(cells) + 1))


def test_lines_are_those_of_the_cells(cells: list[Cell], directory: Path) -> None:
    run = memdeep.load(directory / "awaited")
    assert run.culprit is not None
    assert (run.culprit.filename, run.culprit.lineno) == ("In [2]", 2)
    assert run.culprit.source is not None and run.culprit.source.strip() == "return bytearray(size)"
    frames = [(frame.filename, frame.lineno) for frame in run.culprit.stack]
    assert frames == [("In [3]", 3), ("In [2]", 2)]
    assert [phase.name for phase in run.phases] == ["In [3]"]
    assert run.phases["In [3]"].kept is not None
    assert 20_000_000 <= run.phases["In [3]"].kept < 21_000_000


def test_an_error_is_shown_as_without_and_the_page_with_it(
    cells: list[Cell], directory: Path
) -> None:
    assert cells[4].error == "ZeroDivisionError"
    assert "line 3" in cells[4].traceback
    assert "memdeep/" not in cells[4].traceback
    assert "more = bytearray(5_000_000)" in only(cells[4])["text/plain"]
    assert "again = bytearray(9_000_000)" in only(cells[5])["text/plain"]
    end = memdeep.load(directory / "failed").exit
    assert end is not None and "ZeroDivisionError" in "".join(end.evidence)


def test_an_error_of_an_earlier_cell_is_not_that_of_a_later_one(
    cells: list[Cell], directory: Path
) -> None:
    end = memdeep.load(directory / "after").exit
    assert end is not None and (end.verdict, end.evidence) == ("completed", ())


@pytest.mark.parametrize(
    "words", [("--last", "10m"), ("--disk", "1G"), ("--no-follow",), ("--notify", "true")]
)
def test_what_is_done_beside_a_process_of_its_own_is_refused(words: tuple[str, ...]) -> None:
    from IPython.core.error import UsageError

    from memdeep.integrations import notebook

    with pytest.raises(UsageError, match="is for `memdeep run` only"):
        notebook._settings(words)


def test_wrong_options_are_said_and_the_cell_does_not_run(cells: list[Cell]) -> None:
    assert "there is no option '--nonsense'" in cells[7].stderr + cells[7].traceback
    assert "--mark-every is for `memdeep run` only" in cells[8].stderr + cells[8].traceback
    assert "never" not in cells[7].stdout + cells[8].stdout
    assert "nothing is recorded" in cells[10].stderr + cells[10].traceback


def test_another_magic_may_follow(cells: list[Cell], directory: Path) -> None:
    assert "Wall time" in cells[9].stdout
    assert "bytearray(3_000_000)" in only(cells[9])["text/plain"]


def test_nothing_of_it_stays_in_the_kernel(cells: list[Cell]) -> None:
    assert cells[11].results == [{"text/plain": "('Tracker', None)"}]


def test_a_whole_notebook_has_its_cells_as_phases(tmp_path: Path) -> None:
    cells = execute(
        tmp_path,
        LOAD + "\nimport memdeep, os",
        "%memdeep on --no-native --deep -o whole",
        "one = bytearray(6_000_000)",
        "import asyncio\nawait asyncio.sleep(0.01)\ntwo = bytearray(7_000_000)",
        "%%memdeep\nthree = bytearray(8_000_000)",
        "raise KeyError('four')",
        "%memdeep off",
        "fd = len(os.listdir('/proc/self/fd'))\nbefore = len(os.listdir('/proc/self/task'))",
        "%%memdeep --no-native -q\nx = 1",
        "len(os.listdir('/proc/self/fd')) - fd, len(os.listdir('/proc/self/task')) - before",
    )
    assert [len(cell.pages) for cell in cells] == [0] * 6 + [1] + [0] * 3
    assert cells[5].error == "KeyError"
    run = memdeep.load(tmp_path / "whole")
    kept = {phase.name: round((phase.kept or 0) / 1e6) for phase in run.phases}
    del kept["In [6]"]  # IPython imports a megabyte to show a traceback
    assert kept == {"In [2]": 0, "In [3]": 6, "In [4]": 7, "In [5]": 8, "In [7]": 0}
    assert cells[9].results == [{"text/plain": "(0, 0)"}]


def test_a_cell_that_is_interrupted_keeps_its_traceback_and_its_page(tmp_path: Path) -> None:
    cells = execute(
        tmp_path,
        LOAD + "\nimport os, signal, threading",
        "%%memdeep --no-native -o stopped\nkept = bytearray(5_000_000)\n"
        "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "while True:\n    pass",
        "len(kept)",
    )
    assert cells[1].error == "KeyboardInterrupt"
    assert "kept = bytearray(5_000_000)" in only(cells[1])["text/plain"]
    assert cells[2].results == [{"text/plain": "5000000"}]


def test_a_kernel_that_is_killed_leaves_a_run_with_its_cells(tmp_path: Path) -> None:
    with pytest.raises(nbclient.exceptions.DeadKernelError):
        execute(
            tmp_path,
            LOAD + "\nimport os, signal, time",
            "%memdeep on --no-native -o killed",
            "kept = bytearray(5_000_000)\ntime.sleep(0.2)\nos.kill(os.getpid(), signal.SIGKILL)",
        )
    run = memdeep.load(tmp_path / "killed")
    assert run.culprit is not None
    assert (run.culprit.filename, run.culprit.lineno) == ("In [3]", 1)
    assert run.culprit.source == "kept = bytearray(5_000_000)"


def test_a_terminal_reads_the_verdict_and_is_left_as_it_was(tmp_path: Path) -> None:
    code = """
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
transformers = list(shell.input_transformers_cleanup)
callbacks = {name: list(found) for name, found in shell.events.callbacks.items()}
for cell in (
    "%load_ext memdeep",
    "%%memdeep --no-native --lang zh\\nkept = bytearray(5_000_000)\\nlen(kept)",
    "%unload_ext memdeep",
):
    shell.run_cell(cell, store_history=True)
print(transformers == shell.input_transformers_cleanup)
print(callbacks == shell.events.callbacks, "memdeep" in shell.magics_manager.magics["line"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment() | {"IPYTHONDIR": str(tmp_path / "ipython")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Out[2]: 5000000" in done.stdout
    assert "留了下来：由 In [2]:2" in done.stdout
    assert done.stdout.splitlines()[-2:] == ["True", "True False"]


def test_nbconvert_has_the_page_in_its_html(tmp_path: Path) -> None:
    pytest.importorskip("nbconvert")
    cells = [LOAD, "%%memdeep --no-native\nkept = bytearray(5_000_000)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in cells])
    nbformat.write(notebook, tmp_path / "cells.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "nbconvert", "--execute", "--to", "html", "cells.ipynb"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "cells.html").read_text("utf-8")
    assert "<iframe" in page and "srcdoc=" in page
    assert "kept = bytearray(5_000_000)" in page


def test_a_page_that_is_too_large_is_linked_to(tmp_path: Path) -> None:
    page = tmp_path / "a page.html"
    page.write_text("<" * MOST_WITHIN_BYTES, "utf-8")
    assert within(page) == f'<a href="{tmp_path}/a%20page.html" target="_blank">{page}</a>'
