"""What every test may ask for: memdeep run to its end, programs to run, runs with a page."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import properties
import pytest
from running import (
    PROGRAMS,
    TIMEOUT_S,
    Completed,
    RunMemdeep,
    Scenes,
    environment,
    faults_of_reports,
    memdeep_command,
)

properties.load_profile()
pytest_plugins = ["browser", "windows"]


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the tests' own; symbols come from this machine alone."""
    place = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(place))
        patch.delenv("DEBUGINFOD_URLS", raising=False)
        yield place


@pytest.fixture(scope="session", autouse=True)
def reports_are_valid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Holds every report.json that the tests made against the schema, once all are done."""
    yield
    assert faults_of_reports(tmp_path_factory.getbasetemp()) == []


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


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    return Scenes(tmp_path_factory.mktemp("scenes"))
