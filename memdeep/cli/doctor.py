"""`memdeep doctor`: checks what memdeep builds on, and tells the limits that a run will meet."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import Enum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from memdeep.cli import arguments
from memdeep.errors import EngineError
from memdeep.frozen import frozen
from memdeep.heap import choice
from memdeep.heap.replay import engine
from memdeep.record.tree import HOOK
from memdeep.report import sentences
from memdeep.run import cgroup, limits
from memdeep.run.cgroup import MemoryGroup
from memdeep.symbols.elf import ElfFile, NotElf
from memdeep.text import translation
from memdeep.text.language import Value, spoken
from memdeep.text.safe import plain
from memdeep.text.units import size
from memdeep.version import __version__

if TYPE_CHECKING:
    from rich.console import Console

OLDEST_MEMRAY = (1, 19)
# What memdeep cannot do without, and what names native frames, where that can be had.
LIBRARIES: tuple[str, ...] = ("psutil", "jinja2", "markupsafe", "rich", "platformdirs")
if sys.version_info < (3, 11):
    LIBRARIES += ("tomli",)
PACKAGES = ("memdeep", "Python", "memray", "lz4")  # checks that are named after one
OF_SYMBOLS = ("symbolic", "cffi", "multi-demangle")
DEBUG_FILES = Path("/usr/lib/debug/.build-id")
MIN_FILES = 256  # memray's capture is moved out of the way of the program's descriptors


class State(Enum):
    """Result of a check: its mark, and the style of that."""

    GOOD = ("ok", "green")
    NOTE = ("note", "yellow")
    BAD = ("bad", "bold red")


@frozen
class Check:
    """One thing that was checked, by its English ``name``.

    ``advice`` says what to do where ``state`` is not good, in the language of the terminal.
    ``packages`` are what would have to be installed, as pip wants them.
    """

    name: str
    found: str
    state: State = State.GOOD
    advice: str = ""
    packages: tuple[str, ...] = ()


def main(words: Sequence[str]) -> int:
    """Carry out `memdeep doctor`; return its exit status."""
    arguments.parser("doctor").parse(words)
    found = checks()
    show(found)
    return 0 if is_well(found) else 1


def checks() -> tuple[Check, ...]:
    """Make all checks, in the order in which they are shown."""
    return (
        Check("memdeep", __version__),
        _python(),
        _libraries(),
        _memray(),
        _engine(),
        _lz4(),
        _symbols(),
        _children(),
        *_interpreter(interpreter_file()),
        *_memory_limits(),
        *_process_limits(),
        _cache(),
    )


def is_well(found: tuple[Check, ...]) -> bool:
    """Tell if no check is bad."""
    return all(check.state is not State.BAD for check in found)


def show(found: tuple[Check, ...]) -> None:
    """Print the checks, below them the advice, and last the command that installs what is missing.

    Without rich too, since that may be what is missing.
    """
    advice = [f"{_name(check)}: {plain(check.advice)}" for check in found if check.advice]
    command = mend(found)
    try:
        from rich.console import Console
    except ImportError:
        for check in found:
            print(f"{check.state.value[0]:4}  {_name(check):13}  {plain(check.found)}")
        print("", *advice, sep="\n")
    else:
        _show(found, advice, Console(highlight=False))
    if command:
        print(f"\n{say('doctor.installs')}\n\n  {command}")


def _show(found: tuple[Check, ...], advice: Sequence[str], console: Console) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True, min_width=4)
    rows.add_column(no_wrap=True, min_width=13, style="bold")
    rows.add_column(overflow="fold")
    for check in found:
        mark, style = check.state.value
        rows.add_row(Text(mark, style), _name(check), Text(plain(check.found)))
    console.print(rows)
    for sentence in advice:
        console.print(Padding(Text(sentence), (1, 0, 0, 0)))


def say(key: str, **values: Value) -> str:
    """Return the words of ``key`` in the language of the terminal."""
    return spoken().say(key, **values)


def _name(check: Check) -> str:
    """Return the name of a check for people; that of a package is its own."""
    name = check.name.replace(" ", "_")
    return name if name in PACKAGES else say(f"doctor.name_{name}")


def mend(found: tuple[Check, ...]) -> str:
    """Return the one command that installs all that is missing; empty if nothing is."""
    packages = dict.fromkeys(package for check in found for package in check.packages)
    return f"{_installer()} {' '.join(map(shlex.quote, packages))}" if packages else ""


def _installer() -> str:
    """Return the words that install a package into this Python, however memdeep got there."""
    if Path(sys.prefix, "pipx_metadata.json").is_file():
        return "pipx inject memdeep"
    python = sys.executable
    for name in ("python", "python3"):
        if shutil.which(name) == python:
            python = name
            break
    python = shlex.quote(python)
    if importlib.util.find_spec("pip") is not None:
        return f"{python} -m pip install"
    if shutil.which("uv"):
        return f"uv pip install --python {python}"
    return f"{python} -m ensurepip && {python} -m pip install"


def _python() -> Check:
    version = platform.python_version()
    found = f"{version} ({platform.python_implementation()}, {platform.machine()}, "
    found += f"{platform.system()})"
    if platform.python_implementation() != "CPython":
        return Check("Python", found, State.BAD, say("doctor.cpython_only"))
    return Check("Python", found)


def _libraries() -> Check:
    missing = tuple(name for name in LIBRARIES if _version(name) is None)
    if not missing:
        return Check(
            "libraries", say("doctor.all_libraries", n=len(LIBRARIES), names=", ".join(LIBRARIES))
        )
    return Check(
        "libraries",
        say("doctor.missing", names=", ".join(missing)),
        State.BAD,
        say("doctor.libraries_advice"),
        missing,
    )


def _memray() -> Check:
    version = _version("memray")
    wanted = (f"memray>={'.'.join(map(str, OLDEST_MEMRAY))}",)
    if version is None:
        return Check(
            "memray",
            say("doctor.not_installed"),
            State.BAD,
            say("doctor.memray_advice"),
            wanted,
        )
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST_MEMRAY:
        advice = say("doctor.memray_old", oldest=".".join(map(str, OLDEST_MEMRAY)))
        return Check("memray", version, State.BAD, advice, wanted)
    return Check("memray", version)


def _engine() -> Check:
    wanted = os.environ.get(choice.VARIABLE, "")
    try:
        is_forced = choice.is_memray_forced()
    except EngineError as error:
        return Check(
            "engine", f"{choice.VARIABLE}={wanted}", State.BAD, translation.here(error.hint)
        )
    if is_forced:
        found = say("doctor.engine_forced", variable=choice.VARIABLE)
        return Check(
            "engine",
            found,
            State.NOTE,
            say("doctor.engine_forced_advice", variable=choice.VARIABLE),
        )
    if not engine.is_built():
        return Check(
            "engine",
            say("doctor.engine_not_built"),
            State.NOTE,
            say("doctor.engine_advice"),
        )
    return Check("engine", say("doctor.engine_replay"))


def _lz4() -> Check:
    version = _version("lz4")
    if version is None:
        return Check(
            "lz4",
            say("doctor.not_installed"),
            State.NOTE,
            say("doctor.lz4_advice"),
            _of_extra("lz4"),
        )
    return Check("lz4", version)


def _symbols() -> Check:
    servers = os.environ.get("DEBUGINFOD_URLS", "").split()
    if any(_version(name) is None for name in OF_SYMBOLS):
        return Check(
            "symbols",
            say("doctor.symbols_of_memray"),
            State.NOTE,
            say("doctor.symbols_advice"),
            _of_extra("symbols", *OF_SYMBOLS),
        )
    found = f"symbolic {_version('symbolic')}"
    if servers:
        found += say("doctor.debuginfod", servers=", ".join(servers))
    return Check("symbols", found)


def _children() -> Check:
    """Tell if Pythons that a program starts anew will be recorded."""
    for place in sys.path:
        file = Path(place or ".", HOOK)
        if file.is_file():
            return Check("processes", say("doctor.recorded_by", path=str(file)))
    return Check(
        "processes",
        say("doctor.no_hook", name=HOOK),
        State.NOTE,
        say("doctor.no_hook_advice"),
    )


def interpreter_file() -> Path:
    """Return the file that holds the interpreter's own functions: its library, where it has one."""
    with suppress(OSError), open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            name = line.rstrip("\n").rpartition(" ")[2]
            if "/libpython3." in name:
                return Path(name)
    return Path(sys.executable)


def _interpreter(path: Path) -> Iterator[Check]:
    """Yield whether functions within the interpreter have names; nothing if it is not ELF."""
    try:
        with ElfFile(path) as elf:
            is_stripped = elf.section(".symtab") is None
            note = elf.section(".note.gnu.build-id") or b""
    except (OSError, NotElf):
        return
    build = note[16:].hex()  # after three numbers and the name GNU
    separate = DEBUG_FILES / build[:2] / f"{build[2:]}.debug"
    if not is_stripped or (build and separate.exists()):
        yield Check("interpreter", say("doctor.with_symbols", path=str(path)))
    elif os.environ.get("DEBUGINFOD_URLS", "").strip():
        yield Check("interpreter", say("doctor.stripped_asked", path=str(path)))
    else:
        yield Check(
            "interpreter",
            say("doctor.stripped", path=str(path)),
            State.NOTE,
            say("doctor.stripped_advice"),
        )


def _memory_limits() -> Iterator[Check]:
    """Yield the limit that `memdeep run` would tell as the one in force, then the cgroup's."""
    group = cgroup.own()
    limit = limits.in_force(group)
    if limit is None:
        yield Check("memory limit", say("doctor.limit_unknown"))
    else:
        yield Check("memory limit", sentences.memory_limit(limit, spoken()))
    yield Check("cgroup limit", _cgroup_limit(group))


def _cgroup_limit(group: MemoryGroup | None) -> str:
    if group is None or not any(level.states_limit() for level in group.levels()):
        return say("doctor.limit_unread")
    limit = limits.of_group(group)
    return say("doctor.limit_none") if limit is None else size(limit.bytes)


def _process_limits() -> Iterator[Check]:
    for name, shown in (("RLIMIT_AS", "address space"), ("RLIMIT_DATA", "data segment")):
        limit = limits.of_process(name)
        found = say("doctor.no_limit") if limit is None else size(limit)
        yield Check(shown, found, State.GOOD if limit is None else State.NOTE)
    files = limits.of_process("RLIMIT_NOFILE")
    if files is not None and files < MIN_FILES:
        advice = say("doctor.files_advice", most=str(MIN_FILES))
        yield Check("open files", f"{files}", State.NOTE, advice)
    else:
        yield Check("open files", say("doctor.no_limit") if files is None else f"{files:,}")


def _cache() -> Check:
    try:
        from memdeep.symbols.cache import directory_of
    except ImportError:
        return Check(
            "cache",
            say("doctor.cache_unknown"),
            State.BAD,
        )
    directory = directory_of("memdeep")
    nearest = next(path for path in (directory, *directory.parents) if path.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return Check("cache", str(directory))
    return Check(
        "cache",
        say("doctor.cache_read_only", path=str(directory)),
        State.NOTE,
        say("doctor.cache_advice"),
    )


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _of_extra(extra: str, *names: str) -> tuple[str, ...]:
    """Return what memdeep's ``extra`` requires; ``names``, or its own, where memdeep does not say.

    It says so where it is installed, and not where it runs from a copy of its sources.
    """
    try:
        words = metadata.requires("memdeep") or []
    except metadata.PackageNotFoundError:
        words = []
    marker = re.compile(rf"extra == ['\"]{extra}['\"]")
    found = (word.partition(";")[0].strip() for word in words if marker.search(word))
    return tuple(found) or names or (extra,)
