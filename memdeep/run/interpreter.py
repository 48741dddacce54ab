"""The interpreter that the program runs with: its options, and the environment it is given."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence

from memdeep.errors import EXIT_USAGE, ProgramError

# See `python --help`. Those that end the interpreter at once (-h, -V), and -x, which would skip
# a line of ours, have no meaning here.
FLAGS = "bBdEiIOPqRsSuv"
WITH_VALUE = "WX"
LONG_WITH_VALUE = "--check-hash-based-pycs"


def inherited() -> tuple[str, ...]:
    """Return the options that memdeep was started with in `python OPTIONS -m memdeep run ...`.

    Those of `python OPTIONS .../bin/memdeep` do not count: they come from the first line of that
    script, which the user has not written.
    """
    options, rest = _split(sys.orig_argv[1:])
    return options if rest[:2] == ("-m", "memdeep") else ()


def parse(text: str) -> tuple[str, ...]:
    """Split ``text`` into options, by the rules of a shell. Raises ProgramError."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise _error(text, f"{error}".lower()) from error
    options, rest = _split(words)
    if rest:
        raise _error(text, f"{rest[0]} is no option that Python takes before a program")
    return options


def _error(text: str, reason: str) -> ProgramError:
    return ProgramError(
        f"--python-args '{text}': {reason}.",
        'Write options of the interpreter, as in --python-args "-X dev -W error".',
        EXIT_USAGE,
    )


def _split(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split ``words`` into the interpreter's options at their start, and the rest.

    Single letters may be written together, also with the `m` or `c` that names a program: of
    `-Im memdeep` the options are `-I` and the rest is `-m memdeep`.
    """
    options: list[str] = []
    place = 0
    while place < len(words):
        word = words[place]
        if word == LONG_WITH_VALUE:
            size = 2
        elif word.startswith("-") and not word.startswith("--") and len(word) > 1:
            letters = word[1:]
            flags = letters[: len(letters) - len(letters.lstrip(FLAGS))]
            other = letters[len(flags) :]
            if other and other[0] not in WITH_VALUE:
                options += [f"-{flags}"] if flags else []
                return tuple(options), (f"-{other}", *words[place + 1 :])
            size = 2 if len(other) == 1 else 1
        else:
            break
        if place + size > len(words):
            break
        options += words[place : place + size]
        place += size
    return tuple(options), tuple(words[place:])


def environment() -> dict[str, str]:
    """Return the environment that memdeep was given, without the LC_CTYPE that Python adds to it.

    Where there is no locale, Python sets LC_CTYPE for itself (PEP 538). The program's interpreter
    would see it and not turn UTF-8 mode on, as it does without memdeep.
    """
    variables = dict(os.environ)
    try:
        with open("/proc/self/environ", "rb") as file:
            given = file.read().split(b"\0")
    except OSError:
        return variables
    before = [word[9:] for word in given if word.startswith(b"LC_CTYPE=")]
    if before:
        variables["LC_CTYPE"] = os.fsdecode(before[0])
    else:
        variables.pop("LC_CTYPE", None)
    return variables
