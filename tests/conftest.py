"""Runs memdeep, and plain python, in real subprocesses, the way a user does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["browser", "windows"]

PROGRAMS = Path(__file__).parent / "programs"
TIMEOUT_S = 30.0
# `symbols` is there too, where the native stacks of the run could be named.
RUN_FILES = ("capture.bin", "journal.jsonl", "meta.json", "monitor.log", "samples")

Completed = subprocess.CompletedProcess[bytes]
RunMemdeep = Callable[..., Completed]


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without the variables that change what programs print."""
    dropped = ("PYTHONUNBUFFERED", "PYTHONSAFEPATH", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | {"TERM": "xterm", "PYTHONDONTWRITEBYTECODE": "1"} | changes


def memdeep_command(*args: object) -> list[Any]:
    """The words that run memdeep in the Python of the tests; bytes stay bytes."""
    words = [arg if isinstance(arg, bytes) else str(arg) for arg in args]
    return [sys.executable, "-m", "memdeep", *words]


def wait_until(condition: Callable[[], object]) -> None:
    """Poll ``condition`` until it is true; fails after a while."""
    give_up_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < give_up_s, "waited in vain"
        time.sleep(0.01)


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_bytes())


def complaint(completed: Completed) -> tuple[str, str]:
    """The sentence and the hint of an error: all that may be on stderr."""
    text = completed.stderr.decode()
    assert "Traceback" not in text
    lines = text.splitlines()
    assert len(lines) == 2, text
    sentence, hint = lines
    assert sentence.startswith("memdeep: "), text
    assert sentence.endswith("."), text
    assert hint.startswith("  "), text
    assert hint.strip(), text
    return sentence.removeprefix("memdeep: "), hint.strip()


def tree(directory: Path) -> dict[str, bytes | None]:
    """Every path below ``directory`` with its content; None for a directory."""
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
        for path in sorted(directory.rglob("*"))
    }


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the tests' own; symbols come from this machine alone."""
    place = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(place))
        patch.delenv("DEBUGINFOD_URLS", raising=False)
        yield place


@pytest.fixture
def run_memdeep(tmp_path: Path) -> RunMemdeep:
    """Runs `memdeep ARGS` in ``tmp_path`` to its end; stdin is ``input``, outputs are bytes."""

    def run(
        *args: object,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        input: bytes = b"",
        **options: Any,
    ) -> Completed:
        return subprocess.run(
            memdeep_command(*args),
            cwd=cwd or tmp_path,
            env=env or environment(),
            input=input,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            **options,
        )

    return run


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A fresh copy of the target programs, to be the working directory."""
    return Path(shutil.copytree(PROGRAMS, tmp_path / "work"))


class Scenes:
    """Runs of tests/programs/page_scenes.py under memdeep, each made when it is first asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def page(self, scene: str) -> Path:
        """The report page of ``scene``; report.json is beside it."""
        page = self._directory / scene / "report.html"
        if not page.exists():
            program = PROGRAMS / "page_scenes.py"
            command = memdeep_command("run", "--quiet", "-o", page.parent, program, scene)
            done = subprocess.run(
                command, cwd=self._directory, env=environment(), capture_output=True, check=False
            )
            assert page.exists(), done.stderr.decode()
        return page


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    return Scenes(tmp_path_factory.mktemp("scenes"))
