"""Real shared libraries for the tests of symbols, made with the system's compiler and binutils."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

needs_compiler = pytest.mark.skipif(
    not all(map(shutil.which, ("g++", "objcopy", "nm", "strip"))),
    reason="needs g++ and binutils",
)

# The line numbers matter: tests name them.
SOURCE = """\
extern "C" void *malloc(unsigned long);
static volatile int sink;
namespace shapes {
inline __attribute__((always_inline)) void *grow(int by) {
  return malloc(by + sink);
}
__attribute__((noinline)) void *reserve(int by, const char *) {
  void *made = grow(by);
  sink++;
  return made;
}
}
extern "C" void *exported(int by) {
  void *made = shapes::reserve(by, "x");
  sink++;
  return made;
}
"""
GROW_LINE, RESERVE_LINE, EXPORTED_LINE = 5, 8, 14
RESERVE = "shapes::reserve(int, char const*)"


def build(directory: Path, *flags: str, source: str = SOURCE, name: str = "libshapes.so") -> Path:
    """Compile ``source`` with debug information; returns the library."""
    file = directory / "shapes.cpp"
    file.write_text(source)
    library = directory / name
    words = ["g++", "-g", "-O1", "-fPIC", "-shared", "-Wl,--build-id", *flags]
    run(*words, "-o", library, file)
    return library


def run(*words: object) -> str:
    """The output of a command that must succeed."""
    return subprocess.run(
        [str(word) for word in words], check=True, capture_output=True, text=True
    ).stdout


def address_of(library: Path, symbol: str) -> int:
    """Where ``symbol`` lies in the file."""
    for line in run("nm", library).splitlines():
        address, _, name = line.partition(" ")
        if name[2:] == symbol:
            return int(address, 16)
    raise AssertionError(f"no {symbol} in {library}")


def address_after_call(library: Path, symbol: str) -> int:
    """The last byte of the first call in ``symbol``: where return addresses less one point."""
    text = run("objdump", "-d", "--no-show-raw-insn", f"--disassemble={symbol}", library)
    lines = [line for line in text.splitlines() if ":\t" in line]
    call = next(place for place, line in enumerate(lines) if "call" in line or "\tbl" in line)
    return int(lines[call + 1].partition(":")[0], 16) - 1


def split_debug(library: Path, debug: Path) -> None:
    """Move the debug information of ``library`` to the file ``debug``."""
    debug.parent.mkdir(parents=True, exist_ok=True)
    run("objcopy", "--only-keep-debug", library, debug)
    run("strip", "--strip-all", library)
