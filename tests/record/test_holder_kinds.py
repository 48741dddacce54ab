"""Holders of some hundred kinds are named as a reader of the program would name them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from holder_kinds import (
    ARRAYS,
    ARRAYS_START,
    END,
    KINDS,
    LOAD,
    LOOK,
    ORM,
    ORM_START,
    RUNNING,
    START,
    Kind,
)
from running import environment

from memdeep.model.graph import HELD_BY_C, NAMED, NO_ROW
from memdeep.rundir import graph
from memdeep.rundir.directory import RunDirectory

pytest.importorskip("memdeep.record._holders")

HELD_BY_C_ONLY = ("held_by_c", "at_exit")
Found = dict[str, tuple[str, int]]  # path and state by kind


def planted(directory: Path, start: str, kinds: Iterable[Kind], end: str = LOOK + END) -> Found:
    """Run a program with all ``kinds``, and look at it once."""
    code = [kind.code.replace(LOAD, f"load({kind.name!r})") for kind in kinds if kind.is_there]
    (directory / "job.py").write_text("\n".join([start, *code, end]))
    command = [sys.executable, "-m", "memdeep", "run", "--quiet", "--no-native", "-o", "run"]
    done = subprocess.run(
        [*command, "--holders-at", "planted", "job.py"],
        cwd=directory,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (path,) = RunDirectory(directory / "run").graphs()
    seen = graph.read(path)
    places = {address: place for place, address in enumerate(seen.addresses)}
    found = {}
    for name, address in json.loads((directory / "addresses.json").read_text()).items():
        place = places.get(address)
        if place is None:
            found[name] = ("not seen", -1)
            continue
        row = seen.holders[place]
        words = "no row" if row == NO_ROW else seen.rows[row].path
        found[name] = (re.sub(r"( at \S+\.py):\d+", r"\1:N", words), seen.states[place])
    return found


@cache
def plain() -> Found:
    with TemporaryDirectory() as directory:
        return planted(Path(directory), START, KINDS)


@cache
def running() -> Found:
    with TemporaryDirectory() as directory:
        return planted(Path(directory), START, RUNNING, END)


@cache
def arrays() -> Found:
    with TemporaryDirectory() as directory:
        return planted(Path(directory), ARRAYS_START, ARRAYS)


@cache
def orm() -> Found:
    with TemporaryDirectory() as directory:
        return planted(Path(directory), ORM_START, ORM)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_holder_is_named(kind: Kind) -> None:
    if not kind.is_there:
        pytest.skip("not in this Python")
    state = HELD_BY_C if kind.name in HELD_BY_C_ONLY else NAMED
    assert plain()[kind.name] == (kind.path, state)


@pytest.mark.parametrize("kind", RUNNING, ids=lambda kind: kind.name)
def test_a_holder_that_runs_is_named(kind: Kind) -> None:
    assert running()[kind.name] == (kind.path, NAMED)


@pytest.mark.parametrize("kind", ORM, ids=lambda kind: kind.name)
def test_what_a_session_of_an_orm_holds_is_named(kind: Kind) -> None:
    pytest.importorskip("sqlalchemy")
    assert orm()[kind.name] == (kind.path, NAMED)


@pytest.mark.parametrize("kind", ARRAYS, ids=lambda kind: kind.name)
def test_a_holder_of_arrays_is_named(kind: Kind) -> None:
    for name in ("numpy", "pandas"):
        pytest.importorskip(name)
    assert arrays()[kind.name] == (kind.path, NAMED)
