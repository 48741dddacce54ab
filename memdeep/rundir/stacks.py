"""`stacks.txt`: a line of the parent's for each dump, and under it what `faulthandler` wrote.

Owns that format, both ways. Knows neither the signal that asks for a dump nor what it is for.
"""

from __future__ import annotations

import re

from memdeep.frozen import frozen

MAX_CHARACTERS = 4 << 20
_HEADER = re.compile(
    r"# Process (\d{1,19}): RSS (\d{1,19}) bytes after (\d{1,12}\.\d{3}) s, over (.+)"
)
_THREAD = re.compile(r"(Current thread|Thread) (0x[0-9a-f]+)(?: \[(.*)\])? \(most recent call f")
_FRAME = re.compile(r'  File "(.*)", line (\d{1,9}) in (.*)')
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")


@frozen
class DumpedFrame:
    """One call, as `faulthandler` writes it."""

    function: str
    filename: str
    lineno: int


@frozen
class DumpedThread:
    """Stack of a thread, outermost first; ``is_current`` if it held the interpreter."""

    name: str
    is_current: bool
    frames: tuple[DumpedFrame, ...]


@frozen
class Dump:
    """Stacks of one process at one time, the reason for the dump, and the RSS that gave it."""

    pid: int
    reason: str
    time_s: float
    rss_bytes: int
    threads: tuple[DumpedThread, ...]


def encode_header(pid: int, reason: str, time_s: float, rss_bytes: int) -> str:
    """Encode the line to write before a dump is asked for."""
    return f"# Process {pid}: RSS {rss_bytes} bytes after {time_s:.3f} s, over {reason}\n"


def decode(content: str) -> list[Dump]:
    """Return the dumps in the order written; lines that are not understood are left out."""
    dumps: list[Dump] = []
    for chunk in re.split(r"(?m)^(?=# Process )", content[:MAX_CHARACTERS]):
        lines = chunk.split("\n")
        header = _HEADER.fullmatch(lines[0])
        if header is not None:
            pid, size, time_s, reason = header.groups()
            dumps.append(Dump(int(pid), reason, float(time_s), int(size), _threads(lines[1:])))
    return dumps


def _threads(lines: list[str]) -> tuple[DumpedThread, ...]:
    threads: list[DumpedThread] = []
    frames: list[DumpedFrame] = []

    def finish() -> None:
        if threads:
            last = threads[-1]
            outermost_first = tuple(reversed(frames))
            threads[-1] = DumpedThread(last.name, last.is_current, outermost_first)
        frames.clear()

    for line in lines:
        thread, frame = _THREAD.match(line), _FRAME.fullmatch(line)
        if thread is not None:
            finish()
            kind, number, name = thread.groups()
            threads.append(DumpedThread(_plain(name or number), kind != "Thread", ()))
        elif frame is not None:
            filename, lineno, function = frame.groups()
            frames.append(DumpedFrame(_plain(function), _plain(filename), int(lineno)))
    finish()
    return tuple(threads)


def _plain(text: str) -> str:
    """Put back the characters that `faulthandler` has escaped."""

    def character(match: re.Match[str]) -> str:
        number = int(match[1] or match[2] or match[3], 16)
        is_one = number < 0x110000 and not 0xD800 <= number < 0xE000
        return chr(number) if is_one else "\ufffd"

    return _ESCAPE.sub(character, text)
