"""Runs that go on, as `live.json` has them, made by hand."""

from __future__ import annotations

from typing import Any

from memdeep.rundir.live import (
    Live,
    LiveCurve,
    LiveLag,
    LiveLimit,
    LiveLine,
    LiveMemory,
    LivePhase,
    LiveProcess,
    LiveRest,
)

MB = 1 << 20


def line(name: str, alive: int, phase: int = 0, minute: int = 0, **more: Any) -> LiveLine:
    """A line of the file ``name``; sizes are in MB."""
    given = {"line": 5, "function": "load", "origin": "user", "source": "kept.append(x)"} | more
    return LiveLine(
        file=f"/app/{name}",
        alive_bytes=alive * MB,
        phase_bytes=phase * MB,
        minute_bytes=minute * MB,
        allocations=7,
        **given,
    )


def lived(*lines: LiveLine, **changes: Any) -> Live:
    """A run of a minute and a half with these lines, and two that are too small to be listed."""
    given: dict[str, Any] = {
        "epoch_s": 1_700_000_090.0,
        "elapsed_s": 90.0,
        "process": LiveProcess("job.py", 4711, is_running=True, processes=1),
        "memory": LiveMemory(400 * MB, 410 * MB, False, 300 * MB, 305 * MB, 1000),
        "limit": LiveLimit(350 * MB, None, 1000 * MB, 600 * MB, 2.0 * MB, 300.0),
        "lag": LiveLag(0, 0.2),
        "minute_s": 60.0,
        "phases": (LivePhase("回测", 1.0, 250 * MB), LivePhase("load", 80.0, 20 * MB)),
        "others": LiveRest(2, 3000, 2000, -1000, 2),
        "heap_curve": LiveCurve(1000, (None, None, 10 * MB, 200 * MB, 300 * MB)),
        "resident_curve": LiveCurve(1000, (20 * MB, 30 * MB, 90 * MB, 300 * MB, 400 * MB)),
    }
    return Live(lines=lines, **given | changes)
