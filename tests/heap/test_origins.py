"""A file name tells whose code it is, by the paths of the Python that ran the program."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import ANY_TEXT
from hypothesis import given

import memdeep
from memdeep.heap.origins import Origins
from memdeep.model import Origin

STDLIB = "/opt/python/lib/python3.12"
LIBRARIES = "/opt/python/lib/python3.12/site-packages"
VENDORED = "/srv/app/vendor"


@pytest.fixture
def origins() -> Origins:
    return Origins([STDLIB], [LIBRARIES, VENDORED + "/"])


@pytest.mark.parametrize(
    ("filename", "origin"),
    [
        ("/srv/app/prog.py", Origin.USER),
        ("prog.py", Origin.USER),
        ("", Origin.USER),
        ("<", Origin.USER),
        ("<stdin>", Origin.USER),
        ("<ipython-input-1-2ab3>", Origin.USER),
        ("<doctest mine.load[0]>", Origin.USER),
        ("<string>", Origin.LIBRARY),
        ("<attrs generated init mine.Row>", Origin.LIBRARY),
        ("<sqlalchemy.orm generated>", Origin.LIBRARY),
        ("<__array_function__ internals>", Origin.LIBRARY),
        ("<eval_with_key>.3", Origin.LIBRARY),
        ("<>.py", Origin.USER),
        (f"{STDLIB}/json/decoder.py", Origin.STDLIB),
        ("<frozen importlib._bootstrap>", Origin.STDLIB),
        (f"{LIBRARIES}/numpy/__init__.py", Origin.LIBRARY),
        ("/home/me/.venv/lib/python3.12/site-packages/pandas/io.py", Origin.LIBRARY),
        ("/usr/lib/python3/dist-packages/apt/cache.py", Origin.LIBRARY),
        (f"{VENDORED}/tool.py", Origin.LIBRARY),
        (f"{VENDORED}-mine/tool.py", Origin.USER),
        ("/opt/python/lib/python3.123/mine.py", Origin.USER),
        ("/home/me/lib/python3.12/own.py", Origin.USER),
    ],
)
def test_install_paths_tell_whose_code_it_is(
    origins: Origins, filename: str, origin: Origin
) -> None:
    assert origins.of(filename) is origin


def test_what_runs_inside_the_program_is_memdeeps_own(origins: Origins) -> None:
    package = Path(memdeep.__file__).parent
    assert origins.of(str(package / "record" / "api.py")) is Origin.MEMDEEP
    assert Origins().of(str(package / "record" / "api.py")) is Origin.MEMDEEP


@pytest.mark.parametrize(
    ("filename", "origin"),
    [
        ("/usr/lib/python3.11/json/decoder.py", Origin.STDLIB),
        ("/usr/lib/python3.11/site-packages/numpy/core.py", Origin.LIBRARY),
        ("<frozen runpy>", Origin.STDLIB),
        ("/srv/app/prog.py", Origin.USER),
    ],
)
def test_without_install_paths_the_usual_shapes_decide(filename: str, origin: Origin) -> None:
    assert Origins().of(filename) is origin


@given(filename=ANY_TEXT)
def test_any_name_has_an_origin(filename: str) -> None:
    assert Origins([STDLIB], [LIBRARIES]).of(filename) in Origin


def test_the_memdeep_that_recorded_may_be_another_one() -> None:
    origins = Origins([STDLIB], [LIBRARIES], "/elsewhere/memdeep")
    assert origins.of("/elsewhere/memdeep/record/bootstrap.py") is Origin.MEMDEEP
    assert origins.of("/elsewhere/memory_monitor.py") is Origin.MEMDEEP
    assert origins.of("/elsewhere/job.py") is Origin.USER


def test_the_installed_tool_that_was_run_is_told_from_other_libraries() -> None:
    launcher = "/opt/python/bin/tool"
    own = (f"{LIBRARIES}/tool", f"{LIBRARIES}/single.py", "/srv/app/prog.py", f"{STDLIB}/json")
    origins = Origins([STDLIB], [LIBRARIES, launcher], own_paths=own)
    assert origins.of(launcher) is Origin.LIBRARY
    assert origins.of(f"{LIBRARIES}/tool/deep/core.py") is Origin.TOOL
    assert origins.of(f"{LIBRARIES}/single.py") is Origin.TOOL
    assert origins.of(f"{LIBRARIES}/toolbox/core.py") is Origin.LIBRARY
    assert origins.of("/srv/app/prog.py") is Origin.USER
    assert origins.of(f"{STDLIB}/json/tool.py") is Origin.STDLIB


def test_code_given_with_c_is_the_users() -> None:
    origins = Origins([STDLIB], [LIBRARIES], own_paths=["<string>"])
    assert origins.of("<string>") is Origin.USER
    assert origins.of("<attrs generated init mine.Row>") is Origin.LIBRARY
