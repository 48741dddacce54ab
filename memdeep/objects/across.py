"""Rows over all processes as those who load a run see them. Sizes are bytes, times seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from memdeep import model
from memdeep.frozen import field, frozen
from memdeep.model.sums import highest
from memdeep.objects.stacks import Line, place_of, short
from memdeep.text import units


@frozen
class Share:
    """The part of one process (its index in the run) in a row; what is not known is None.

    ``name`` is that of the worker, or the pid of a process of no cluster. ``peak`` is the highest
    heap of the process in one of the phases, ``rise`` the highest above the heap at a start.
    """

    process: int
    name: str
    count: int
    retained: int | None
    rise: int | None
    peak: int | None


@frozen
class Row:
    """Phases of one path over all processes that have it: "outer/inner".

    ``count`` is how often it was entered. ``retained`` was alive at the end of the stretch that
    allocated it; it, ``resident`` (what of it was in use), ``growth`` of the heap, ``allocated``,
    ``freed``, ``allocations`` and ``duration`` are sums, None if that of one process is not known.
    ``lines`` come largest in use first, each of the ``process`` that retained most of it; ``other``
    was retained by none of them, as what is memdeep's own. With ``overlaps``, what tasks of one
    thread allocated cannot be told apart.
    """

    path: str
    count: int
    duration: float
    is_complete: bool
    overlaps: bool
    retained: int | None
    resident: int | None
    other: int | None
    growth: int | None
    allocated: int | None
    freed: int | None
    allocations: int | None
    shares: tuple[Share, ...] = field(repr=False)
    lines: tuple[Line, ...] = field(repr=False)
    name: str = ""

    @property
    def culprit(self) -> Line | None:
        """The line that retained most in use, None if there is none or it is not known."""
        return next(iter(self.lines), None)

    @property
    def tasks(self) -> Mapping[str, int]:
        """How often it was entered, by the names of the workers."""
        found: Counter[str] = Counter()
        for share in self.shares:
            found[share.name] += share.count
        return dict(found)

    @property
    def peak(self) -> int | None:
        """The highest heap of one process; None if that of one is not known."""
        return highest([share.peak for share in self.shares])

    @property
    def rise(self) -> int | None:
        """The highest rise in one process; None if that of one is not known."""
        return highest([share.rise for share in self.shares])

    def __repr__(self) -> str:
        culprit = self.culprit
        line = "" if culprit is None else f", {place_of(culprit.filename, culprit.lineno)}"
        figures = f"{units.size(self.retained)} retained, rise {units.size(self.rise)}"
        times = f"{self.count:,} of {units.count(len(self.shares), 'worker')}"
        return f"<Row {short(self.path)}: {times}, {figures}{line}>"


def row_of(
    found: model.Across,
    processes: tuple[model.Process, ...],
    line: Callable[[model.LineAcross, int | None], Line],
) -> Row:
    """Return a row as users see it; ``line`` makes a line of what all lines retained."""
    return Row(
        path="/".join(found.path),
        count=found.repeats,
        duration=found.duration_s,
        is_complete=found.complete,
        overlaps=found.overlaps,
        retained=found.retained_bytes,
        resident=found.resident_bytes,
        other=found.other_bytes,
        growth=found.delta_bytes,
        allocated=found.allocated_bytes,
        freed=found.freed_bytes,
        allocations=found.allocations,
        shares=tuple(
            Share(
                process=share.process,
                name=_name(processes[share.process]),
                count=share.repeats,
                retained=share.retained_bytes,
                rise=share.rise_bytes,
                peak=share.peak_bytes,
            )
            for share in found.shares
        ),
        lines=tuple(line(one, found.retained_bytes) for one in found.lines),
        name=found.name,
    )


def _name(process: model.Process) -> str:
    return str(process.pid) if process.worker is None else process.worker.name
