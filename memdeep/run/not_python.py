"""Says what a file is that was given for a Python program and is none, and what to give instead."""

from __future__ import annotations

import os
import re
import sys
from importlib.util import MAGIC_NUMBER
from pathlib import Path

_COMPILED = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xcf", b"\xca\xfe\xba\xbe")
_PYTHON = re.compile(r"(?:^|[\s/;&|])(python[\d.]*)\s+(.*)")
_ALL_ARGUMENTS = re.compile(r"\s*(\"\$@\"|\$@|\"\$\*\"|\$\*)")
_NEEDS_A_SHELL = frozenset("$`|&;<>(){}\\")
_SHELLS = {".sh": "sh", ".bash": "bash", ".zsh": "zsh"}
_MAX_SHOWN = 200

_GIVE = "Give memdeep the Python program that it starts: memdeep run script.py, or -m MODULE."


def is_compiled_program(source: bytes) -> bool:
    """Tell whether a file of this content is a program or a library for the processor itself."""
    return source.startswith(_COMPILED)


def interpreter_of(source: bytes) -> str | None:
    """Return the program that the first line of a script names, None without such a line.

    A script may lead a shell to Python by a second line, where the path would be too long.
    """
    first, _, rest = source[:4096].partition(b"\n")
    if not first.startswith(b"#!"):
        return None
    led = re.match(rb"'''exec' (?:\"([^\"]+)\"|(\S+))", rest)
    if led is not None:
        return os.fsdecode(led[1] or led[2])
    words = os.fsdecode(first[2:]).split()
    if words and os.path.basename(words[0]) == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return words[0] if words else None


def certain_fault(path: Path, source: bytes) -> tuple[str, str] | None:
    """Return a sentence and a hint on a file that cannot be a Python program; None if it may be."""
    if is_compiled_program(source):
        return f"{path} is a compiled program, not a Python script.", _GIVE
    is_of_python = source[2:4] == b"\r\n" and path.suffix == ".pyc"
    if is_of_python and not source.startswith(MAGIC_NUMBER):
        version = ".".join(map(str, sys.version_info[:2]))
        return (
            f"{path} was compiled by another version of Python than {version}.",
            "Give its .py file, or run memdeep with the Python that compiled it.",
        )
    if path.suffix == ".ipynb":
        return (
            f"{path} is a notebook, not a Python script.",
            f"Convert it first: jupyter nbconvert --to script {path}",
        )
    return None


def likely_fault(path: Path, source: bytes) -> tuple[str, str] | None:
    """Return a sentence and a hint on a file that is no valid Python; None if it was meant so."""
    named = interpreter_of(source)
    language = _SHELLS.get(path.suffix) if named is None else os.path.basename(named)
    if language is not None and not language.startswith(("python", "pypy")):
        return f"{path} is a script for {language}, not for Python.", _started_by(path, source)
    if b"\0" in source:
        return (
            f"{path} is a binary file, not a Python script.",
            "Give a .py file, -m MODULE or -c CODE.",
        )
    return None


def _started_by(path: Path, source: bytes) -> str:
    """Return the hint that names the Python program that a wrapper starts."""
    text = source.decode("utf-8", "replace")
    if "pyenv" in text:
        return f"Give memdeep the script behind it: memdeep run $(pyenv which {path.name})"
    for number, line in enumerate(text.splitlines(), 1):
        found = None if line.lstrip().startswith("#") else _PYTHON.search(line)
        if found is None:
            continue
        command = _ALL_ARGUMENTS.sub("", f"{found[1]} {found[2]}").strip()
        if _NEEDS_A_SHELL.isdisjoint(command) and len(command) <= _MAX_SHOWN:
            return f"It starts Python in line {number}. Type: memdeep run {command}"
        shown = line.strip()[:_MAX_SHOWN]
        return f"Give memdeep the Python program that it starts in line {number}: {shown}"
    return _GIVE
