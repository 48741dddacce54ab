"""Holds what every search for findings rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memdeep.analysis.advice.case import Case
from memdeep.analysis.advice.patterns import TellingCalls
from memdeep.analysis.charging import Charging
from memdeep.analysis.culprits import ChargedLines
from memdeep.analysis.freed import innermost, innermost_traced
from memdeep.analysis.holders import LineHolders
from memdeep.analysis.moved import Rooms
from memdeep.analysis.resident import ResidentHeap
from memdeep.frozen import field, frozen
from memdeep.model import Culprit, Heap, Lifetime, Phase, PhaseHeap, StackBytes
from memdeep.model.holders import Holders


@frozen
class Seen:
    """What the recording saw: all of malloc, each of Python's objects, and the highest RSS.

    ``holders`` are those of each line, None where nobody looked. ``copies_texts`` is True where
    the tracing itself makes ``text += piece`` copy the text: CPython 3.11 appends in place only
    while no profile function is set, as memray's is.
    """

    malloc: bool = True
    python_allocators: bool = False
    highest_rss_bytes: int | None = None
    holders: LineHolders | None = None
    copies_texts: bool = False


ALL_SEEN = Seen()


@frozen
class Ground:
    """The input of every search for findings; those below ``least_bytes`` are left out.

    ``charging`` tells which phases are charged with what a stack allocates; ``first_calls`` has for
    each phase the one that is named in its place. ``peak_bytes`` is the highest heap without what
    was only reserved, or maps files.
    """

    heap: Heap
    phases: Sequence[Phase]
    charging: Charging
    first_calls: Sequence[int]
    lines: ChargedLines
    telling: TellingCalls
    resident: ResidentHeap
    rooms: Rooms
    peak_bytes: int
    highest_rss_bytes: int | None
    least_bytes: int
    holders: LineHolders | None
    homes: dict[tuple[int, int], int | None] = field(default_factory=dict)

    def home(self, life: Lifetime) -> int | None:
        """Return the innermost phase that is charged with ``life``: of those that were traced.

        Where there is none, the tracing may have begun or stopped in the midst of one. Of a phase
        within phases of its name it is the outermost one.
        """
        key = (self.charging.threads[life.node], life.born)
        if key not in self.homes:
            around = self.charging.around(life.node, life.born)
            home = innermost_traced(around, self.phases)
            home = innermost(around, self.phases) if home is None else home
            self.homes[key] = None if home is None else self.first_calls[home]
        return self.homes[key]

    def transient_bytes(self, phase: Phase, heap: PhaseHeap) -> int:
        """Return the height of the peak above the start, and the end of the repeat that had it."""
        end: int | None = heap.end_bytes
        if heap.process_peak is None:
            end = self.heap.at_checkpoints[phase.peak_stretch.end]
        return heap.peak.bytes - max(heap.start_bytes, end or 0)

    def case(
        self,
        phases: Sequence[Phase],
        culprit: Culprit,
        stacks: Sequence[StackBytes],
        lifetimes: Sequence[Lifetime] = (),
        holders: Holders | None = None,
    ) -> Case:
        """Return a finding before it is judged."""
        heap, lines, telling = self.heap, self.lines, self.telling
        return Case(heap, lines, telling, phases, culprit, stacks, lifetimes, holders)


def outside(phases: Sequence[Phase], place: int) -> Iterator[int]:
    """Yield the phases around one, innermost first."""
    parent = phases[place].outline.parent
    while parent is not None:
        yield parent
        parent = phases[parent].outline.parent
