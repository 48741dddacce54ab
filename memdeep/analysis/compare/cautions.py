"""Reasons to doubt a comparison: the runs were not recorded alike, or did not complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from memdeep.analysis.compare.unfinished import did_not_complete, ended_by_itself
from memdeep.model import Report, Run
from memdeep.model.comparison import Caution, Side


def cautions(before: Side, after: Side) -> tuple[Caution, ...]:
    """Return what differs between the sides apart from the program, and runs that did not end well.

    The values of a caution are ``before`` and ``after``, or ``run`` and ``verdict`` or ``code``.
    """
    found = []
    for key, told in _FACTS:
        sides = [_told(side, told) for side in (before, after)]
        if sides[0] != sides[1] and all(sides):
            found.append(Caution(key, {"before": sides[0], "after": sides[1]}))
    for side in (before, after):
        for name, report in zip(side.names, side.reports, strict=True):
            end = report.run.exit
            if did_not_complete(report):
                verdict = "unknown" if end is None else end.verdict
                found.append(Caution("caution.unfinished", {"run": name, "verdict": verdict}))
            elif end is not None and ended_by_itself(report):
                found.append(Caution("caution.status", {"run": name, "code": str(end.code)}))
    if not any(report.heap.traced for side in (before, after) for report in side.reports):
        found.append(Caution("caution.no_heap", {}))
    return tuple(found)


def _told(side: Side, told: Callable[[Run], str | None]) -> str:
    """Return the different values of a side in words; "" where none is known."""
    values = dict.fromkeys(told(report.run) for report in side.reports)
    return ", ".join(value for value in values if value)


def _python(run: Run) -> str | None:
    return None if run.python is None else ".".join(run.python.split(".")[:2])


def _mode(run: Run) -> str:
    mode = run.mode
    parts = [mode.backend]
    parts += ["native"] if mode.native else []
    parts += ["every small object"] if mode.python_allocators else []
    return " + ".join(parts)


def _limit(run: Run) -> str | None:
    return None if run.limit is None else f"{run.limit.bytes:,} bytes"


def _platform(run: Run) -> str | None:
    """Return the platform and the C library, whose allocator decides the RSS."""
    known = run.identity
    return None if known is None else ", ".join(filter(None, (known.platform, known.libc)))


def _focus(run: Run) -> str:
    return ", ".join(run.mode.focus) or "(all)"


_FACTS: Sequence[tuple[str, Callable[[Run], str | None]]] = (
    ("caution.program", lambda run: run.name),
    ("caution.python", _python),
    ("caution.memray", lambda run: run.memray),
    ("caution.mode", _mode),
    ("caution.platform", _platform),
    ("caution.limit", _limit),
    ("caution.focus", _focus),
)


def is_deep(reports: Sequence[Report]) -> bool:
    """Tell if all of the runs traced every small object."""
    return all(report.run.mode.python_allocators for report in reports)
