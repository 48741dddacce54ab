"""`python OPTIONS` before a program is understood, if it is the Python that memdeep runs in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from memdeep.errors import ProgramError
from memdeep.run.interpreter import without_python


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, with our own Python as `python`, and another one as `python3.99`."""
    (tmp_path / "bin").mkdir()
    own = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'  # as the shims of pyenv are
    for name, content in (("python", own), ("python3", own), ("python3.99", "#!/bin/sh\n")):
        (tmp_path / "bin" / name).write_text(content)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "options", "rest"),
    [
        ("python x.py a", (), "x.py a"),
        ("python3 -m mod -u", (), "-m mod -u"),
        ("python -c pass", (), "-c pass"),
        ("python -u -X dev x.py -u", ("-u", "-X", "dev"), "x.py -u"),
        ("python -OBm mod", ("-OB",), "-m mod"),
        ("python - a", (), "- a"),
        ("python", (), ""),
        ("x.py python y.py", (), "x.py python y.py"),
        ("pythonic.py", (), "pythonic.py"),
        ("-m python", (), "-m python"),
    ],
)
def test_the_word_is_dropped(words: str, options: tuple[str, ...], rest: str) -> None:
    assert without_python(words.split()) == (options, tuple(rest.split()))


def test_by_its_path(here: Path) -> None:
    assert without_python([sys.executable, "-I", "x.py"]) == (("-I",), ("x.py",))
    assert without_python(["../bin/python", "x.py"]) == ((), ("x.py",))


def test_a_script_of_this_name_is_the_program(here: Path) -> None:
    (here / "work" / "python").write_text("print('mine')\n")
    assert without_python(["python", "x.py"]) == ((), ("python", "x.py"))
    (here / "work" / "python3").mkdir()
    assert without_python(["python3", "x.py"]) == ((), ("x.py",))
    (here / "work" / "python3" / "__main__.py").touch()
    assert without_python(["python3", "x.py"]) == ((), ("python3", "x.py"))


def test_another_python_is_told_to_have_memdeep_installed(here: Path) -> None:
    with pytest.raises(ProgramError) as caught:
        without_python(["python3.99", "-u", "x y.py", "a"])
    other = here / "bin" / "python3.99"
    assert caught.value.message == (
        f"{other} is another Python than the one memdeep runs in, {sys.executable}."
    )
    assert caught.value.hint == (
        f"Install memdeep there, and type: {other} -u -m memdeep run 'x y.py' a"
    )


def test_a_python_that_is_not_there() -> None:
    with pytest.raises(ProgramError) as caught:
        without_python(["python3.98", "x.py"])
    assert caught.value.message == "There is no command python3.98."
    assert caught.value.hint == (
        f"Leave it out, programs run with {sys.executable}: memdeep run x.py"
    )


@pytest.mark.parametrize("option", ["-V", "--help", "-x", "-h"])
def test_what_is_no_option_before_a_program(option: str) -> None:
    with pytest.raises(ProgramError) as caught:
        without_python(["python", option, "x.py"])
    assert option in caught.value.message
