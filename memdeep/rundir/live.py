"""`live.json`: a run that goes on, as it is now: its memory, by line, written each second.

Owns that format, both ways: `follow` writes it, `live` reads it and shows it. Knows neither how a
figure is found nor what it looks like.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from memdeep.errors import CaptureError
from memdeep.frozen import frozen, replace
from memdeep.rundir.files import read_if_there, write_atomically

LIVE_SCHEMA = 1
MAX_BYTES = 1 << 24
MOST_LINES = 1000
MOST_PHASES = 50  # as many as may be open

_SIGNED = ("minute_bytes", "left_bytes")
_TYPES = {"str": str, "bool": bool}
T = TypeVar("T")


@frozen
class LiveProcess:
    """The program: its number, None before it is known, whether it runs, and how it ended.

    ``verdict`` is None while it runs; ``processes`` are alive, those it started included.
    """

    name: str
    pid: int | None
    is_running: bool
    processes: int
    verdict: str | None = None


@frozen
class LiveMemory:
    """What is resident and what is allocated, bytes; None is not known.

    ``resident_bytes`` is the RSS of a lone process, and of several the sum of their PSS
    (``is_pss``). ``heap_bytes`` is what memray counts as allocated in the program itself, of which
    ``recorder_bytes`` are the recorder's.
    """

    resident_bytes: int | None
    resident_peak_bytes: int | None
    is_pss: bool
    heap_bytes: int | None
    heap_peak_bytes: int | None
    recorder_bytes: int = 0


@frozen
class LiveLimit:
    """The limits on what is resident, bytes; None where there is none.

    ``left_bytes`` is what is left of ``limit_bytes``; ``left_s`` is how long that lasts at the
    growth of the last minute: None if it does not grow, or there is no limit. The growth is 0 where
    nothing grows, and None as long as that is not known, or the program has ended.
    """

    warning_bytes: int | None = None
    critical_bytes: int | None = None
    limit_bytes: int | None = None
    left_bytes: int | None = None
    growth_bytes_a_second: float | None = None
    left_s: float | None = None


@frozen
class LivePhase:
    """A phase that is open: its name, when it began, and what it keeps now.

    ``grown_bytes`` were allocated since it began, by any thread, and are alive. Where no phase is
    open, ``is_span`` is False and this is the time since the checkpoint ``name``.
    """

    name: str
    began_s: float
    grown_bytes: int
    is_span: bool = True


@frozen
class LiveLine:
    """What is alive that one line allocated, bytes, in so many ``allocations``.

    ``phase_bytes`` of them were allocated in the innermost open phase; ``minute_bytes`` is how much
    more is alive than ``minute_s`` earlier. ``source`` is the text of the line, None where it
    cannot be read or looks private; ``origin`` tells whose code it is.
    """

    file: str
    line: int
    function: str
    origin: str
    source: str | None
    alive_bytes: int
    phase_bytes: int
    minute_bytes: int
    allocations: int


@frozen
class LiveRest:
    """The lines that are too small to be listed, or too many: their number and their sums."""

    lines: int = 0
    alive_bytes: int = 0
    phase_bytes: int = 0
    minute_bytes: int = 0
    allocations: int = 0


@frozen
class LiveCurve:
    """The highest bytes of each period of ``period_ms``, from the start of the program on.

    None stands for what is not known, as before the first reading.
    """

    period_ms: int
    values: tuple[int | None, ...]


@frozen
class LiveLag:
    """How far the figures by line are behind the program: bytes of its capture, and seconds.

    None is not known.
    """

    bytes: int | None
    seconds: float | None


@frozen
class Live:
    """A run at one moment: ``epoch_s`` since the epoch, ``elapsed_s`` since its start.

    ``minute_s`` is the stretch of time that `LiveLine.minute_bytes` spans: a minute, or less where
    the run is younger. Lines are by ``alive_bytes``, the largest first. The sum over all lines, the
    rest and the recorder is the heap.
    """

    epoch_s: float
    elapsed_s: float
    process: LiveProcess
    memory: LiveMemory
    limit: LiveLimit
    lag: LiveLag
    minute_s: float
    phases: tuple[LivePhase, ...] = ()
    lines: tuple[LiveLine, ...] = ()
    others: LiveRest = LiveRest()
    heap_curve: LiveCurve = LiveCurve(1, ())
    resident_curve: LiveCurve = LiveCurve(1, ())


_PARTS = (LiveProcess, LiveMemory, LiveLimit, LiveLag, LiveRest, LiveCurve)


def encode(live: Live) -> bytes:
    """Encode `live.json`: one line of ASCII."""
    content = {"schema": LIVE_SCHEMA, **_fields(live)}
    for name, value in content.items():
        if type(value) in _PARTS:
            content[name] = _fields(value)
        elif isinstance(value, tuple):
            content[name] = [_fields(one) for one in value]
    return (json.dumps(content, separators=(",", ":")) + "\n").encode("ascii")


def decode(content: bytes, path: Path) -> Live:
    """Read `live.json` back. Raises CaptureError if it is damaged or of another schema."""
    try:
        loaded = json.loads(content)
        if loaded.pop("schema") != LIVE_SCHEMA:
            raise ValueError("another schema")
        single = {
            name: _made(kind, loaded.pop(name))
            for name, kind in (
                *(("process", LiveProcess), ("memory", LiveMemory), ("limit", LiveLimit)),
                *(("lag", LiveLag), ("others", LiveRest)),
            )
        }
        curves = {}
        for name in ("heap_curve", "resident_curve"):
            curve = loaded.pop(name)
            values = tuple(None if one is None else _count(one) for one in curve.pop("values"))
            curves[name] = _made(LiveCurve, {**curve, "values": values})
        phases = _all(LivePhase, loaded.pop("phases"), MOST_PHASES)
        lines = _all(LiveLine, loaded.pop("lines"), MOST_LINES)
        return _made(Live, {**loaded, **single, **curves, "phases": phases, "lines": lines})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CaptureError(
            f"{path} is damaged or was written by another version of memdeep.",
            "It is written anew each second while the program runs; watch with that version.",
        ) from error


def _fields(made: object) -> dict[str, Any]:
    return {name: getattr(made, name) for name in type(made).__annotations__}


def write(path: Path, live: Live) -> None:
    """Put ``live`` in the place of what was there before. Raises OutputError."""
    write_atomically(path, encode(live))


def end(path: Path, verdict: str) -> None:
    """Put the verdict on a program that has ended into what was written last, if anything was.

    Raises CaptureError or OutputError.
    """
    last = read(path)
    if last is not None:
        write(path, ended(last, verdict))


def ended(live: Live, verdict: str) -> Live:
    """Return the last of a program with the verdict on its end, which comes after that."""
    process = replace(live.process, is_running=False, processes=0, verdict=verdict)
    return replace(live, process=process)


def read(path: Path) -> Live | None:
    """Return the last that was written; None before there is any. Raises CaptureError."""
    content = read_if_there(path, MAX_BYTES)
    return None if content is None else decode(content, path)


def _all(kind: Callable[..., T], loaded: list[dict[str, Any]], most: int) -> tuple[T, ...]:
    if len(loaded) > most:
        raise ValueError("too many")
    return tuple(_made(kind, one) for one in loaded)


def _made(kind: Callable[..., T], loaded: dict[str, Any]) -> T:
    """Make a ``kind`` of its fields. Raises TypeError or ValueError if one is not of its type."""
    made = kind(**loaded)
    annotations: dict[str, str] = kind.__annotations__
    for name, annotation in annotations.items():
        value, types = getattr(made, name), annotation.split(" | ")
        if value is None and "None" in types:
            continue
        if types[0] == "int":
            _count(abs(value) if name in _SIGNED else value)
        elif types[0] == "float":
            if not math.isfinite(value):
                raise ValueError(f"{name} is {value}")
        elif types[0] in _TYPES and not isinstance(value, _TYPES[types[0]]):
            raise TypeError(f"{name} is {value!r}")
    return made


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError(f"not a count: {value!r}")
    return value
