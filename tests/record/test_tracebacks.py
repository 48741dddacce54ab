"""A traceback has the program's own frames only, wherever an exception or Ctrl-C comes."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import RunMemdeep

PROGRAM = """\
import asyncio, os, signal, sys
from memdeep import checkpoint, phase

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):
        pass

class Label:
    def __str__(self):
        os.kill(os.getpid(), signal.SIGINT)
        return "interrupted"

def nested():
    with phase("a"), phase("b"):
        interrupt()

@phase("c")
def decorated():
    within()

@phase("d")
def within():
    interrupt()

@phase("e")
def generator():
    yield 1
    interrupt()

def generated():
    list(generator())

@phase("f")
async def coroutine():
    await asyncio.sleep(0)
    raise ValueError

def awaited():
    asyncio.run(coroutine())

def in_checkpoint():
    checkpoint(Label())

def entered():
    with phase(Label()):
        pass

def left():
    label = Label()
    label.__class__ = type("Plain", (), {"__str__": lambda self: "plain"})
    with phase(label):
        label.__class__ = Label

def caused():
    try:
        decorated()
    except KeyboardInterrupt as error:
        raise RuntimeError("after it") from error

globals()[sys.argv[1]]()
"""


@pytest.mark.parametrize(
    ("what", "frames"),
    [
        ("nested", ["<module>", "nested", "interrupt"]),
        ("decorated", ["<module>", "decorated", "within", "interrupt"]),
        ("generated", ["<module>", "generated", "generator", "interrupt"]),
        ("in_checkpoint", ["<module>", "in_checkpoint"]),
        ("entered", ["<module>", "entered"]),
        ("left", ["<module>", "left"]),
        ("caused", ["caused", "decorated", "within", "interrupt", "<module>", "caused"]),
        ("awaited", ["<module>", "awaited", "coroutine"]),
    ],
)
@pytest.mark.parametrize("options", [(), ("--focus", "*")])
def test_none_of_the_recordings_frames_is_shown(
    run_memdeep: RunMemdeep, tmp_path: Path, what: str, frames: list[str], options: tuple[str, ...]
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    words = ("run", "--no-report", "--quiet", "--backend", "rss", "-o", "run")
    if options:
        words = ("run", "--no-report", "--quiet", "--no-native", "-o", "run")
    done = run_memdeep(*words, *options, program, what, cwd=tmp_path)
    said = done.stderr.decode()
    assert done.returncode == (1 if what in ("caused", "awaited") else 130)
    assert "/memdeep/" not in said
    lines = [line for line in said.splitlines() if line.startswith(f'  File "{program}"')]
    named = [line.rpartition(" in ")[2] for line in lines]
    assert [name for name in named if name != "__str__"] == frames
