"""Phases of one name in many processes: a row over all of them.

Sizes are bytes, times are seconds.
"""

from __future__ import annotations

from memdeep.frozen import field, frozen
from memdeep.model.heap import Frame
from memdeep.model.sums import highest

Member = tuple[int, int]  # the index of a process in the run, and that of a phase in its own report


@frozen
class LineAcross:
    """A source line, and the bytes that phases of several processes retained of its allocations.

    ``resident_bytes`` is what of them was in use, None unless that is known of all. ``process`` is
    the one that retained most of them, ``of`` the member of it that did; ``stack`` is the branch
    that holds most there, outermost frame first, in the thread ``thread`` where that is known.
    """

    frame: Frame
    bytes: int
    allocations: int
    process: int
    of: Member
    resident_bytes: int | None = None
    stack: tuple[Frame, ...] = field(default=(), repr=False)
    thread: str | None = None

    @property
    def bytes_in_use(self) -> int:
        """The resident bytes, or all where it is not known which were."""
        return self.bytes if self.resident_bytes is None else self.resident_bytes


@frozen
class ShareAcross:
    """The part of one process (its index) in a row; figures that are not known are None.

    ``peak_bytes`` is the highest heap of that process while it was in one of the phases,
    ``rise_bytes`` the highest above the heap at a start.
    """

    process: int
    repeats: int
    retained_bytes: int | None
    rise_bytes: int | None
    peak_bytes: int | None


@frozen
class Across:
    """A row: phases of one path, outermost name first, over all processes that have it.

    ``members`` are those phases, ``shares`` the parts of the processes, most retained bytes first.
    ``repeats`` is the number of stretches. ``retained_bytes`` was alive at the end of the stretch
    that allocated it; it, ``resident_bytes`` (what of it was in use), ``delta_bytes`` (of the
    heap), ``allocated_bytes``, ``freed_bytes``, ``allocations`` and ``duration_s`` are sums over
    the stretches, None if a member's is not known. ``resident_bytes`` is known where that of each
    line is. ``lines`` come largest in use first. ``overlaps`` is True where a member does.
    """

    path: tuple[str, ...]
    members: tuple[Member, ...]
    shares: tuple[ShareAcross, ...]
    repeats: int
    duration_s: float
    complete: bool
    retained_bytes: int | None = None
    resident_bytes: int | None = None
    delta_bytes: int | None = None
    allocated_bytes: int | None = None
    freed_bytes: int | None = None
    allocations: int | None = None
    lines: tuple[LineAcross, ...] = field(default=(), repr=False)
    overlaps: bool = False

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path[-1]

    @property
    def bytes_in_use(self) -> int:
        """The retained bytes in use, or all where it is not known which were."""
        known = self.retained_bytes if self.resident_bytes is None else self.resident_bytes
        return known or 0

    @property
    def processes(self) -> tuple[int, ...]:
        """The processes that have it, in their order in the run."""
        return tuple(sorted(share.process for share in self.shares))

    @property
    def rise_bytes(self) -> int | None:
        """The highest rise in one process; None if it is not known of all."""
        return highest([share.rise_bytes for share in self.shares])

    @property
    def peak_bytes(self) -> int | None:
        """The highest heap of one process; None if it is not known of all."""
        return highest([share.peak_bytes for share in self.shares])

    @property
    def other_bytes(self) -> int | None:
        """The retained bytes of no line that is listed: memdeep's own are among them."""
        if self.retained_bytes is None:
            return None
        return self.retained_bytes - sum(line.bytes for line in self.lines)
