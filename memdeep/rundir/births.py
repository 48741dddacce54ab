"""`births.jsonl`: where the processes of a run came from, and how they ended.

Owns that format, both ways; knows no memory. All processes of a run append to one file, a line by a
single write. This module imports next to nothing: the writing half runs inside the user's
processes.

A line has the key ``k``, its kind, and ``pid``, the process that it is about; ``t`` is always
`time.monotonic_ns`. An ORIGIN is a place in the program that starts processes: ``n`` is its number
within the process ``pid``, ``ti`` its thread's identifier (0 for the main thread), ``st`` its stack
as lists of file, line and function, innermost first. STARTED is written by the process ``by`` once
it has started another program from the origin ``o``; where nobody is told the number of a shell
(`os.system`), its ``pid`` is 0, and the line is written before it runs. BORN is written by a
process itself when it begins: ``how`` is FORK or EXEC, ``pp`` its parent, ``o`` the origin in that
parent (of a fork), ``up`` the pairs of pid and start time by the kernel's clock (ticks since boot)
of itself and its ancestors, ``dir`` the name of its run directory below ``children``, missing where
only its birth is recorded, ``av`` its command (of an exec), ``py`` the version of its Python. ASKED
is written by the process ``by`` before it sends SIGTERM to ``pid``. ENDED has the exit status
``s``, or the signal as a negative number; the process itself writes it, or the one that waited for
it, or both.
"""

from _json import encode_basestring_ascii  # the encoder behind `json`, without importing it

from memdeep.rundir.journal import MAX_TEXT, count, readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

ORIGIN = "origin"
STARTED = "started"
BORN = "born"
ASKED = "asked"
ENDED = "ended"

FORK = "fork"
EXEC = "exec"

UNKNOWN = 0  # the pid of a process whose number nobody is told
HOSTS = 10_000_000  # a process of the first other host has its own number and this; twice this, ...
MAX_FRAMES = 40
MAX_ANCESTORS = 16


class Origin:
    """A place in the process ``pid`` that starts processes; ``frames`` innermost first."""

    __slots__ = ("frames", "number", "pid", "thread_id")

    def __init__(self, fields: "dict[str, object]") -> None:
        """Raises TypeError or ValueError if ``fields`` are not those of an origin."""
        self.pid = count(fields["pid"])
        self.number = count(fields["n"])
        self.thread_id = count(fields.get("ti", 0), 2**64)
        self.frames = tuple(
            (readable(function), readable(filename), count(line))
            for filename, line, function in _list(fields["st"])[:MAX_FRAMES]
        )


class Started:
    """The start of the process ``pid`` by another program of its, from an ``origin`` of ``by``."""

    __slots__ = ("by", "monotonic_ns", "origin", "pid")

    def __init__(self, fields: "dict[str, object]") -> None:
        """Raises TypeError or ValueError if ``fields`` are not those of a start."""
        self.pid = count(fields["pid"])
        self.by = count(fields["by"])
        self.origin = count(fields["o"])
        self.monotonic_ns = count(fields["t"])


class Birth:
    """The beginning of a process, or of the program that it became by an exec.

    ``ancestors`` are pairs of pid and kernel's start time: itself, its parent, and so on.
    ``directory`` is None where it was not recorded, ``origin`` where it is not known.
    """

    __slots__ = (
        "ancestors",
        "command",
        "directory",
        "how",
        "monotonic_ns",
        "origin",
        "parent_pid",
        "pid",
        "python",
    )

    def __init__(self, fields: "dict[str, object]") -> None:
        """Raises TypeError or ValueError if ``fields`` are not those of a birth."""
        get = fields.get
        self.pid = count(fields["pid"])
        self.parent_pid = count(fields["pp"])
        self.how = EXEC if fields["how"] == EXEC else FORK
        self.monotonic_ns = count(fields["t"])
        self.origin = None if (origin := get("o")) is None else count(origin)
        self.directory = None if (name := get("dir")) is None else _name(name)
        self.command = tuple(readable(word) for word in _list(get("av", [])))
        self.python = None if (version := get("py")) is None else str(version)[:100]
        self.ancestors = tuple(
            (count(pid), count(ticks)) for pid, ticks in _list(get("up", []))[:MAX_ANCESTORS]
        )


class Asked:
    """The request of the process ``by`` that the process ``pid`` end, by SIGTERM."""

    __slots__ = ("by", "monotonic_ns", "pid")

    def __init__(self, fields: "dict[str, object]") -> None:
        """Raises TypeError or ValueError if ``fields`` are not those of a request."""
        self.pid = count(fields["pid"])
        self.by = count(fields["by"])
        self.monotonic_ns = count(fields["t"])


class Ended:
    """The end of a process: its exit status, or its signal as a negative number."""

    __slots__ = ("monotonic_ns", "pid", "status")

    def __init__(self, fields: "dict[str, object]") -> None:
        """Raises TypeError or ValueError if ``fields`` are not those of an end."""
        self.pid = count(fields["pid"])
        self.monotonic_ns = count(fields["t"])
        status = fields["s"]
        if not isinstance(status, int) or abs(status) >= 2**31:
            raise ValueError(f"not a status: {status!r}")
        self.status = status


Line = Origin | Started | Birth | Asked | Ended

_KINDS: "dict[str, Callable[[dict[str, Any]], Line]]" = {
    ORIGIN: Origin,
    STARTED: Started,
    BORN: Birth,
    ASKED: Asked,
    ENDED: Ended,
}


def encode_origin(
    pid: int, number: int, thread_id: int, frames: "Iterable[tuple[str, int, str]]"
) -> bytes:
    """Encode a place that starts processes; ``frames`` are file, line, function, from inside."""
    stack = ",".join(
        f"[{_text(filename)},{line},{_text(function)}]" for filename, line, function in frames
    )
    head = f'{{"k":"{ORIGIN}","pid":{pid},"n":{number},"ti":{thread_id}'
    return f'{head},"st":[{stack}]}}\n'.encode("ascii")


def encode_started(pid: int, by: int, origin: int, monotonic_ns: int) -> bytes:
    """Encode the start of another program."""
    line = f'{{"k":"{STARTED}","pid":{pid},"by":{by},"o":{origin},"t":{monotonic_ns}}}\n'
    return line.encode("ascii")


def encode_born(
    how: str,
    ancestors: "Sequence[tuple[int, int]]",
    origin: "int | None",
    directory: "str | None",
    command: "Iterable[str]",
    python: str,
    monotonic_ns: int,
) -> bytes:
    """Encode the beginning of the process that is the first of ``ancestors``."""
    pid, parent_pid = ancestors[0][0], (ancestors[1][0] if len(ancestors) > 1 else 0)
    up = ",".join(f"[{one},{ticks}]" for one, ticks in ancestors)
    line = f'{{"k":"{BORN}","pid":{pid},"pp":{parent_pid},"how":"{how}","t":{monotonic_ns}'
    line += f',"up":[{up}],"py":{_text(python)}'
    line += "" if origin is None else f',"o":{origin}'
    line += "" if directory is None else f',"dir":{_text(directory)}'
    return f'{line},"av":[{",".join(map(_text, command))}]}}\n'.encode("ascii")


def encode_asked(pid: int, by: int, monotonic_ns: int) -> bytes:
    """Encode the request of a process that another end."""
    return f'{{"k":"{ASKED}","pid":{pid},"by":{by},"t":{monotonic_ns}}}\n'.encode("ascii")


def encode_ended(pid: int, status: int, monotonic_ns: int) -> bytes:
    """Encode the end of a process; ``status`` is negative for a signal."""
    return f'{{"k":"{ENDED}","pid":{pid},"s":{status},"t":{monotonic_ns}}}\n'.encode("ascii")


def decode(content: bytes) -> "tuple[list[Line], int]":
    """Return the lines in the order written, and the number of damaged ones.

    A torn last line does not count as damaged: a process died while writing it.
    """
    import json

    found: list[Line] = []
    damaged = 0
    lines = content.split(b"\n")
    for number, line in enumerate(lines):
        if not line:
            continue
        try:
            fields = json.loads(line.decode("utf-8", "surrogatepass"))
            found.append(_KINDS[fields["k"]](fields))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            damaged += number != len(lines) - 1
    return found, damaged


def _text(text: str) -> str:
    return encode_basestring_ascii(text[:MAX_TEXT])


def _list(value: object) -> "list[Any]":
    if not isinstance(value, list):
        raise TypeError(f"not a list: {value!r}")
    return value


def _name(value: object) -> str:
    """Return the name of a directory, which leads nowhere else. Raises ValueError."""
    text = str(value)
    if not text or text.startswith(".") or "/" in text or "\0" in text or len(text) > 100:
        raise ValueError(f"not a name: {text!r}")
    return text
