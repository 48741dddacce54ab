"""The interpreter that the program runs with: its options, and the environment it is given."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence

from memdeep.errors import EXIT_NOT_FOUND, EXIT_NOT_RUNNABLE, EXIT_USAGE, ProgramError
from memdeep.run import not_python

# See `python --help`. Those that end the interpreter at once (-h, -V), and -x, which would skip
# a line of ours, have no meaning here.
FLAGS = "bBdEiIOPqRsSuv"
WITH_VALUE = "WX"
LONG_WITH_VALUE = "--check-hash-based-pycs"
ANSWERS_WITHIN_S = 20.0

_NAME = re.compile(r"python[\d.]*t?")


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


def without_python(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Take `python OPTIONS` away from the start of ``words``; return these options, and the rest.

    That is how a program is typed without memdeep. A script of such a name that lies here is a
    program itself. Raises ProgramError if the word means another Python than the one memdeep runs
    in, or if what follows is no program.
    """
    if not words or _NAME.fullmatch(os.path.basename(words[0])) is None or _is_program(words[0]):
        return (), tuple(words)
    import shutil

    found = shutil.which(words[0])
    options, rest = _split(words[1:])
    if found is None:
        raise ProgramError(
            f"There is no command {words[0]}.",
            f"Leave it out, programs run with {sys.executable}: "
            f"memdeep run {shlex.join(rest)}".rstrip(),
            EXIT_NOT_FOUND,
        )
    if rest and re.match("-[^mc]", rest[0]):
        raise ProgramError(
            f"{rest[0]} is no option that Python takes before a program.",
            "Name a script, or use -m MODULE or -c CODE; see memdeep run --help.",
            EXIT_USAGE,
        )
    if not _is_our_own(found):
        typed = shlex.join([found, *options, "-m", "memdeep", "run", *rest])
        raise ProgramError(
            f"{found} is another Python than the one memdeep runs in, {sys.executable}.",
            f"Install memdeep there, and type: {typed}",
            EXIT_NOT_RUNNABLE,
        )
    return options, rest


def _is_program(path: str) -> bool:
    """Tell whether a Python script, or a directory with a `__main__`, lies at ``path``."""
    if os.path.isdir(path):
        return os.path.exists(os.path.join(path, "__main__.py"))
    try:
        with open(path, "rb") as file:
            start = file.read(4096)
    except OSError:
        return False
    named = not_python.interpreter_of(start)
    is_of_python = named is None or _NAME.fullmatch(os.path.basename(named)) is not None
    return is_of_python and not not_python.is_compiled_program(start)


def _is_our_own(python: str) -> bool:
    """Tell whether the command ``python`` is the interpreter, and the environment, of memdeep."""
    if os.path.abspath(python) == sys.executable:
        return True
    ask = "import sys; print(sys.prefix); print(sys.hexversion)"
    try:
        answer = subprocess.run(
            [python, "-c", ask],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=ANSWERS_WITHIN_S,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    prefix, _, version = os.fsdecode(answer).strip().rpartition("\n")
    is_same = os.path.realpath(prefix) == os.path.realpath(sys.prefix)
    return is_same and version == str(sys.hexversion)


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
