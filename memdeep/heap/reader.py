"""The contract of a reader of captures. Knows none of the readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from memdeep.frozen import frozen
from memdeep.heap.parts import HeapPart, Part
from memdeep.heap.stacks import StackTreeBuilder
from memdeep.model import Sample, Stretch


@frozen
class CaptureFacts:
    """The facts of a run that its capture tells; ``end_ms`` is None if the program was killed.

    ``rss_curve`` holds the readings of memray's own thread.
    """

    command: str
    pid: int
    native: bool
    python_allocators: bool
    start_ms: int
    end_ms: int | None
    rss_curve: tuple[Sample, ...]


class CaptureReader(Protocol):
    """Reads one capture."""

    def facts(self) -> CaptureFacts:
        """Read the facts of the run. Raises CaptureError."""

    def read_part(
        self,
        part: Part,
        groups: Sequence[Sequence[Stretch]],
        builder: StackTreeBuilder,
        start_ms: int,
        on_step: Callable[[str], None],
    ) -> HeapPart:
        """Read the heap of ``part``, the stretch of the run that this capture covers.

        Peaks are found for each of ``groups`` (stretches between the run's checkpoints), as far as
        they lie within it. ``start_ms`` (since the epoch) is the zero of times. Raises
        CaptureError.
        """
